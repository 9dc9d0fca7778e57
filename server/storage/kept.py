"""Reduced buckets of the last windows in memory, so that the next window decodes only what is new.

A node's bucket is closed once a snapshot of a later bucket has come; from then on only a late snapshot or retention
changes it, and both disturb the node (Catalog.disturbed). A span of closed buckets is good for as long as its node was
not disturbed since before it was read. Sealing moves rows and changes no bucket.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.buckets import Block, CacheRow, coarsen

Ints = NDArray[np.int64]

__all__ = ["CLOSING", "LIMIT", "Kept", "Packed", "Span", "closed_before", "cut", "joined", "pack"]

LIMIT = 256 << 20
"""Bytes; some 100 KB a node for reports over 24 hours. Nodes past it are read from the file each time."""
CLOSING = 300_000
"""Milliseconds of the least bucket that is kept."""
_ROUND = 8
"""Windows: what was used in the last so many is not given up for something new, or a fleet larger than LIMIT would
push out every span just before it is needed."""
_FRAME = 1500
"""Bytes about, of a block or span beside its arrays."""
_ARRAY = 112
"""Bytes of an array beside its numbers."""
_ARRAYS = [f.name for f in fields(Block)][2:]
_TALL = np.array([0, 2**8 - 1, 2**16 - 1, 2**32 - 1], dtype=np.uint64)
"""The most that fits into none, one, two and four bytes."""
_TYPES = (np.uint8, np.uint8, np.uint16, np.uint32, np.uint64)
"""By the number of those that it is more than."""


def closed_before(newest: int) -> int:
    """Where the first bucket begins that is not closed, by the newest snapshot (milliseconds both)."""
    return newest // CLOSING * CLOSING


@dataclass(frozen=True, slots=True)
class _Matrix:
    """[T, C] counts in an eighth of their memory: half of all columns stand still, most others move by a few."""

    least: NDArray[np.integer]
    """[C]"""
    above: tuple[tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger]], ...]
    """Which columns move, and how far they are above their least [columns, T]: by the bytes that this takes."""

    @classmethod
    def of(cls, matrix: Ints) -> _Matrix:
        """The matrix, to the last count."""
        by_column = np.ascontiguousarray(matrix.T)
        least = by_column.min(axis=1)
        above = (by_column - least[:, None]).view(np.uint64)
        most = above.max(axis=1)
        kinds, parts = _TALL.searchsorted(most), []
        for kind in range(1, int(kinds.max(initial=0)) + 1):
            chosen = (kinds == kind).nonzero()[0]
            if len(chosen):
                parts.append((chosen.astype(np.min_scalar_type(len(least))), above[chosen].astype(_TYPES[kind])))
        small = np.min_scalar_type(least.max(initial=0)) if least.min(initial=0) >= 0 else np.int64
        return cls(least.astype(small), tuple(parts))

    @property
    def bytes(self) -> int:
        """Memory that its arrays take."""
        return int(self.least.nbytes) + sum(int(a.nbytes + b.nbytes) + 2 * _ARRAY for a, b in self.above) + _ARRAY

    def within(self, low: int, high: int, columns: NDArray[np.intp] | None) -> Ints:
        """The rows from `low` up to, not including, `high`, in memory column by column."""
        least = (self.least if columns is None else self.least[columns]).astype(np.int64)
        counts = np.empty((len(least), high - low), dtype=np.int64)
        counts[:] = least[:, None]
        for moving, above in self.above:
            if columns is None:
                counts[moving] = above[:, low:high].astype(np.int64) + least[moving, None]
                continue
            place = np.minimum(np.searchsorted(moving, columns), len(moving) - 1)
            there = (moving[place] == columns).nonzero()[0]
            if len(there):
                counts[there] += above[place[there], low:high].astype(np.int64)
        return counts.T


@dataclass(frozen=True, slots=True)
class Packed:
    """A block in little memory."""

    bare: Block
    """The block without its counts."""
    num: _Matrix
    unused: _Matrix
    """How far active objects are below all: mostly zero, or few."""

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        arrays = (getattr(self.bare, name) for name in _ARRAYS)
        return self.num.bytes + self.unused.bytes + sum(int(array.nbytes) for array in arrays) + _FRAME

    def within(self, first: int, until: int, columns: NDArray[np.intp] | None = None) -> Block:
        """The buckets whose last snapshot was taken from `first` up to, not including, `until` (milliseconds).

        `columns`: only these of the layout.
        """
        low, high = _places(self.bare, first, until)
        num = self.num.within(low, high, columns)
        arrays: dict[str, Any] = {name: getattr(self.bare, name)[low:high] for name in _ARRAYS[:-2]}
        active = num - self.unused.within(low, high, columns)
        return Block(self.bare.boot, self.bare.layout, **arrays, num_min=num, active_min=active)


def pack(block: Block) -> Packed:
    """The block, to the last count."""
    nothing = np.zeros((0, 0), dtype=np.int64)
    arrays: dict[str, Any] = {name: getattr(block, name).copy() for name in _ARRAYS[:-2]}
    bare = Block(block.boot, block.layout, **arrays, num_min=nothing, active_min=nothing)
    return Packed(bare, _Matrix.of(block.num_min), _Matrix.of(block.num_min - block.active_min))


@dataclass(frozen=True, slots=True)
class Span:
    """Blocks of all that one node has from `first` up to, not including, `until` (milliseconds)."""

    disturbed: int
    """How often the node was disturbed before it was read."""
    first: int
    until: int
    blocks: tuple[Packed, ...] = ()
    rows: Mapping[str, tuple[CacheRow, ...]] = field(default_factory=dict)
    """Of the blocks' layouts, which the store may have forgotten."""

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return sum(block.bytes for block in self.blocks) + _FRAME

    def within(self, first: int, until: int, columns: NDArray[np.intp] | None = None) -> list[Block]:
        """What lies from `first` up to `until`; `columns`: only these of the layout."""
        return [b for b in (packed.within(first, until, columns) for packed in self.blocks) if len(b.time)]


