"""Reduced buckets of the last windows in memory, so that the next window decodes only what is new.

A node's bucket is closed once a snapshot of a later bucket has come; from then on only a late snapshot or retention
changes it, and both disturb the node (Catalog.disturbed). A span of closed buckets is good for as long as its node was
not disturbed since before it was read. Sealing moves rows and changes no bucket.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.buckets import ARRAYS, Block, CacheRow

__all__ = ["LIMIT", "Kept", "Packed", "Part", "Span", "pack", "unpack"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LIMIT = 256 << 20
"""Bytes; some 40 KB a node for reports over 24 hours. Nodes past it are read from the file each time."""
_ROUND = 8
"""Windows: what was used in the last so many is not given up for something new, or a fleet larger than LIMIT would
push out every span just before it is needed."""
_FRAME = 2500
"""Bytes about, of what is packed together beside its arrays."""
_SPAN = 500
"""Bytes about, of a span beside its parts and rows."""
_ROW = 200
"""Bytes about, of a layout's row."""
_EVER = 2**62
"""Milliseconds."""
_ARRAY = 112
"""Bytes of an array beside its numbers."""
_TALL = np.array([0, 2**8 - 1, 2**16 - 1, 2**32 - 1], dtype=np.uint64)
"""The most that fits into none, one, two and four bytes."""
_TYPES = (np.uint8, np.uint8, np.uint16, np.uint32, np.uint64)
"""By the number of those that it is more than."""


@dataclass(frozen=True, slots=True)
class _Matrix:
    """[C, T] counts in an eighth of their memory: half of all caches stand still, most others move by a few."""

    least: NDArray[np.integer]
    """[C]"""
    above: tuple[tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger]], ...]
    """Which caches move, and how far they are above their least [caches, T]: by the bytes that this takes."""

    @classmethod
    def of(cls, first: Ints, rows: NDArray[np.intp], counts: Ints) -> _Matrix:
        """The matrix, to the last count: `first` [C] of all caches, and all `counts` [rows, T] of those that move."""
        low = counts.min(axis=1)
        least = first.copy()
        least[rows] = low
        above = (counts - low[:, None]).view(np.uint64)
        most = above.max(axis=1, initial=0)
        kinds, parts = _TALL.searchsorted(most), []
        for kind in range(1, int(kinds.max(initial=0)) + 1):
            chosen = (kinds == kind).nonzero()[0]
            if len(chosen):
                moving = rows[chosen].astype(np.min_scalar_type(len(least)))
                parts.append((moving, above[chosen].astype(_TYPES[kind])))
        small = np.min_scalar_type(least.max(initial=0)) if least.min(initial=0) >= 0 else np.int64
        return cls(least.astype(small), tuple(parts))

    @property
    def bytes(self) -> int:
        """Memory that its arrays take."""
        return int(self.least.nbytes) + sum(int(a.nbytes + b.nbytes) + 2 * _ARRAY for a, b in self.above) + _ARRAY

    def within(self, low: int, high: int, columns: NDArray[np.intp] | None) -> Ints:
        """The times from `low` up to, not including, `high`; `columns`: only these caches."""
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
        return counts


