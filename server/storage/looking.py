"""Opening an SQLite store only to look at it: beside a running aggregator, and where nothing can be written."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from common.errors import StoreError
from server.storage import migrations
from server.storage.connections import connect, plain_errors, real_path

__all__ = ["looking_at"]

_UNFINISHED = {"-wal": "its last commits lie in", "-journal": "a change half made is to be undone from"}


@contextmanager
def looking_at(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads. Raises StoreError when there is no store, another program's or a newer one's."""
    advice = "name another, or run this as root or as the server's user"
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        found = None
    except OSError as error:
        raise StoreError(f"store {path}: {error.strerror}: {advice}") from error
    if found is None or not found.st_size or not stat.S_ISREG(found.st_mode):
        raise StoreError(f"store {path}: there is none: name another, see slabhound store --help")
    if not os.access(path, os.R_OK):  # opening and closing it would drop this process's own locks on it
        raise StoreError(f"store {path}: it may not be read: {advice}")
    with plain_errors(path), closing(_open(path)) as db:
        migrations.check(db, path)
        yield db


def _open(path: Path) -> sqlite3.Connection:
    """The ordinary way, which leaves no `-wal` and `-shm` behind as `mode=ro` would; else as a file nobody changes.

    Without a `-shm` SQLite reads no store in WAL mode, and makes none where it cannot write or the disk is full.
    """
    db = connect(path, readonly=True)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        db.close()
        full = error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHMSIZE
        if not full and error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        failed = error
    else:
        return db
    real = real_path(path)
    for suffix, holds in _UNFINISHED.items():
        beside = Path(f"{real}{suffix}")
        if beside.exists() and beside.stat().st_size:
            if full:
                raise failed
            advice = "copy both to a folder that can be written, or make this one writable"
            raise StoreError(f"store {path}: {holds} {beside}, and nothing can be written there: {advice}")
    # Immutable, SQLite would pass over either file.
    return sqlite3.connect(f"{real.as_uri()}?immutable=1", uri=True, isolation_level=None)