@dataclass(slots=True)
class _Entry:
    span: Span
    bytes: int
    used: int
    """The window that used it last."""
    used_widely: int
    """The window that last used nearly all of it."""


class Kept:
    """Spans by key, the least recently used first. Safe to use from any thread."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._window = 0
        self.bytes = 0

    def begin(self) -> None:
        """Another window is being read."""
        self._window += 1

    def find(self, key: Hashable, disturbed: int, first: int) -> Span | None:
        """The span under that key, if its node was not disturbed since; `first`: from when on it is needed."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.span.disturbed != disturbed:
                return None
            entry.used = self._window
            if _widely(entry.span, first):
                entry.used_widely = self._window
            self._entries.move_to_end(key)
            return entry.span

    def put(self, key: Hashable, span: Span, first: int) -> None:
        """Keeps a span in place of the one there, without what no window has needed for long."""
        with self._lock:
            old = self._entries.pop(key, None)
            self.bytes -= old.bytes if old else 0
            used_widely = self._window if old is None or _widely(span, first) else old.used_widely
            if self._window - used_widely > _ROUND:
                blocks = tuple(map(pack, span.within(first, span.until)))
                span, used_widely = replace(span, first=first, blocks=blocks), self._window
            size = span.bytes
            if self._room(size):
                self._entries[key] = _Entry(span, size, self._window, used_widely)
                self.bytes += size

    def _room(self, wanted: int) -> bool:
        """Gives up what was not used for long, the oldest first, until so many bytes fit in."""
        while self.bytes + wanted > self._limit:
            oldest = next(iter(self._entries), None)
            if oldest is None or self._entries[oldest].used + _ROUND >= self._window:
                return False
            self.bytes -= self._entries.pop(oldest).bytes
        return True


def _widely(span: Span, first: int) -> bool:
    """Whether a window that begins at `first` needs nearly all of it."""
    return (first - span.first) * 5 <= span.until - span.first


def joined(blocks: Iterable[Block], width: int) -> list[Block]:
    """The same in buckets of `width` seconds, one block a boot and layout."""
    groups: dict[tuple[str, str], list[Block]] = {}
    for block in blocks:
        if len(block.time):
            groups.setdefault((block.boot, block.layout), []).append(block)
    return [coarsen(group, width) for group in groups.values()]


def cut(block: Block, first: int, until: int) -> Block:
    """The buckets whose last snapshot was taken from `first` up to, not including, `until` (milliseconds); no copy."""
    low, high = _places(block, first, until)
    if low == 0 and high == len(block.time):
        return block
    return replace(block, **{name: getattr(block, name)[low:high] for name in _ARRAYS})


def _places(block: Block, first: int, until: int) -> tuple[int, int]:
    low = int(block.time.searchsorted((first - 0.5) / 1000))
    return low, max(low, int(block.time.searchsorted((until - 0.5) / 1000)))
