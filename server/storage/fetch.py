"""Blocks of many nodes from the file, decoded together: whole buckets from roll-ups, the rest from snapshots."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np

from server.buckets import Block, CacheRow
from server.coarsen import Snapshots, coarsen_all
from server.storage.chunks import coarsen_chunks
from server.storage.codec import Columns, split
from server.storage.damage import UNREADABLE, Damage
from server.storage.instants import HOUR
from server.storage.layouts import LayoutBook
from server.storage.pieces import Grid, hours_of, inside, outside, wanted_rows, whole
from server.storage.reader import recent_samples
from server.storage.record import decode_pair
from server.storage.rollups import SPANS, form_of, unpack_blocks
from server.storage.samples import UNKNOWN, snapshots_in, unpack_objects, unpack_series

__all__ = ["Fetch", "Found"]

_RECENT = (
    "SELECT id, node, boot, layout, counts, taken, received, offset, uptime, read_seconds, total, available, "
    "slab_reclaimable, slab_unreclaimable, '' FROM recent WHERE node IN ({}) AND taken BETWEEN ? AND ?"
)
_SEALED = (
    "SELECT id, node, boot, layout, start, samples, counts FROM sealed "
    "WHERE node IN ({}) AND start BETWEEN ? AND ? AND first <= ? AND last >= ?"
)
_ROLLUPS = (
    "SELECT id, node, boot, layout, start, buckets FROM rollups "
    "WHERE node IN ({}) AND width = ? AND start BETWEEN ? AND ?"
)
_FORGOTTEN = "SELECT node, tier, until FROM forgotten WHERE node IN ({}) AND typeof(until) = 'integer'"

_MOST = 2**21
"""Counts of objects, about, that are decoded together: those of 64 nodes with usual layouts, a snapshot a minute."""

T = TypeVar("T")
R = TypeVar("R")
Found = dict[int, list[Block]]
"""Blocks by node."""
_Hours = dict[tuple[int, str, str], set[int]]
"""By node, boot and layout."""


class _Row(NamedTuple):
    """A row of sealed or rollups."""

    id: int
    node: int
    boot: int
    layout: int
    start: int
    blobs: list[Any]
    """Each split into its sections."""


@dataclass(slots=True)
class Fetch:
    """Reads from one state of the file. Blocks of one node share no snapshot."""

    db: sqlite3.Connection
    book: LayoutBook
    boots: Mapping[int, str]
    damage: Damage
    nodes: Collection[int]
    """Those that are to be read."""
    caches: Collection[str] | None = None
    rows: dict[str, tuple[CacheRow, ...]] = field(default_factory=dict)
    """The rows kept of each layout met, as server.assemble wants them."""
    lost: set[int] = field(default_factory=set)
    """Nodes of which something damaged was met: what stands in for it is not to be kept."""
    most: int = _MOST
    """Bounds memory where snapshots come by the second, or layouts list thousands of caches."""
    forgotten: Mapping[tuple[int, int], int] = field(init=False)
    """By node and tier (0 is the snapshots) up to which instant something was forgotten, where anything was."""
    _columns: dict[int, Columns] = field(default_factory=dict)
    """Which rows of a layout are wanted, by its number; None for all."""

    def __post_init__(self) -> None:
        self.forgotten = {(node, tier): until for node, tier, until in self._ask(_FORGOTTEN, self.nodes)}

    def blocks(self, nodes: Collection[int], low: int, high: int, width: int) -> Found:
        """What lies within [low, high] (milliseconds): none coarser than `width` seconds where avoidable."""
        found, grid = {node: list[Block]() for node in nodes}, Grid(low, high, width)
        self._recent(found, grid)
        tier = max((w for w in SPANS if w <= width), default=0)
        first, end = whole(low, high, tier) if tier else (low, low)
        if first >= end:
            self._sealed(found, grid)
        else:
            self._rollups(found, found, first, end, tier)
            self._sealed(found, Grid(low, first - 1, width))
            self._sealed(found, Grid(end, high, width))
        return found

    def snapshots(self, nodes: Collection[int], low: int, high: int, width: int, single: int) -> Found:
        """The same from snapshots alone where these are known: singly up to `single`, then in buckets."""
        found, grid = {node: list[Block]() for node in nodes}, Grid(low, high, width, single)
        self._recent(found, grid)
        self._sealed(found, grid)
        return found

    def _wanted(self, number: int) -> Columns:
        if number not in self._columns:
            layout = self.book.load(self.db, number)
            rows, columns = layout.rows, None
            if self.caches is not None:
                columns, rows = wanted_rows(rows, self.caches)
            self.rows[layout.hash], self._columns[number] = rows, columns
        return self._columns[number]

    def _ask(self, query: str, nodes: Collection[int], *values: int) -> Iterable[tuple[Any, ...]]:
        return self.db.execute(query.format(", ".join("?" * len(nodes))), (*nodes, *values))

    def _names(self, rows: Iterable[_Row]) -> list[tuple[str, str]]:
        """Boot and layout of each."""
        return [(self.boots[row.boot], self.book.hash(row.layout)) for row in rows]

    def _recent(self, found: Found, grid: Grid) -> None:
        if grid.low > grid.high or not found:
            return
        by_layout: dict[int, list[tuple[Any, ...]]] = {}
        for row in self._ask(_RECENT, found, grid.low, grid.high):
            by_layout.setdefault(row[3], []).append(row)
        for rows in by_layout.values():
            rows.sort(key=itemgetter(1, 2, 5))  # node, boot, taken
            try:
                blocks = list(self._recent_blocks(rows, grid))
            except UNREADABLE:
                blocks = list(self._recent_blocks([row for row in rows if self._readable(row)], grid))
            for node, block in blocks:
                found[node].append(block)

    def _readable(self, row: tuple[Any, ...]) -> bool:
        with self.damage.skip("recent", row[0]):
            return bool(list(self._recent_blocks([row], Grid(0, 0, 1))))
        self.lost.add(row[1])
        return False

    def _recent_blocks(self, rows: Sequence[tuple[Any, ...]], grid: Grid) -> Iterator[tuple[int, Block]]:
        """Of rows of one layout, by node, boot and time."""
        if not rows:
            return
        number = rows[0][3]
        columns, width = self._wanted(number), self.book.width(number)
        for some in self._pieces(rows, width):
            num, active = decode_pair([row[4] for row in some], width)
            if columns is not None:
                num, active = num[:, columns], active[:, columns]
            samples = recent_samples([row[5:] for row in some])
            memory = np.where(samples.memory == UNKNOWN, np.nan, samples.memory)
            series = {one: place for place, one in enumerate(dict.fromkeys((row[1], row[2]) for row in some))}
            which = np.array([series[row[1], row[2]] for row in some], dtype=np.intp)
            names = [(self.boots[boot], self.book.hash(number)) for _, boot in series]
            snapshots = Snapshots(names, which, samples.taken / 1000.0, samples.uptime, memory, num, active)
            blocks = coarsen_all(snapshots, grid.width, grid.single / 1000)
            yield from zip((node for node, _ in series), blocks, strict=True)

    def _pieces(self, rows: Sequence[R], counts: int) -> Iterator[Sequence[R]]:
        """The rows, of so many counts each, in parts of no more than `most` counts, or of one row."""
        step = max(1, self.most // max(counts, 1))
        return (rows[at : at + step] for at in range(0, len(rows), step))

    def _split(
        self, table: str, rows: Iterable[tuple[Any, ...]], form: Callable[[Any], T], lost: list[_Row]
    ) -> dict[tuple[int, T], list[_Row]]:
        """The rows by layout and by form (of the first blob); into `lost` the damaged ones."""
        alike: dict[tuple[int, T], list[_Row]] = {}
        for row, node, boot, number, start, *blobs in rows:
            whole_row = None
            with self.damage.skip(table, row):
                self._wanted(number)
                plain = [split(blob) for blob in blobs]
                key, whole_row = (number, form(plain[0])), _Row(row, node, boot, number, start, plain)
            if whole_row is None:
                lost.append(_Row(row, node, boot, number, start, []))
            else:
                alike.setdefault(key, []).append(whole_row)
        return alike

    def _unpacked(
        self, table: str, rows: Sequence[_Row], unpack: Callable[[Sequence[_Row]], Sequence[Block]], lost: list[_Row]
    ) -> list[tuple[_Row, Block]]:
        """The block of each row, without those that are damaged."""
        try:
            return list(zip(rows, unpack(rows), strict=True))
        except UNREADABLE as error:
            if len(rows) == 1:
                self.damage.note(table, rows[0].id, error)
                lost += rows
                return []
        return [pair for row in rows for pair in self._unpacked(table, [row], unpack, lost)]

    def _sealed(self, found: Found, grid: Grid) -> None:
        """Sealed snapshots; where they are forgotten or damaged, what the roll-ups still know of whole buckets."""
        if grid.low > grid.high or not found:
            return
        lost, there = list[_Row](), _Hours()
        rows = self._ask(_SEALED, found, grid.low // HOUR, grid.high // HOUR, grid.high, grid.low)
        for (number, times), own in self._split("sealed", rows, snapshots_in, lost).items():
            for some in self._pieces(own, times * self.book.width(number)):
                for row, block in self._unpacked("sealed", some, partial(self._chunks, grid=grid), lost):
                    found[row.node].append(block)
                    there.setdefault((row.node, block.boot, block.layout), set()).add(row.start)
        unsure = self._unsure(found, 0, grid.low)
        self._stand_in(found, whole(grid.low, grid.high, min(SPANS)), min(SPANS), unsure, there, self._lose(lost, 1))

    def _chunks(self, rows: Sequence[_Row], grid: Grid) -> list[Block]:
        """What of sealed hours of one layout and as many snapshots each lies within the grid."""
        number = rows[0].layout
        taken, uptime, memory = unpack_series([row.blobs[0] for row in rows])
        per_slab = self.book.load(self.db, number).per_slab
        counts = [row.blobs[1] for row in rows]
        pairs = unpack_objects(counts, taken.shape[1], per_slab, self._columns[number])
        return coarsen_chunks(self._names(rows), taken, uptime, memory, pairs, grid)

    def _rollups(self, found: Found, nodes: Collection[int], first: int, end: int, tier: int) -> None:
        """Buckets of `tier` seconds within [first, end), both on its grid; where they are gone, of the next tier."""
        if first >= end or not nodes:
            return
        span, lost, mine = SPANS[tier] * 1000, list[_Row](), list[tuple[int, Block]]()
        rows = self._ask(_ROLLUPS, nodes, tier, first // span, (end - 1) // span)
        for (number, form), own in self._split("rollups", rows, form_of, lost).items():
            unpack = partial(self._buckets, number=number, form=form, first=first, end=end)
            for some in self._pieces(own, form.times * form.width):
                mine += [(row.node, block) for row, block in self._unpacked("rollups", some, unpack, lost)]
        for node, block in mine:
            found[node].append(block)
        gone = self._lose(lost, span // HOUR)
        if coarser := [w for w in SPANS if w > tier]:
            unsure, there = self._unsure(nodes, tier, first), _Hours()
            for node, block in mine if unsure else ():
                there.setdefault((node, block.boot, block.layout), set()).update(hours_of(block).tolist())
            self._stand_in(found, whole(first, end - 1, coarser[0]), coarser[0], unsure, there, gone)

    def _buckets(self, rows: Sequence[_Row], number: int, form: Any, first: int, end: int) -> list[Block]:
        per_slab = self.book.load(self.db, number).per_slab
        blocks = [row.blobs[0] for row in rows]
        return unpack_blocks(self._names(rows), blocks, form, per_slab, self._columns[number], first, end)

    def _lose(self, rows: Iterable[_Row], each: int) -> _Hours:
        """The hours of these damaged rows, of so many `each`."""
        gone = _Hours()
        for row in rows:
            self.lost.add(row.node)
            with suppress(LookupError):  # what has no boot or layout has no roll-up either
                ((boot, layout),) = self._names([row])
                gone.setdefault((row.node, boot, layout), set()).update(range(row.start * each, (row.start + 1) * each))
        return gone

    def _unsure(self, nodes: Iterable[int], tier: int, first: int) -> set[int]:
        """Of which the tier may have forgotten something from `first` on."""
        return {node for node in nodes if first < self.forgotten.get((node, tier), 0)}

    def _stand_in(
        self, found: Found, span: tuple[int, int], tier: int, unsure: set[int], there: _Hours, gone: _Hours
    ) -> None:
        """Buckets of a roll-up for hours of a boot and layout of which something better is damaged or forgotten.

        It may be forgotten of the nodes `unsure`, where it is not `there`; of the others it is damaged where `gone`.
        """
        coarse: Found = {node: [] for node in unsure | {node for node, *_ in gone}}
        self._rollups(coarse, coarse, *span, tier)
        for node, blocks in coarse.items():
            for block in blocks:
                series = node, block.boot, block.layout
                part = outside(block, there.get(series, ())) if node in unsure else inside(block, gone.get(series, ()))
                found[node].append(part)