@dataclass(frozen=True, slots=True)
class Packed:
    """Blocks of M nodes with one layout and as many buckets each, in little memory."""

    layout: str
    boots: tuple[str, ...]
    time: Floats
    """[M, T] as in Block; `uptime` and `samples` likewise."""
    uptime: Floats
    memory: Floats
    """[M, T, 4]"""
    samples: Ints
    num: _Matrix
    """Of M * C caches."""
    unused: _Matrix
    """How far active objects are below all: mostly zero, or few."""

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        arrays = (self.time, self.uptime, self.memory, self.samples)
        return self.num.bytes + self.unused.bytes + sum(int(array.nbytes) for array in arrays) + _FRAME

    def within(
        self, first: int, until: int, places: Sequence[int], columns: NDArray[np.intp] | None = None
    ) -> list[Block]:
        """The blocks at these places; `columns`: only these rows of the layout.

        Of each the buckets whose last snapshot was taken from `first` up to, not including, `until` (milliseconds).
        """
        time = self.time[places]
        low = (time < (first - 0.5) / 1000).sum(axis=1)
        high = np.maximum(low, (time < (until - 0.5) / 1000).sum(axis=1))
        begin, end, width = int(low.min()), int(high.max()), len(self.num.least) // len(self.boots)
        chosen = None
        if columns is not None or len(places) < len(self.boots):
            chosen = (np.array(places)[:, None] * width + (np.arange(width) if columns is None else columns)).ravel()
        num = self.num.within(begin, end, chosen)
        active = num - self.unused.within(begin, end, chosen)
        shape = (len(places), len(num) // len(places), end - begin)
        num, active = num.reshape(shape), active.reshape(shape)
        return [
            Block(
                self.boots[m],
                self.layout,
                self.time[m, a:b],
                self.uptime[m, a:b],
                self.memory[m, a:b],
                self.samples[m, a:b],
                num[k, :, a - begin : b - begin].T,
                active[k, :, a - begin : b - begin].T,
            )
            for k, (m, a, b) in enumerate(zip(places, low.tolist(), high.tolist(), strict=True))
        ]


class Part(NamedTuple):
    """The block of one node."""

    packed: Packed
    place: int


def pack(blocks: Sequence[Block]) -> list[Part]:
    """The blocks, to the last count, those of one layout and as many buckets together."""
    alike: dict[tuple[str, int], list[int]] = {}
    for index, block in enumerate(blocks):
        alike.setdefault((block.layout, len(block.time)), []).append(index)
    parts = dict[int, Part]()
    for own in alike.values():
        packed = _pack([blocks[index] for index in own])
        parts.update((index, Part(packed, place)) for place, index in enumerate(own))
    return [parts[index] for index in range(len(blocks))]


def _pack(blocks: Sequence[Block]) -> Packed:
    """Blocks of one layout and as many buckets."""
    time, uptime, memory, samples = (np.stack([getattr(block, name) for block in blocks]) for name in ARRAYS[:-2])
    every = np.arange(blocks[0].num_min.shape[1])
    moving = [every if block.moving is None else block.moving for block in blocks]
    rows = np.concatenate([place * len(every) + own for place, own in enumerate(moving)])
    firsts, counts = [], []
    for name in ARRAYS[-2:]:
        matrices = [getattr(block, name).T for block in blocks]
        firsts.append(np.concatenate([matrix[:, 0] for matrix in matrices]))
        counts.append(np.concatenate([matrix[own] for matrix, own in zip(matrices, moving, strict=True)]))
    boots = tuple(block.boot for block in blocks)
    num, unused = _Matrix.of(firsts[0], rows, counts[0]), _Matrix.of(firsts[0] - firsts[1], rows, counts[0] - counts[1])
    return Packed(blocks[0].layout, boots, time, uptime, memory, samples, num, unused)


def unpack(
    parts: Iterable[tuple[int, Part]], first: int, until: int, columns: Mapping[str, Any]
) -> Iterator[tuple[int, Block]]:
    """What of each node's parts lies within [first, until) (milliseconds), with its number.

    `columns`: the wanted rows of each layout of which not all are.
    """
    together: dict[int, tuple[Packed, list[int], list[int]]] = {}
    for node, (packed, place) in parts:
        _, nodes, places = together.setdefault(id(packed), (packed, [], []))
        nodes.append(node)
        places.append(place)
    for packed, nodes, places in together.values():
        for node, block in zip(nodes, packed.within(first, until, places, columns.get(packed.layout)), strict=True):
            if len(block.time):
                yield node, block


@dataclass(frozen=True, slots=True)
class Span:
    """Blocks of all that one node has from `first` up to, not including, `until` (milliseconds)."""

    disturbed: int
    """How often the node was disturbed before it was read."""
    first: int
    until: int
    parts: tuple[Part, ...] = ()
    rows: Mapping[str, tuple[CacheRow, ...]] = field(default_factory=dict)
    """Of the blocks' layouts, which the store may have forgotten."""


@dataclass(slots=True)
class _Rows:
    """A layout's rows, once for all spans that have blocks of it: a fleet may have a layout a node."""

    rows: tuple[CacheRow, ...]
    spans: int = 0
    """That have it."""

    @property
    def bytes(self) -> int:
        """Memory that they take, about."""
        return _ROW * len(self.rows)


@dataclass(slots=True)
class _Entry:
    span: Span
    used: int
    """The window that used it last."""
    used_widely: int
    """The window that last used nearly all of it."""


class Kept:
    """Spans by key, the least recently used first. Safe to use from any thread."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._together: dict[int, tuple[Packed, set[Hashable]]] = {}
        """What is packed together, by its id, and the keys whose spans have parts of it: it lives as long as any."""
        self._rows: dict[str, _Rows] = {}
        """By layout."""
        self._thinned: dict[int, int] = {}
        """Of those, which lost a part, and in which window first: mostly the others are soon replaced, too."""
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

    def outlived(self, key: Hashable) -> bool:
        """Whether no window has needed most of the span for long: what lies before the next may be given up."""
        with self._lock:
            return key in self._entries and self._window - self._entries[key].used_widely > _ROUND

    def put(self, spans: Mapping[Hashable, Span], first: int) -> None:
        """Keeps spans in place of those there, all or none: what is packed together lives as long as one part of it.

        `first`: from when on they are needed.
        """
        with self._lock:
            entries = dict[Hashable, _Entry]()
            for key, span in spans.items():
                old = self._drop(key)
                used_widely = self._window if old is None or _widely(span, first) else old.used_widely
                entries[key] = _Entry(self._sharing(span), self._window, used_widely)
            packed = {id(part.packed): part.packed for span in spans.values() for part in span.parts}
            size = sum(one.bytes for one in packed.values()) + _SPAN * len(spans)
            full = self.bytes + size > self._limit
            for number in [number for number, at in self._thinned.items() if full or self._window - at > _ROUND]:
                del self._thinned[number]
                self._condense(number)
            if self._room(size):
                self._entries.update(entries)
                self._together.update((number, (one, set())) for number, one in packed.items())
                for key, span in spans.items():
                    for part in span.parts:
                        self._together[id(part.packed)][1].add(key)
                self.bytes += size
            else:
                for span in spans.values():
                    self._release(span)

    def _sharing(self, span: Span) -> Span:
        """The span, its rows held once for all."""
        for layout, rows in span.rows.items():
            held = self._rows.setdefault(layout, _Rows(rows))
            self.bytes += 0 if held.spans else held.bytes
            held.spans += 1
        return replace(span, rows={layout: self._rows[layout].rows for layout in span.rows})

    def _release(self, span: Span) -> None:
        """Gives up the rows that no other span has."""
        for layout in span.rows:
            held = self._rows[layout]
            held.spans -= 1
            if not held.spans:
                self.bytes -= self._rows.pop(layout).bytes

    def _drop(self, key: Hashable) -> _Entry | None:
        """Gives up a span; what other spans have parts of stays."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self.bytes -= _SPAN
        self._release(entry.span)
        for number in {id(part.packed) for part in entry.span.parts}:
            keys = self._together[number][1]
            keys.remove(key)
            if keys:
                self._thinned.setdefault(number, self._window)
            else:
                self.bytes -= self._together.pop(number)[0].bytes
                self._thinned.pop(number, None)
        return entry

    def _condense(self, number: int) -> None:
        """Packs anew what lost half of its parts and more: a node that is gone must not keep those of its time."""
        packed, keys = self._together[number]
        own = [(key, part.place) for key in keys for part in self._entries[key].span.parts if part.packed is packed]
        if 2 * len(own) > len(packed.boots):
            return
        fresh = dict(zip(own, pack(packed.within(0, _EVER, [place for _, place in own])), strict=True))
        for key in keys:
            span = self._entries[key].span
            parts = (fresh[key, part.place] if part.packed is packed else part for part in span.parts)
            self._entries[key].span = replace(span, parts=tuple(parts))
        (one,) = {id(part.packed): part.packed for part in fresh.values()}.values()
        self.bytes += one.bytes - packed.bytes
        del self._together[number]
        self._together[id(one)] = one, keys

    def _room(self, wanted: int) -> bool:
        """Gives up what was not used for long, the oldest first, until so many bytes fit in."""
        while self.bytes + wanted > self._limit:
            oldest = next(iter(self._entries), None)
            if oldest is None or self._entries[oldest].used + _ROUND >= self._window:
                return False
            self._drop(oldest)
        return True


def _widely(span: Span, first: int) -> bool:
    """Whether a window that begins at `first` needs nearly all of it."""
    return (first - span.first) * 5 <= span.until - span.first
