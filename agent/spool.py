"""The pantry: snapshots that the aggregator has not taken yet, on disk, bounded, the oldest given up first.

One file a snapshot, an .ndjson.gz that `slabhound import` reads too, named by a number that only rises. A file is
written under another name, flushed to the disk (fsync, file and folder) and renamed: a reader never sees half of one,
and neither kill -9 nor a power cut takes what was added. That costs a flush per snapshot, and only while the aggregator
is away: in ordinary times nothing comes here, see agent/courier.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections import deque
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Protocol

from common.errors import ConfigError

__all__ = ["DiskSpool", "MemorySpool", "Spool"]

SUFFIX = ".ndjson.gz"
BLOCK = 4096
"""A file takes whole blocks."""
MOST_REJECTED = 100


class Spool(Protocol):
    """Packed snapshots, oldest first, each with a number."""

    place: str
    """For people."""
    lasting: bool
    """Whether what it holds outlives the process."""
    dropped: int
    """Given up since the start: no room, or unreadable."""
    rejected: int
    """Refused by the server for good, since the start."""

    def __len__(self) -> int: ...

    def touch(self) -> None:
        """Leaves a sign of life: the time of the folder's `lock`, which a health check can look at."""

    def add(self, entry: bytes, *, flush: bool = True) -> int:
        """Keeps one and gives its number, 0 when that failed; gives up the oldest where there is no room.

        `flush=False`: safe against the end of the process, not against a power cut.
        """

    def oldest(self, count: int) -> list[tuple[int, bytes]]:
        """The first `count`, with their numbers."""

    def remove(self, number: int) -> None:
        """It is stored: forget it. A number that is not there is no error."""

    def reject(self, entry: bytes, status: str) -> None:
        """Sets one aside that no server will take, for people to look at; the oldest such is deleted past a bound."""


class DiskSpool:
    """A folder that one agent at a time may use."""

    lasting = True

    def __init__(self, folder: Path, *, limit: int, most_rejected: int = MOST_REJECTED) -> None:
        """`limit`: bytes on disk. Raises ConfigError when another agent has the folder or it cannot be written."""
        self.place = str(folder)
        self.dropped = 0
        self.rejected = 0
        self._folder = folder
        self._rejects = folder / "rejected"
        self._limit = limit
        self._most_rejected = most_rejected
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._rejects.mkdir(exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise ConfigError(f"{folder}: another agent uses this spool; give --spool another folder") from None
        except OSError as error:
            raise ConfigError(
                f"{error.filename or folder}: cannot keep snapshots there: {error.strerror}; give --spool a folder "
                "the agent may write"
            ) from None
        for torn in folder.glob("*.new"):
            torn.unlink()
        with os.scandir(folder) as entries:
            numbered = [
                (n, _blocks(entry.stat().st_size)) for entry in entries if (n := _number(entry.name)) is not None
            ]
        self._sizes = dict(sorted(numbered))
        self._bytes = sum(self._sizes.values())
        self._last = max(self._sizes, default=0)

    def touch(self) -> None:
        with suppress(OSError):
            os.utime(self._lock)

    def close(self) -> None:
        """Lets another agent have the folder."""
        os.close(self._lock)

    def __len__(self) -> int:
        return len(self._sizes)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}{SUFFIX}"

    def add(self, entry: bytes, *, flush: bool = True) -> int:
        """As Spool says."""
        size = _blocks(len(entry))
        while self._sizes and self._bytes + size > self._limit:
            self._drop_oldest()
        try:
            self._write_somehow(self._path(self._last + 1), entry, flush=flush)
        except OSError:
            self.dropped += 1
            return 0
        self._last += 1
        self._sizes[self._last] = size
        self._bytes += size
        return self._last

    def _write_somehow(self, path: Path, entry: bytes, *, flush: bool) -> None:
        """On a disk that others have filled, the room of the oldest snapshot will do."""
        try:
            self._write(path, entry, flush=flush)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT} or not self._sizes:
                raise
            self._drop_oldest()
            self._write(path, entry, flush=flush)

    def _drop_oldest(self) -> None:
        self.remove(next(iter(self._sizes)))
        self.dropped += 1

    def _write(self, path: Path, entry: bytes, *, flush: bool) -> None:
        torn = path.with_name(path.name + ".new")
        try:
            with os.fdopen(os.open(torn, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(entry)
                if flush:
                    file.flush()
                    os.fsync(file.fileno())
            torn.replace(path)
        except OSError:
            torn.unlink(missing_ok=True)
            raise
        if flush:
            folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def oldest(self, count: int) -> list[tuple[int, bytes]]:
        """As Spool says. A file that somebody took away, or that cannot be read, counts as dropped."""
        found: list[tuple[int, bytes]] = []
        for number in list(islice(self._sizes, count)):
            try:
                found.append((number, self._path(number).read_bytes()))
            except OSError:
                self.remove(number)
                self.dropped += 1
        return found

    def remove(self, number: int) -> None:
        """As Spool says. On a disk that is read-only by now it comes again after a restart; the server knows it."""
        self._bytes -= self._sizes.pop(number, 0)
        with suppress(OSError):
            self._path(number).unlink(missing_ok=True)

    def reject(self, entry: bytes, status: str) -> None:
        """As Spool says. Counted and logged even where nothing can be written."""
        self.rejected += 1
        with suppress(OSError):
            old = sorted(path.name for path in self._rejects.glob(f"*{SUFFIX}") if _number(path.name) is not None)
            for name in old[: max(0, len(old) - self._most_rejected + 1)]:
                (self._rejects / name).unlink(missing_ok=True)
            number = (_number(old[-1]) or 0) + 1 if old else 1
            self._write(self._rejects / f"{number:012d}-{status}{SUFFIX}", entry, flush=False)


class MemorySpool:
    """Where no folder can be written: the same in memory, gone with the process."""

    lasting = False

    def __init__(self, *, limit: int) -> None:
        """`limit`: bytes."""
        self.place = "memory"
        self.dropped = 0
        self.rejected = 0
        self._limit = limit
        self._bytes = 0
        self._last = 0
        self._entries: deque[tuple[int, bytes]] = deque()

    def touch(self) -> None:
        """Nobody outside sees this memory."""

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: bytes, *, flush: bool = True) -> int:
        del flush
        self._last += 1
        self._entries.append((self._last, entry))
        self._bytes += len(entry)
        while self._bytes > self._limit and len(self._entries) > 1:
            self._bytes -= len(self._entries.popleft()[1])
            self.dropped += 1
        return self._last

    def oldest(self, count: int) -> list[tuple[int, bytes]]:
        return list(islice(self._entries, count))

    def remove(self, number: int) -> None:
        for entry in self._entries:
            if entry[0] == number:
                self._bytes -= len(entry[1])
                self._entries.remove(entry)
                return

    def reject(self, entry: bytes, status: str) -> None:
        del entry, status
        self.rejected += 1


def _number(name: str) -> int | None:
    """The number in a snapshot's file name; None for any other file."""
    digits = name.removesuffix(SUFFIX).partition("-")[0]
    return int(digits) if name.endswith(SUFFIX) and digits.isascii() and digits.isdigit() else None


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
