"""Reading windows: whole buckets from the roll-ups, what start and end cut from the snapshots themselves."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from server.buckets import Block, CacheRow
from server.storage.damage import UNREADABLE, Damage
from server.storage.ingest import HOUR
from server.storage.kept import CLOSING, Kept, Span, closed_before, cut, joined, pack
from server.storage.layouts import LayoutBook
from server.storage.reader import recent_samples
from server.storage.record import decode_pair
from server.storage.rollups import SPANS, unpack_block
from server.storage.samples import to_block, unpack_objects, unpack_samples

__all__ = ["WindowReader"]

_RECENT = (
    "SELECT boot, layout, id, counts, taken, received, offset, uptime, read_seconds, total, available, "
    "slab_reclaimable, slab_unreclaimable, '' FROM recent WHERE node = ? AND taken BETWEEN ? AND ?"
)
_OLDEST, _NEVER = "SELECT min(taken) FROM recent WHERE node = ?", 2**62
_SEALED = (
    "SELECT id, start, boot, layout, samples, counts FROM sealed "
    "WHERE node = ? AND start BETWEEN ? AND ? AND first <= ? AND last >= ?"
)
_ROLLUPS = "SELECT id, boot, layout, buckets FROM rollups WHERE node = ? AND width = ? AND start BETWEEN ? AND ?"


@dataclass(slots=True)
class WindowReader:
    """The blocks of one node after the other within [low, high] (milliseconds, both included)."""

    db: sqlite3.Connection
    book: LayoutBook
    boots: Mapping[int, str]
    damage: Damage
    caches: Collection[str] | None = None
    kept: Kept | None = None
    ages: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Of each node its newest snapshot (milliseconds) and how often it was disturbed, before this reading began."""
    rows: dict[str, tuple[CacheRow, ...]] = field(default_factory=dict)
    """The rows kept of each layout met, as server.assemble wants them."""
    _columns: dict[int, NDArray[np.intp] | None] = field(default_factory=dict)
    """Which rows of a layout are wanted, by its number; `_picked` by its hash, of layouts met in what is kept."""
    _picked: dict[str, NDArray[np.intp]] = field(default_factory=dict)
    _forgotten: Mapping[int, int] = field(init=False)
    """Up to which instant each tier has forgotten something; 0 is the snapshots."""
    _oldest: dict[int, int] = field(default_factory=dict)
    """By node, when the first of its snapshots was taken that are not sealed (milliseconds)."""
    _lost: bool = False
    """Whether something damaged was met: what stands in for it is not kept."""

    def __post_init__(self) -> None:
        self._forgotten = dict(self.db.execute("SELECT tier, until FROM forgotten"))

    def blocks(self, node: int, low: int, high: int, width: int) -> list[Block]:
        """All blocks of the node; they share no snapshot, and none is coarser than `width` seconds where avoidable."""
        if self.kept is None or width < min(SPANS):
            return self._read(node, low, high, width)
        tier = max(w for w in SPANS if w <= width)
        first, end = _whole(low, high, tier)
        closed = closed_before(self.ages[node][0])
        end = min(end, _floor(closed, tier * 1000))
        if first >= end:
            return self._read(node, low, high, width)
        self._lost = False
        found = self._head(self.kept, node, low, first, tier) + self._closed(self.kept, node, first, end, tier)
        fine = min(_floor(high + 1, CLOSING), closed)
        if end < fine:
            found += self._closed(self.kept, node, end, fine, min(SPANS))
            end = fine
        return found + self._read(node, end, high, width)

    def _head(self, kept: Kept, node: int, low: int, first: int, tier: int) -> list[Block]:
        """What lies from `low` up to the first whole bucket at `first`.

        Snapshots are kept only up to the next five minutes, as long as the next windows begin there.
        """
        if low >= first:
            return []
        key, disturbed = (node, tier, "head"), self.ages[node][1]
        whole = low >= self._forgotten.get(0, 0)  # else it may come from roll-ups, and change when more is forgotten
        span = kept.find(key, disturbed, low) if whole else None
        if span is not None and span.until == first and span.first <= low <= _ceil(span.first, CLOSING):
            return self._taken(span, low, first)
        read = self._read(node, low, first - 1, 0)
        if not whole or self.caches is not None:
            return read
        edge = min(_ceil(low, CLOSING), first)
        found = [cut(block, low, edge) for block in read] + joined((cut(b, edge, first) for b in read), min(SPANS))
        self._keep(kept, key, Span(disturbed, low, first), found, low)
        return found

    def _closed(self, kept: Kept, node: int, first: int, end: int, tier: int) -> list[Block]:
        """The buckets of `tier` seconds within [first, end), all of them closed."""
        key, disturbed = (node, tier), self.ages[node][1]
        span = kept.find(key, disturbed, first)
        if span is not None and span.first <= first and end <= span.until:
            return self._taken(span, first, end)
        if self.caches is not None:
            return self._read(node, first, end - 1, tier)
        if span is None or first > span.until or end < span.first:
            span = Span(disturbed, first, first)
        found = self._taken(span, span.first, span.until)
        if first < span.first:
            found += self._read(node, first, span.first - 1, tier)
        if end > span.until:
            found += self._read(node, span.until, end - 1, tier)
        span = replace(span, first=min(first, span.first), until=max(end, span.until))
        found = joined(found, tier)
        self._keep(kept, key, span, found, first)
        return [cut(block, first, end) for block in found]

    def _keep(self, kept: Kept, key: Hashable, span: Span, blocks: list[Block], first: int) -> None:
        """Unless something damaged is lacking."""
        if not self._lost:
            packed = tuple(pack(block) for block in blocks if len(block.time))
            rows = {block.bare.layout: self.rows[block.bare.layout] for block in packed}
            kept.put(key, replace(span, blocks=packed, rows=rows), first)

    def _taken(self, span: Span, first: int, until: int) -> list[Block]:
        """What a span holds from `first` up to `until`; of the wanted rows."""
        if self.caches is None:
            self.rows.update((name, rows) for name, rows in span.rows.items() if name not in self.rows)
            return span.within(first, until)
        for layout, rows in span.rows.items():
            if layout not in self._picked:
                self._picked[layout], self.rows[layout] = _wanted(rows, self.caches)
        blocks = (block.within(first, until, self._picked[block.bare.layout]) for block in span.blocks)
        return [block for block in blocks if len(block.time)]

    def _read(self, node: int, low: int, high: int, width: int) -> list[Block]:
        """The same from the file."""
        found = list(self._recent(node, low, high))
        if width < min(SPANS):
            return found + list(self._snapshots(node, low, high))
        tier = max(w for w in SPANS if w <= width)
        first, end = _whole(low, high, tier)
        if first >= end:
            return found + list(self._snapshots(node, low, high))
        found += self._buckets(node, first, end, tier)
        found += self._snapshots(node, low, first - 1)
        found += self._snapshots(node, end, high)
        return found

    def _kept(self, number: int) -> NDArray[np.intp] | None:
        """Which rows of a layout are wanted; None for all."""
        if number not in self._columns:
            layout = self.book.load(self.db, number)
            rows, columns = layout.rows, None
            if self.caches is not None:
                columns, rows = _wanted(rows, self.caches)
            self.rows[layout.hash], self._columns[number] = rows, columns
        return self._columns[number]

    def _recent(self, node: int, low: int, high: int) -> Iterator[Block]:
        if node not in self._oldest:
            (oldest,) = self.db.execute(_OLDEST, (node,)).fetchone()
            self._oldest[node] = _NEVER if oldest is None else oldest
        if high < self._oldest[node]:
            return
        groups: dict[tuple[int, int], list[tuple[object, ...]]] = {}
        for row in self.db.execute(_RECENT, (node, low, high)):
            groups.setdefault(row[:2], []).append(row[2:])
        for series, rows in groups.items():
            try:
                yield self._recent_block(series, rows)
            except UNREADABLE:
                for row in rows:  # some of them are at fault: the others shall be seen
                    block = None
                    with self.damage.skip("recent", row[0]):  # type: ignore[arg-type] # its number
                        block = self._recent_block(series, [row])
                    if block is None:
                        self._lost = True
                    else:
                        yield block

    def _recent_block(self, series: tuple[int, int], rows: list[tuple[object, ...]]) -> Block:
        boot, number = series
        columns = self._kept(number)
        samples = recent_samples([row[2:] for row in rows])
        num, active = decode_pair([row[1] for row in rows], self.book.width(number))  # type: ignore[misc] # counts
        if columns is not None:
            num, active = num[:, columns], active[:, columns]
        return to_block(self.boots[boot], self.book.hash(number), samples, num, active)

    def _snapshots(self, node: int, low: int, high: int) -> Iterator[Block]:
        """Sealed snapshots; where they are forgotten or damaged, what the roll-ups still know of whole buckets."""
        if low > high:
            return
        hours, lost = set(), False
        query = (node, low // HOUR, high // HOUR, high, low)
        for row, start, boot, number, samples_blob, counts_blob in self.db.execute(_SEALED, query):
            block = None
            with self.damage.skip("sealed", row):
                columns, samples = self._kept(number), unpack_samples(samples_blob, series=True)
                per_slab = self.book.load(self.db, number).per_slab
                num, active = unpack_objects(counts_blob, len(samples), per_slab, columns)
                inside = np.flatnonzero((samples.taken >= low) & (samples.taken <= high))
                if len(inside) < len(samples):
                    samples, num, active = samples.take(inside), num[inside], active[inside]
                block = to_block(self.boots[boot], self.book.hash(number), samples, num, active)
            if block is None:
                lost = self._lost = True
                continue
            hours.add(start)
            yield block
        if lost or low < self._forgotten.get(0, 0):
            tier = min(SPANS)
            for block in self._buckets(node, *_whole(low, high, tier), tier):
                yield from _outside(block, hours)

    def _buckets(self, node: int, first: int, end: int, tier: int) -> Iterator[Block]:
        """Buckets of `tier` seconds within [first, end), both on its grid; where they are gone, of the next tier."""
        if first >= end:
            return
        span = SPANS[tier] * 1000
        hours: set[int] = set()
        lost = False
        for row, boot, number, blob in self.db.execute(_ROLLUPS, (node, tier, first // span, (end - 1) // span)):
            block = None
            with self.damage.skip("rollups", row):
                columns = self._kept(number)
                per_slab = self.book.load(self.db, number).per_slab
                block = unpack_block(self.boots[boot], self.book.hash(number), blob, per_slab, columns)
            if block is None:
                lost = self._lost = True
                continue
            block = cut(block, first, end)
            hours.update(_hours(block).tolist())
            yield block
        coarser = [w for w in SPANS if w > tier]
        if coarser and (lost or first < self._forgotten.get(tier, 0)):
            for block in self._buckets(node, *_whole(first, end - 1, coarser[0]), coarser[0]):
                yield from _outside(block, hours)


def _wanted(rows: Sequence[CacheRow], caches: Collection[str]) -> tuple[NDArray[np.intp], tuple[CacheRow, ...]]:
    """The places of the rows with these names, and those rows."""
    places = [i for i, row in enumerate(rows) if row.name in caches]
    return np.array(places, dtype=np.intp), tuple(rows[i] for i in places)


def _whole(low: int, high: int, tier: int) -> tuple[int, int]:
    """The whole buckets of `tier` seconds within [low, high]: from and up to, not including (milliseconds)."""
    return _ceil(low, tier * 1000), _floor(high + 1, tier * 1000)


def _floor(at: int, step: int) -> int:
    return at // step * step


def _ceil(at: int, step: int) -> int:
    return -(-at // step) * step


def _hours(block: Block) -> NDArray[np.int64]:
    return np.floor_divide(np.rint(block.time * 1000).astype(np.int64), HOUR)


def _outside(block: Block, hours: set[int]) -> Iterator[Block]:
    """What of the block lies in other hours."""
    yield _cut(block, ~np.isin(_hours(block), sorted(hours))) if hours else block


def _cut(block: Block, wanted: NDArray[np.bool_]) -> Block:
    if wanted.all():
        return block
    names = [f.name for f in fields(Block)][2:]
    return replace(block, **{name: getattr(block, name)[wanted] for name in names})
