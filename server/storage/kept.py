"""Reduced buckets of the last windows in memory, so that the next window decodes only what is new.

A node's bucket is closed once a snapshot of a later bucket has come; from then on only a late snapshot or retention
changes it, and both disturb the node (Catalog.disturbed). A span of closed buckets is good for as long as its node was
not disturbed since before it was read. Sealing moves rows and changes no bucket.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.buckets import Block, CacheRow, coarsen

__all__ = ["CLOSING", "LIMIT", "Kept", "Packed", "Span", "closed_before", "cut", "pack"]

LIMIT = 256 << 20
"""Bytes; some 100 KB a node for reports over 24 hours. Nodes past it are read from the file each time."""
CLOSING = 300_000
"""Milliseconds of the least bucket that is kept."""
_ROUND = 8
"""Windows: what was used in the last so many is not given up for something new, or a fleet larger than LIMIT would
push out every span just before it is needed."""
_FRAME = 1500
"""Bytes about, of a block or span beside its arrays."""
_ARRAYS = [f.name for f in fields(Block)][2:]
_COUNTS = ("num_min", "active_min")


def closed_before(newest: int) -> int:
    """Where the first bucket begins that is not closed, by the newest snapshot (milliseconds both)."""
    return newest // CLOSING * CLOSING


@dataclass(frozen=True, slots=True)
class Packed:
    """A block in a quarter of its memory: half of all caches stand still for hours, few count beyond 65,535."""

    bare: Block
    """The block without its counts."""
    columns: int
    parts: tuple[tuple[NDArray[np.intp], NDArray[Any]], ...]
    """Which columns, and their counts: [2, T, columns] in the order of _COUNTS, T being 1 where they stand still."""

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        arrays = [getattr(self.bare, name) for name in _ARRAYS] + [array for part in self.parts for array in part]
        return sum(int(array.nbytes) for array in arrays) + _FRAME

    def within(self, first: int, until: int) -> Block:
        """The buckets whose last snapshot was taken from `first` up to, not including, `until` (milliseconds)."""
        low, high = _places(self.bare, first, until)
        times = high - low
        kind = np.int64 if any(counts.dtype == np.int64 for _, counts in self.parts) else np.uint32
        whole = np.empty((len(_COUNTS), times, self.columns), dtype=kind)
        for columns, counts in self.parts:
            whole[:, :, columns] = counts if counts.shape[1] == 1 else counts[:, low:high]
        arrays: dict[str, Any] = dict(zip(_COUNTS, whole, strict=True))
        arrays |= {name: getattr(self.bare, name)[low:high] for name in _ARRAYS if name not in _COUNTS}
        return replace(self.bare, **arrays)


def pack(block: Block) -> Packed:
    """The block, to the last count."""
    whole = np.stack([getattr(block, name) for name in _COUNTS])
    columns = whole.shape[2]
    least, most = whole.min(axis=(0, 1), initial=0), whole.max(axis=(0, 1), initial=0)
    still = (whole == whole[:, :1]).all(axis=(0, 1))
    tall = np.where(most < 2**16, 0, np.where(most < 2**32, 1, 2))
    kinds = np.where(least < 0, 2, tall)
    parts = []
    for kind, dtype in enumerate((np.uint16, np.uint32, np.int64)):
        for same in (True, False):
            chosen = np.flatnonzero((kinds == kind) & (still == same))
            if len(chosen):
                counts = whole[:, :1, chosen] if same else whole[:, :, chosen]
                parts.append((chosen, counts.astype(dtype)))
    arrays: dict[str, Any] = dict.fromkeys(_COUNTS, np.zeros((0, 0), dtype=np.int64))
    arrays |= {name: getattr(block, name).copy() for name in _ARRAYS if name not in _COUNTS}
    return Packed(replace(block, **arrays), columns, tuple(parts))


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

    def within(self, first: int, until: int) -> list[Block]:
        """What lies from `first` up to `until`."""
        return [block for block in (packed.within(first, until) for packed in self.blocks) if len(block.time)]

    def joined(self, before: Sequence[Block], after: Sequence[Block], width: int) -> Span:
        """With what was read on both sides, in buckets of `width` seconds; one block a boot and layout."""
        groups: dict[tuple[str, str], list[Block]] = {}
        for block in (*before, *self.within(self.first, self.until), *after):
            if len(block.time):
                groups.setdefault((block.boot, block.layout), []).append(block)
        return replace(self, blocks=tuple(pack(coarsen(group, width)) for group in groups.values()))


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
            if self._room(span.bytes):
                self._entries[key] = _Entry(span, span.bytes, self._window, used_widely)
                self.bytes += span.bytes

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


def cut(block: Block, first: int, until: int) -> Block:
    """The buckets whose last snapshot was taken from `first` up to, not including, `until` (milliseconds); no copy."""
    low, high = _places(block, first, until)
    if low == 0 and high == len(block.time):
        return block
    return replace(block, **{name: getattr(block, name)[low:high] for name in _ARRAYS})


def _places(block: Block, first: int, until: int) -> tuple[int, int]:
    low, high = np.searchsorted(block.time, [(first - 0.5) / 1000, (until - 0.5) / 1000])
    return int(low), max(int(low), int(high))
