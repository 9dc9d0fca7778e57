"""`slabhound store`: checks, shrinks or backs up the aggregator's SQLite store."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from common.config import Option
from common.errors import ConfigError
from common.terminal.progress import Progress
from common.terminal.screen import Screen
from common.terminal.text import escape
from common.terminal.units import counted, size
from server.settings import default_store
from server.storage.checks import check_store
from server.storage.open import sqlite_path
from server.storage.upkeep import back_up, vacuum

__all__ = ["OPTIONS", "add_arguments", "run"]

OPTIONS: tuple[Option, ...] = (
    Option(
        "store",
        "the store: sqlite:///relative or sqlite:////absolute;"
        " default: the server's, /var/lib/slabhound, else the user's data folder",
        metavar="URL",
    ),
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("check", "vacuum", "backup"), help="what to do")
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="backup: where it goes, must not exist yet; check and vacuum: the store's file, in place of --store",
    )


def run(options: Namespace) -> int:
    """Gives the exit status: 1 when a check found problems. Raises ConfigError, StoreError."""
    backup = options.action == "backup"
    if backup and options.file is None:
        raise ConfigError("store backup: name the file it goes to: slabhound store backup FILE")
    theirs = options.file is not None and not backup
    path = Path(options.file) if theirs else _path(options.store or default_store(os.environ))
    screen: Screen = options.screen
    if options.action == "check":
        return _check(path, screen)
    if options.action == "vacuum":
        with Progress(screen, "vacuum") as progress:
            before, after = vacuum(path, lambda: progress.reach(0, None))
        screen.write([f"{path}: {size(before)} before, {size(after)} now"])
        return 0
    with Progress(screen, "backup") as progress:
        written = back_up(path, Path(options.file), progress.reach)
    screen.write([f"{options.file}: {size(written)}, a copy of {path}"])
    return 0


def _path(url: str) -> Path:
    if url.startswith("clickhouse://"):
        raise ConfigError("store: this is for SQLite; ClickHouse has tools of its own (CHECK TABLE, BACKUP)")
    return sqlite_path(url)


def _check(path: Path, screen: Screen) -> int:
    with Progress(screen, "check") as progress:
        found = check_store(path, progress.reach)
    rows = ", ".join(f"{name} {number}" for name, number in found.rows.items())
    problems = counted(len(found.problems), "problem") if found.problems else "no problems"
    lines = [escape(line) for line in found.problems]
    lines.append(f"{path}: schema {found.schema}, {counted(found.snapshots, 'snapshot')}; rows: {rows or 'none'}")
    screen.write([*lines, problems])
    return 1 if found.problems else 0
