"""Rows that cannot be decoded: each is left out where it is met, counted once and named, and harms nothing else."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import StoreError
from common.zstd import zstd

__all__ = ["UNREADABLE", "Damage", "reason"]

UNREADABLE = (zstd.ZstdError, struct.error, ValueError, TypeError, LookupError, OverflowError, MemoryError, StoreError)
"""What decoding bytes that nobody packed raises (StoreError: the layout is missing)."""

_KEPT = 10_000
"""Rows remembered, and so the most that are counted."""
_log = logging.getLogger("slabhound.storage")


def reason(error: BaseException) -> str:
    """In one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


class Damage:
    """The damaged rows met since the store was opened, by table and number. Safe to use from any thread."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], None] = {}
        self._lock = threading.Lock()

    @contextmanager
    def skip(self, table: str, row: int) -> Iterator[None]:
        """Decode inside it: what cannot be is noted, and the program goes on after the block."""
        try:
            yield
        except UNREADABLE as error:
            self.note(table, row, error)

    def note(self, table: str, row: int, error: BaseException) -> None:
        with self._lock:
            if (table, row) in self._rows or len(self._rows) >= _KEPT:
                return
            self._rows[table, row] = None
        _log.warning("row %d of %s is damaged and left out: %s", row, table, reason(error))

    def rows(self, table: str) -> list[int]:
        with self._lock:
            return [row for name, row in self._rows if name == table]

    @property
    def count(self) -> int:
        return len(self._rows)

    @property
    def problem(self) -> str | None:
        """One line for people; None when nothing was met."""
        with self._lock:
            if not self._rows:
                return None
            table, row = next(iter(self._rows))
        return f"{self.count} damaged rows are left out, the first being {row} of {table}: run `slabhound store check`"
