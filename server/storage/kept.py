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

from server.buckets import Block, CacheRow, coarsen

__all__ = ["LIMIT", "Kept", "Span", "closed_before", "cut", "narrowed"]

LIMIT = 256 << 20
"""Bytes; some 250 KB a node for reports over 24 hours. Nodes past it are read from the file each time."""
CLOSING = 300_000
"""Milliseconds of the least bucket that is kept."""
_ROUND = 8
"""Windows: what was used in the last so many is not given up for something new, or a fleet larger than LIMIT would
push out every span just before it is needed."""
_FRAME = 1000
"""Bytes about, of a block or span beside its arrays."""
_ARRAYS = [f.name for f in fields(Block)][2:]
_COUNTS = ("num_min", "num_last", "active_min", "active_last")
_NARROW = np.uint32


def closed_before(newest: int) -> int:
    """Where the first bucket begins that is not closed, by the newest snapshot (milliseconds both)."""
    return newest // CLOSING * CLOSING


@dataclass(frozen=True, slots=True)
class Span:
    """Blocks of all that one node has from `first` up to, not including, `until` (milliseconds)."""

    disturbed: int
    """How often the node was disturbed before it was read."""
    first: int
    until: int
    blocks: tuple[Block, ...] = ()
    rows: Mapping[str, tuple[CacheRow, ...]] = field(default_factory=dict)
    """Of the blocks' layouts, which the store may have forgotten."""

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        arrays = {id(a): int(a.nbytes) for block in self.blocks for name in _ARRAYS for a in [getattr(block, name)]}
        return sum(arrays.values()) + _FRAME * (len(self.blocks) + 1)

    def within(self, first: int, until: int) -> list[Block]:
        """What lies from `first` up to `until`."""
        if first <= self.first and until >= self.until:
            return list(self.blocks)
        return [block for block in (cut(b, first, until) for b in self.blocks) if len(block.time)]

    def joined(self, before: Sequence[Block], after: Sequence[Block], width: int) -> Span:
        """With what was read on both sides, in buckets of `width` seconds; one block a boot and layout."""
        groups: dict[tuple[str, str], list[Block]] = {}
        for block in (*before, *self.blocks, *after):
            if len(block.time):
                groups.setdefault((block.boot, block.layout), []).append(block)
        return replace(self, blocks=tuple(narrowed(coarsen(g, width)) for g in groups.values()))


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
                blocks = tuple(map(narrowed, span.within(first, span.until)))
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


def narrowed(block: Block) -> Block:
    """The same counts in half the memory, where all of them fit; arrays that were one stay one."""
    fits = all(
        not m.size or (m.dtype == _NARROW or (int(m.min()) >= 0 and int(m.max()) <= np.iinfo(_NARROW).max))
        for m in (getattr(block, name) for name in _COUNTS)
    )
    if not fits:
        return replace(block, **{name: getattr(block, name).astype(np.int64) for name in _COUNTS})
    known: dict[int, Any] = {}
    for name in _COUNTS:
        matrix = getattr(block, name)
        if id(matrix) not in known:
            known[id(matrix)] = matrix.astype(_NARROW)
    return replace(block, **{name: known[id(getattr(block, name))] for name in _COUNTS})


def cut(block: Block, first: int, until: int) -> Block:
    """The buckets whose last snapshot was taken from `first` up to, not including, `until` (milliseconds); no copy."""
    low, high = np.searchsorted(block.time, [(first - 0.5) / 1000, (until - 0.5) / 1000])
    if low == 0 and high == len(block.time):
        return block
    return replace(block, **{name: getattr(block, name)[low:high] for name in _ARRAYS})
