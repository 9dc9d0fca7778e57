"""`slabhound copy --from URL --to URL`: all snapshots of one store into another; doing it twice does no harm."""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from common.config import Option
from common.errors import ConfigError, StoreError
from common.terminal.progress import Progress
from common.terminal.units import count, counted
from server.storage import open_store
from server.storage.base import Appended, Received, Store
from server.storage.connections import real_path
from server.storage.open import sqlite_path

__all__ = ["OPTIONS", "Copied", "copy", "run"]

OPTIONS = (
    Option("from", "the store to read; no server may have it open where it is sqlite://", metavar="URL"),
    Option("to", "the store to fill; a clickhouse:// one needs its schema (slabhound server --init)", metavar="URL"),
    Option("from-password-file", "file whose first line is the password of --from", metavar="FILE"),
    Option("to-password-file", "file whose first line is the password of --to", metavar="FILE"),
)

_BATCH, _UNDER_WAY, _PAGE = 500, 4, 1000


@dataclass(slots=True)
class Copied:
    """What became of the snapshots."""

    stored: int = 0
    duplicates: int = 0
    unreachable: int = 0
    """Of two boots at one instant a store gives back only one."""


def run(options: Namespace) -> int:
    """0 when every snapshot is in the other store, else 1. Raises ConfigError, StoreError."""
    given = vars(options)
    for name in ("from", "to"):
        if not given[name]:
            raise ConfigError(f"copy needs --{name} URL: see slabhound copy --help")
    if _store(given["from"]) == _store(given["to"]):
        raise ConfigError("copy --from and --to name the same store: name two")
    if not given["from"].startswith("clickhouse://") and not sqlite_path(given["from"]).exists():
        raise StoreError(f"copy --from {given['from']}: there is no such store")
    source = open_store(given["from"], password_file=_path(given["from_password_file"]))
    try:
        target = open_store(given["to"], password_file=_path(given["to_password_file"]))
        try:
            with Progress(options.screen, "copying", source.status().snapshots) as progress:
                copied = Copied()
                for done in copy(source, target, copied):
                    progress.advance(done, f"{count(copied.stored + copied.duplicates)} snapshots")
        finally:
            target.close()
    finally:
        source.close()
    options.screen.write(_text(copied))
    return 1 if copied.unreachable else 0


def _store(url: str) -> str:
    """The same for all URLs of an SQLite file, by links too."""
    return url if url.startswith("clickhouse://") else str(real_path(sqlite_path(url)))


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _text(copied: Copied) -> list[str]:
    lines = [f"{counted(copied.stored, 'snapshot')} copied, {count(copied.duplicates)} were there already"]
    if copied.unreachable:
        lines.append(f"{count(copied.unreachable)} not copied: another boot's snapshot of the same instant hides them")
    lines.append("buckets older than the oldest snapshot are not copied: the other store makes its own from now on")
    return lines


def copy(source: Store, target: Store, copied: Copied) -> Iterator[int]:
    """Yields how many snapshots are dealt with each time; `copied` says what became of them."""
    waiting: deque[Future[Appended]] = deque()
    for state in source.nodes():
        batch: list[Received] = []
        for item in _snapshots(source, state.node, copied):
            batch.append(item)
            if len(batch) == _BATCH:
                waiting.append(target.append(batch))
                batch = []
            while len(waiting) > _UNDER_WAY:
                yield _settle(waiting.popleft(), copied)
        if batch:
            waiting.append(target.append(batch))
    while waiting:
        yield _settle(waiting.popleft(), copied)


def _settle(future: Future[Appended], copied: Copied) -> int:
    result = future.result()
    copied.stored, copied.duplicates = copied.stored + result.stored, copied.duplicates + result.duplicates
    return result.stored + result.duplicates


def _snapshots(source: Store, node: str, copied: Copied) -> Iterator[Received]:
    after: tuple[float, str] | None = None
    while page := source.instants(node, None, None, after=after, limit=_PAGE):
        for instant in page:
            stored = source.at(node, instant.taken_at)
            if stored is None or stored.boot != instant.boot:
                copied.unreachable += 1
            else:
                yield Received(stored.snapshot, stored.received_at, stored.offset_seconds)
        after = page[-1].taken_at, page[-1].boot
