"""A damaged row of a roll-up is made anew from the sealed snapshots it was made of, where these are all there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from server.buckets import Block, coarsen
from server.storage.catalog import Changes
from server.storage.codec import Ints
from server.storage.damage import UNREADABLE
from server.storage.instants import HOUR
from server.storage.layouts import LayoutBook
from server.storage.rollups import SPANS, pack_block
from server.storage.samples import to_block, unpack_counts, unpack_samples

__all__ = ["chunk_block", "chunks_below", "mended", "put", "told_anew"]

Row = tuple[int, int, int, int, int, int, bytes]
"""Of a roll-up: node, width, start, boot, layout, received, buckets."""


def chunks_below(db: sqlite3.Connection, key: Sequence[int]) -> list[tuple[int, bytes, bytes]]:
    """The sealed hours (id, samples, counts) within that row of a roll-up: node, width, start, boot, layout."""
    node, width, start, boot, layout = key
    hours = SPANS[width] * 1000 // HOUR
    query = (
        "SELECT id, samples, counts FROM sealed "
        "WHERE node = ? AND start >= ? AND start < ? AND boot = ? AND layout = ? ORDER BY start"
    )
    return db.execute(query, (node, start * hours, (start + 1) * hours, boot, layout)).fetchall()


def chunk_block(samples: bytes, counts: bytes, per_slab: Ints) -> Block:
    """A sealed hour as buckets of one snapshot each. Raises what UNREADABLE lists."""
    unpacked = unpack_samples(samples)
    return to_block(unpacked, unpack_counts(counts, len(unpacked), per_slab))


def mended(db: sqlite3.Connection, number: int, book: LayoutBook) -> Row | None:
    """What belongs in place of that damaged row; None where not all of its snapshots can be read any more."""
    query = "SELECT node, width, start, boot, layout, received FROM rollups WHERE id = ?"
    found = db.execute(query, (number,)).fetchone()
    if found is None:
        return None
    node, width, start, _, layout, received = found
    gone = "SELECT 1 FROM forgotten WHERE node = ? AND tier = 0 AND until > ?"
    if db.execute(gone, (node, start * SPANS[width] * 1000)).fetchone():
        return None
    try:
        per_slab = book.load(db, layout).per_slab
        blocks = [chunk_block(samples, counts, per_slab) for _, samples, counts in chunks_below(db, found[:5])]
    except UNREADABLE:
        return None
    return (*found[:5], received, pack_block(coarsen(blocks, width), per_slab)) if blocks else None


def put(db: sqlite3.Connection, changes: Changes, row: Row) -> None:
    """Writes it in the damaged one's place."""
    db.execute("INSERT OR REPLACE INTO rollups VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", row)
    told_anew(changes, row)


def told_anew(changes: Changes, row: Sequence[Any]) -> None:
    """Answers that lacked what stands in this row of a roll-up no longer hold."""
    node, width, start, *_ = row
    span = SPANS[width] * 1000
    changes.gone.append((start * span, (start + 1) * span - 1))
    changes.disturbed.add(node)
