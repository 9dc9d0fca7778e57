"""Sealing: the snapshots of an hour that is over become one chunk, and enter the roll-ups."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from server.buckets import Block, coarsen
from server.storage.catalog import Changes
from server.storage.codec import Ints
from server.storage.damage import Damage
from server.storage.instants import HOUR
from server.storage.layouts import LayoutBook
from server.storage.mend import chunk_block, chunks_below, told_anew
from server.storage.reader import RECENT_COLUMNS, recent_samples
from server.storage.record import decode_counts, facts_of
from server.storage.rollups import SPANS, pack_block, unpack_block
from server.storage.samples import (
    Counts,
    Samples,
    concatenate,
    pack_counts,
    pack_samples,
    to_block,
    unpack_counts,
    unpack_samples,
)

__all__ = ["GRACE", "Sealing", "due", "seal_node"]

GRACE = 300_000
"""Milliseconds after the end of an hour in which late snapshots still find it open: merging later costs more."""
_LONGEST = 2 * HOUR
"""Since receipt: seals the hours of clocks that run ahead."""
_HOURS = 24
"""Hours of one node sealed at once; bounds the memory an import takes."""

Part = tuple[Samples, Counts]


@dataclass(slots=True)
class Sealing:
    """What is to be written: rows to delete from recent, rows to put in their place."""

    recent: list[tuple[int]] = field(default_factory=list)
    sealed: list[tuple[Any, ...]] = field(default_factory=list)
    rollups: list[tuple[Any, ...]] = field(default_factory=list)
    mended: list[tuple[Any, ...]] = field(default_factory=list)
    """Those rows of a roll-up that take a damaged one's place."""

    def work(self, db: sqlite3.Connection, changes: Changes) -> int:
        """Runs in the writer. A replaced row moves to the end of its table, where rows lie closest."""
        if not self.recent:
            return 0
        db.executemany("DELETE FROM recent WHERE id = ?", self.recent)
        db.executemany("INSERT OR REPLACE INTO sealed VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self.sealed)
        db.executemany("INSERT OR REPLACE INTO rollups VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", self.rollups)
        for row in self.mended:
            told_anew(changes, row)
        count, catalog = len(self.recent), changes.catalog
        db.execute("UPDATE totals SET value = value + ? WHERE name = 'sealed'", (count,))

        def publish() -> None:
            catalog.recent -= count
            catalog.sealed += count

        changes.after.append(publish)
        return count


def due(db: sqlite3.Connection, now: int) -> list[tuple[int, list[int]]]:
    """(node, hours) to be sealed at `now` (milliseconds), by node."""
    query = (
        f"SELECT node, taken / {HOUR} AS hour FROM recent GROUP BY node, hour "  # noqa: S608 - a number
        f"HAVING (hour + 1) * {HOUR} + {GRACE} <= ? OR max(received) + {_LONGEST} <= ? ORDER BY node, hour"
    )
    found = db.execute(query, (now, now)).fetchall()
    return [
        (node, hours[at : at + _HOURS])
        for node, rows in groupby(found, key=lambda row: row[0])
        for hours in [[hour for _, hour in rows]]
        for at in range(0, len(hours), _HOURS)
    ]


def seal_node(
    db: sqlite3.Connection, node: int, hours: Sequence[int], book: LayoutBook, into: Sealing, damage: Damage
) -> None:
    """Adds to `into` what sealing these hours of the node takes, late snapshots merged with what is sealed already.

    Damaged snapshots, and those whose chunk or layout is, stay in recent.
    """
    fresh: dict[tuple[int, int], list[tuple[Block, int]]] = {}
    for hour in hours:
        for boot, number, rows, part in _parts(db, node, hour, book, damage):
            chunk = _chunk(db, (node, hour, boot, number), book, part, damage)
            if chunk is not None:
                into.recent += rows
                into.sealed.append(chunk)
                fresh.setdefault((boot, number), []).append(_block(part))
    for (boot, number), blocks in fresh.items():
        per_slab = book.load(db, number).per_slab
        for width in SPANS:
            for row, damaged in _merge(db, (node, width), (boot, number), blocks, per_slab, damage):
                into.rollups.append(row)
                into.mended += [row] * damaged


def _parts(
    db: sqlite3.Connection, node: int, hour: int, book: LayoutBook, damage: Damage
) -> Iterator[tuple[int, int, list[tuple[int]], Part]]:
    query = (
        f"SELECT id, boot, layout, counts, {RECENT_COLUMNS} FROM recent "  # noqa: S608 - constant
        "WHERE node = ? AND taken BETWEEN ? AND ? ORDER BY taken"
    )
    groups: dict[tuple[int, int], list[tuple[tuple[int], Part]]] = {}
    for row, boot, number, blob, *rest in db.execute(query, (node, hour * HOUR, (hour + 1) * HOUR - 1)):
        with damage.skip("recent", row):
            facts_of(rest[-1])
            part = recent_samples([tuple(rest)]), decode_counts(blob, len(book.load(db, number).rows))
            groups.setdefault((boot, number), []).append(((row,), part))
    for (boot, number), found in groups.items():
        yield boot, number, [row for row, _ in found], concatenate([part for _, part in found])


def _block(part: Part) -> tuple[Block, int]:
    samples, counts = part
    return to_block(samples, counts), int(samples.received.max())


def _chunk(
    db: sqlite3.Connection, key: tuple[int, int, int, int], book: LayoutBook, part: Part, damage: Damage
) -> tuple[Any, ...] | None:
    """The row of that node, hour, boot and layout; None where the one there cannot be read: it is not written over."""
    per_slab = book.load(db, key[-1]).per_slab
    query = "SELECT id, samples, counts FROM sealed WHERE node = ? AND start = ? AND boot = ? AND layout = ?"
    before = db.execute(query, key).fetchone()
    if before:
        merged = None
        with damage.skip("sealed", before[0]):
            samples = unpack_samples(before[1])
            merged = concatenate([(samples, unpack_counts(before[2], len(samples), per_slab)), part])
        if merged is None:
            return None
        part = merged
    samples, counts = part
    bounds = (int(samples.taken[0]), int(samples.taken[-1]), int(samples.received.max()), len(samples))
    return (*key, *bounds, pack_samples(samples), pack_counts(counts, per_slab))


def _merge(
    db: sqlite3.Connection,
    tier: tuple[int, int],
    series: tuple[int, int],
    fresh: list[tuple[Block, int]],
    per_slab: Ints,
    damage: Damage,
) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Rows of one roll-up with the fresh snapshots in them; a block never spans two rows, being of one hour.

    A damaged row is replaced, its former snapshots taken from their chunks as far as these are there; and said so.
    """
    query = (
        "SELECT id, buckets, received FROM rollups "
        "WHERE node = ? AND width = ? AND start = ? AND boot = ? AND layout = ?"
    )
    for start, group in groupby(fresh, key=lambda item: int(item[0].time[0] // SPANS[tier[1]])):
        key = (*tier, start, *series)
        items = list(group)
        blocks, received = [block for block, _ in items], max(at for _, at in items)
        before = db.execute(query, key).fetchone()
        known: list[Block] = []
        if before:
            received = max(received, before[2])
            with damage.skip("rollups", before[0]):
                known.append(unpack_block("", "", before[1], per_slab))
        damaged = before is not None and not known
        for row, samples, counts in chunks_below(db, key) if damaged else []:
            with damage.skip("sealed", row):
                known.append(chunk_block(samples, counts, per_slab))
        yield (*key, received, pack_block(coarsen(blocks + known, tier[1]), per_slab)), damaged
