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
        help="backup: where it goes, must not exist yet; check and vacuum: the store, in place of --store;"
        " either as a file's name or as sqlite:///...",
    )


def run(options: Namespace) -> int:
    """Gives the exit status: 1 when a check found problems. Raises ConfigError, StoreError."""
    file = None if options.file is None else _file(options.file)
    usual = options.store or default_store(os.environ)
    screen: Screen = options.screen
    if options.action == "backup":
        if file is None:
            raise ConfigError("store backup: name the file it goes to: slabhound store backup FILE")
        return _back_up(_path(usual), file, screen)
    path = file or _path(usual)
    if options.action == "check":
        return _check(path, screen)
    with Progress(screen, "vacuum") as progress:
        before, after = vacuum(path, lambda: progress.reach(0, None))
    screen.write([f"{path}: {size(before)} before, {size(after)} now"])
    return 0


def _back_up(path: Path, into: Path, screen: Screen) -> int:
    with Progress(screen, "backup") as progress:
        written = back_up(path, into, progress.reach)
    screen.write([f"{into}: {size(written)}, a copy of {path}"])
    return 0


def _file(text: str) -> Path:
    """What FILE names, plainly or by a URL as --store does."""
    return _path(text) if "://" in text else Path(text)


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
