"""SQLite connections: how they are opened, which errors they may raise, a lock on the file, a pool of readers."""

from __future__ import annotations

import fcntl
import os
import queue
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from common.errors import StoreDamagedError, StoreError, StoreFullError

__all__ = ["AT_FIRST", "ReaderPool", "connect", "disk_bytes", "lock_file", "plain_errors", "real_path", "translate"]

_NO_ROOM = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR_SHMSIZE: "the disk is full",  # not a byte more for the -shm
    sqlite3.SQLITE_READONLY: "the file cannot be written (read-only disk or wrong owner)",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_BUSY: "another program keeps the file locked",
}
AT_FIRST = ("PRAGMA page_size = 1024", "PRAGMA auto_vacuum = INCREMENTAL")
"""These count only before the first table, and when the file is written anew. Of pages of 4 KB a seventh would stay
unused, and a push would write twice as much (docs/decisions/page-size.md)."""
_READERS = 8
"""Connections of a pool."""
_PRAGMAS = (
    "PRAGMA foreign_keys = OFF",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL survives kill -9 and loses acknowledged rows when the power fails
    "PRAGMA wal_autocheckpoint = 0",  # see server.storage.writer
    "PRAGMA secure_delete = OFF",  # Debian's build overwrites deleted rows otherwise: twice the writing
    "PRAGMA temp_store = MEMORY",
    "PRAGMA busy_timeout = 5000",
)


def translate(error: sqlite3.Error, path: Path | str) -> StoreError:
    """The same in this project's words."""
    exact = getattr(error, "sqlite_errorcode", 0)
    code = exact & 0xFF
    if code in _NO_ROOM:
        advice = "make room or mend it; a running server then goes on by itself"
        return StoreFullError(f"store {path}: {_NO_ROOM.get(exact, _NO_ROOM[code])}: {advice}")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        says = f"store {path}: {error}: not an SQLite file or damaged; name another or restore a backup"
        return StoreDamagedError(says)
    if "no such table" in str(error):  # migrations made it
        return StoreDamagedError(f"store {path}: {error}: it is gone; stop the server and restore a backup")
    return StoreError(f"store {path}: {error}")


@contextmanager
def plain_errors(path: Path | str) -> Iterator[None]:
    """Lets no sqlite3 error out."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode that any thread may use, one at a time."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    if readonly:
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA busy_timeout = 5000")
        return db
    for pragma in (*AT_FIRST, *_PRAGMAS):
        db.execute(pragma)
    return db


def real_path(path: Path) -> Path:
    """The store's own path where `path` is a link or leads over one: SQLite's other files lie beside that."""
    return Path(os.path.realpath(path))  # Path.resolve raises on a loop; opening it says what is wrong


def lock_file(path: Path) -> IO[bytes]:
    """Holds `PATH.lock` for this process: two aggregators on one file would each believe their own memory.

    `path` is real_path's, or who comes by a link holds another lock.
    """
    name = path.with_name(path.name + ".lock")
    try:
        held = os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")
    except OSError as error:
        raise StoreError(f"store {path}: {error.strerror}: make the folder writable or name another") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise StoreError(f"store {path} is in use by another process: stop it or name another file") from error
    return held


class ReaderPool:
    """Read-only connections, each lent to one thread at a time. In WAL mode the writer never blocks them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: queue.LifoQueue[sqlite3.Connection | None] = queue.LifoQueue()
        self._closed = False
        for _ in range(_READERS):
            self._free.put(None)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the store throughout."""
        db = self._free.get()
        try:
            with plain_errors(self._path):
                db = db or connect(self._path, readonly=True)
                db.execute("BEGIN")
                try:
                    yield db
                finally:
                    db.execute("ROLLBACK")
        finally:
            if self._closed and db is not None:
                db.close()
                db = None
            self._free.put(db)

    def close(self) -> None:
        """Closes the idle connections now, and those lent when they come back."""
        self._closed = True
        while True:
            try:
                db = self._free.get_nowait()
            except queue.Empty:
                return
            if db is not None:
                db.close()


def disk_bytes(path: Path) -> int:
    """Bytes of the store's files."""
    total = 0
    for suffix in ("", "-wal", "-shm"):
        try:
            total += os.stat(f"{path}{suffix}").st_size  # noqa: PTH116 - four times as fast, and asked after each commit
        except FileNotFoundError:
            continue
    return total
