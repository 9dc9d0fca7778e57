"""What an operator does to an SQLite store: a backup beside a running aggregator, and giving space back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from common.errors import StoreError
from server.storage.connections import AT_FIRST, disk_bytes, lock_file, plain_errors, real_path
from server.storage.looking import looking_at

__all__ = ["back_up", "vacuum"]

_PAGES = 8000
"""Copied between two signs of life: 8 MB."""
_STEPS = 1_000_000


def vacuum(path: Path, tell: Callable[[], None]) -> tuple[int, int]:
    """Writes the file anew without its free pages; gives its bytes before and after. `tell` is called now and then.

    Needs free space of up to twice the store's size. Raises StoreError while an aggregator holds the store: it would
    have to wait, and gives large free space back by itself.
    """
    with looking_at(path):
        pass
    path = real_path(path)
    with plain_errors(path), lock_file(path):
        before = disk_bytes(path)
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.set_progress_handler(tell, _STEPS)
            db.execute("PRAGMA journal_mode = DELETE").fetchall()  # in WAL mode pages keep their size
            for pragma in AT_FIRST:
                db.execute(pragma)
            db.execute("VACUUM")
            db.execute("PRAGMA journal_mode = WAL").fetchall()
        finally:
            db.close()
        return before, disk_bytes(path)


def back_up(path: Path, into: Path, tell: Callable[[float, float], None]) -> int:
    """Copies the store at `path`, as it is now, to a new file; gives its bytes. `tell` gets (pages done, pages in all).

    The copy gets its name only when it is whole and on disk. Raises StoreError when that name is taken.
    """
    if os.path.lexists(into):
        raise StoreError(f"backup {into}: there is a file of that name: choose another, none is written over")
    beside = into.with_name(f".{into.name}.{os.getpid()}.tmp")
    with looking_at(path) as source:
        try:
            _write(beside, path.stat().st_mode & 0o777 | 0o600, source, tell)
            _name(beside, into)
        except OSError as error:
            raise StoreError(f"backup {into}: {error.strerror}: name a file in a folder that can be written") from error
        finally:
            for left in (beside, beside.with_name(f"{beside.name}-journal")):
                if left.exists():  # on a read-only disk the removal of what is not there fails too
                    left.unlink()
    return into.stat().st_size


def _write(beside: Path, mode: int, source: sqlite3.Connection, tell: Callable[[float, float], None]) -> None:
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    source.execute("BEGIN")  # one state throughout: a commit in between would start the copy anew, again and again
    source.execute("SELECT count(*) FROM migrations").fetchone()
    copy = sqlite3.connect(beside, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous = OFF")  # it is synced once, below
        source.backup(copy, pages=_PAGES, progress=lambda _, left, pages: tell(pages - left, pages))
    except sqlite3.Error as error:
        raise StoreError(f"backup {beside.parent}: {error}: make room or name another folder") from error
    finally:
        copy.close()
    with beside.open("rb") as file:
        os.fsync(file.fileno())


def _name(beside: Path, into: Path) -> None:
    """A link, unlike a rename, never takes the place of a file that came meanwhile."""
    try:
        into.hardlink_to(beside)
    except FileExistsError:
        raise StoreError(f"backup {into}: there is a file of that name: choose another, none is written over") from None
    except OSError:  # a file system without links
        beside.rename(into)
    folder = os.open(into.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
