"""Layouts: names and geometry of a kernel's caches, kept once for all the snapshots that share them."""

from __future__ import annotations

import hashlib
import json
import marshal
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from common.errors import SnapshotError, StoreError
from common.snapshot import LAYOUT_COLUMNS, Caches, layout_columns, layout_hash
from server.assemble import layout_rows
from server.buckets import CacheRow
from server.storage.codec import Ints, compress, decompress
from server.storage.damage import UNREADABLE

__all__ = ["Fingerprints", "Layout", "LayoutBook", "pack_layout", "unpack_columns"]

_KEPT = 256
"""Layouts held decoded; each takes some 50 KB."""
_FINGERPRINTS = 200_000


@dataclass(frozen=True, slots=True)
class Layout:
    """One layout as reading needs it."""

    hash: str
    caches: Caches
    """Its columns; the counts are empty. Shared: not to be changed."""
    rows: tuple[CacheRow, ...]
    per_slab: Ints
    """[C] objects a slab holds, 0 where unknown: what the codec foretells num_objs with."""


def pack_layout(caches: Caches) -> bytes:
    return compress(json.dumps(layout_columns(caches), separators=(",", ":")).encode(), 9)


def unpack_columns(key: str, text: str | bytes) -> Layout:
    """The layout of that hash whose columns are this JSON."""
    columns = json.loads(text)
    caches = Caches(active_objs=[], num_objs=[], **columns)
    per_slab = columns.get("objs_per_slab") or [None] * len(caches)
    known = [value if value is not None and value < 2**31 else 0 for value in per_slab]
    return Layout(key, caches, layout_rows(caches), np.array(known, dtype=np.int64))


class Fingerprints:
    """Tells known layouts by a digest ten times cheaper than the canonical one. Safe to use from any thread."""

    def __init__(self) -> None:
        self._fingerprints: dict[bytes, str] = {}

    def identify(self, caches: Caches) -> str:
        """The hash of a snapshot's layout. Raises SnapshotError for columns of unequal length."""
        if caches.layout is not None:
            return caches.layout
        columns = [getattr(caches, name) for name in LAYOUT_COLUMNS]
        for name, column in zip(LAYOUT_COLUMNS, columns, strict=True):
            if column is not None and len(column) != len(caches):
                raise SnapshotError(f"caches.{name} has {len(column)} entries for {len(caches)} names")
        # Version 2 of marshal writes values alone, no references: different layouts never look the same.
        fingerprint = hashlib.blake2b(marshal.dumps(columns, 2), digest_size=16).digest()
        key = self._fingerprints.get(fingerprint)
        if key is None:
            key = layout_hash(caches)
            if len(self._fingerprints) >= _FINGERPRINTS:
                self._fingerprints.clear()
            self._fingerprints[fingerprint] = key
        return key


class LayoutBook(Fingerprints):
    """Which layouts the store holds. Safe to use from any thread; only the writer adds and removes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__()
        self.ids: dict[str, int] = {}
        self._hashes: dict[int, str] = {}
        self._widths: dict[int, int] = {}
        self.used: set[int] = set()
        """Those that snapshots came with since somebody last cleared it, in the writer."""
        self.damaged: set[int] = set()
        """Those that could not be read."""
        self._decoded: OrderedDict[int, Layout] = OrderedDict()
        self._lock = threading.Lock()
        for number, key, width in db.execute("SELECT id, hash, width FROM layouts"):
            self.describe(number, key, width)
            self.publish(number)
        self.next_id = max(self._hashes, default=0) + 1

    def describe(self, number: int, key: str, width: int) -> None:
        """Before the commit that brings it: whoever reads the row at once must find it. Stays when that fails."""
        self._hashes[number], self._widths[number] = key, width

    def publish(self, number: int) -> None:
        """After the commit: from now on snapshots may refer to it."""
        self.ids[self._hashes[number]] = number

    def mend(self, number: int, width: int) -> None:
        """After the commit that wrote a damaged one anew."""
        self._widths[number] = width
        self.damaged.discard(number)

    def remove(self, numbers: Iterable[int]) -> None:
        """No snapshot may refer to them any more; readers of an older state still can."""
        for number in numbers:
            del self.ids[self._hashes[number]]

    def hash(self, number: int) -> str:
        return self._hashes[number]

    def width(self, number: int) -> int:
        """Rows the layout lists."""
        return self._widths[number]

    def load(self, db: sqlite3.Connection, number: int) -> Layout:
        with self._lock:
            if number in self._decoded:
                self._decoded.move_to_end(number)
                return self._decoded[number]
        row = db.execute("SELECT hash, columns FROM layouts WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise StoreError(f"layout {number} is missing in the store: restore the file from a backup")
        try:
            layout = unpack_columns(row[0], decompress(row[1]))
            if len(layout.caches) != self.width(number):
                raise ValueError(f"layout {number} has {len(layout.caches)} caches and says {self.width(number)}")
        except UNREADABLE:
            self.damaged.add(number)
            raise
        with self._lock:
            self._decoded[number] = layout
            while len(self._decoded) > _KEPT:
                self._decoded.popitem(last=False)
        return layout
