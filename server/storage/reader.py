"""Reading snapshots back: one at an instant, and which instants there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from server.storage.base import Instant, Stored
from server.storage.codec import Ints
from server.storage.damage import Damage
from server.storage.instants import HOUR
from server.storage.layouts import LayoutBook
from server.storage.record import decode_counts, facts_of, to_snapshot
from server.storage.samples import UNKNOWN, Samples, unpack_counts, unpack_samples

__all__ = ["RECENT_COLUMNS", "at", "instants", "recent_samples"]

RECENT_COLUMNS = (
    "taken, received, offset, uptime, read_seconds, total, available, slab_reclaimable, slab_unreclaimable, facts"
)
_LAST = 2**62


def _floats(values: Iterable[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def recent_samples(rows: list[tuple[Any, ...]]) -> Samples:
    """Rows of RECENT_COLUMNS as columns."""
    taken, received, offset, uptime, read, *memory, facts = zip(*rows, strict=True)
    sizes = [[UNKNOWN if v is None else v for v in column] for column in memory]
    return Samples(
        np.array(taken, dtype=np.int64),
        np.array(received, dtype=np.int64),
        _floats(offset),
        _floats(uptime),
        _floats(read),
        np.array(sizes, dtype=np.int64).T,
        list(facts),
    )


@dataclass(slots=True)
class _Found:
    """Where one snapshot lies."""

    taken: int
    boot: str
    table: str
    row: int
    place: int = 0


def at(
    db: sqlite3.Connection,
    node: int,
    name: str,
    book: LayoutBook,
    boots: dict[int, str],
    instant: int | None,
    damage: Damage,
) -> Stored | None:
    """The newest whole snapshot at or before `instant` (milliseconds); with None the oldest of all.

    Of two boots' snapshots at one instant, the greater label is the newer.
    """
    oldest = instant is None
    order: Callable[..., _Found] = min if oldest else max
    bound, passed = _LAST if instant is None else instant, set[tuple[str, int]]()
    while True:
        candidates = list(_in_recent(db, node, boots, bound, passed, oldest=oldest))
        candidates += _in_sealed(db, node, boots, bound, passed, damage, oldest=oldest)
        if not candidates:
            return None
        found = order(candidates, key=lambda f: (f.taken, f.boot))
        with damage.skip(found.table, found.row):
            return _fetch(db, name, book, found)
        passed.add((found.table, found.row))


def _in_recent(
    db: sqlite3.Connection,
    node: int,
    boots: dict[int, str],
    bound: int,
    passed: set[tuple[str, int]],
    *,
    oldest: bool,
) -> Iterator[_Found]:
    """Those of the first instant that has any."""
    direction = "ASC" if oldest else "DESC"
    query = f"SELECT id, boot, taken FROM recent WHERE node = ? AND taken <= ? ORDER BY taken {direction}"  # noqa: S608 - one of two words
    nearest = None
    for row, boot, taken in db.execute(query, (node, bound)):
        if nearest not in (None, taken):
            return
        if ("recent", row) not in passed:
            nearest = taken
            yield _Found(taken, boots.get(boot, ""), "recent", row)


def _in_sealed(
    db: sqlite3.Connection,
    node: int,
    boots: dict[int, str],
    bound: int,
    passed: set[tuple[str, int]],
    damage: Damage,
    *,
    oldest: bool,
) -> Iterator[_Found]:
    """Those of the first hour that has any: one of each chunk."""
    direction = "ASC" if oldest else "DESC"
    query = (
        f"SELECT id, boot, start, samples FROM sealed WHERE node = ? AND start <= ? AND first <= ? "  # noqa: S608 - one of two words
        f"ORDER BY start {direction}"
    )
    nearest = None
    for row, boot, start, blob in db.execute(query, (node, bound // HOUR, bound)):
        if nearest not in (None, start):
            return
        if ("sealed", row) in passed:
            continue
        with damage.skip("sealed", row):
            taken: Ints = unpack_samples(blob).taken
            place = 0 if oldest else int(np.searchsorted(taken, bound, side="right")) - 1
            found = _Found(int(taken[place]), boots[boot], "sealed", row, place)
            nearest = start
            yield found


def _fetch(db: sqlite3.Connection, name: str, book: LayoutBook, found: _Found) -> Stored:
    if found.table == "recent":
        query = f"SELECT {RECENT_COLUMNS}, layout, counts FROM recent WHERE id = ?"  # noqa: S608 - constant
        *columns, number, counts_blob = db.execute(query, (found.row,)).fetchone()
        layout = book.load(db, number)
        samples, counts, row = recent_samples([tuple(columns)]), decode_counts(counts_blob, len(layout.rows)), 0
    else:
        query = "SELECT samples, layout, counts FROM sealed WHERE id = ?"
        blob, number, counts_blob = db.execute(query, (found.row,)).fetchone()
        layout = book.load(db, number)
        samples, row = unpack_samples(blob), found.place
        counts = unpack_counts(counts_blob, len(samples), layout.per_slab)
    offset = float(samples.offset[row])
    return Stored(
        to_snapshot(name, samples, counts, row, layout.caches),
        found.boot,
        int(samples.received[row]) / 1000,
        None if np.isnan(offset) else offset,
    )


def instants(
    db: sqlite3.Connection,
    node: int,
    book: LayoutBook,
    boots: dict[int, str],
    bounds: tuple[int, int],
    after: tuple[int, str] | None,
    limit: int,
    damage: Damage,
) -> list[Instant]:
    """Instants within `bounds` (milliseconds, both included), by (taken, boot), past `after`."""
    low, high = bounds
    if after is not None:
        low = max(low, after[0])
    query = (
        f"SELECT recent.id, layout, label, {RECENT_COLUMNS} FROM recent JOIN boots ON boots.id = recent.boot "  # noqa: S608 - constants only
        "WHERE recent.node = ? AND taken BETWEEN ? AND ? AND (taken, label) > (?, ?) ORDER BY taken, label LIMIT ?"
    )
    past = after or (-1, "")
    found: dict[tuple[int, str], Instant] = {}
    for row, number, label, *columns in db.execute(query, (node, low, high, *past, limit)):
        with damage.skip("recent", row):
            found[columns[0], label] = _instant(recent_samples([tuple(columns)]), 0, label, book.width(number))
    query = (
        "SELECT id, start, boot, layout, samples FROM sealed WHERE node = ? AND start BETWEEN ? AND ? "
        "AND last >= ? AND first <= ? ORDER BY start"
    )
    hour, enough = None, 0
    for chunk, start, boot, number, blob in db.execute(query, (node, low // HOUR, high // HOUR, low, high)):
        if start != hour and enough >= limit:
            break  # whole hours only: boots of one hour interleave
        hour = start
        with damage.skip("sealed", chunk):
            samples, label = unpack_samples(blob), boots[boot]
            for row, taken in enumerate(samples.taken.tolist()):
                if low <= taken <= high and (taken, label) > past:
                    found[taken, label] = _instant(samples, row, label, book.width(number))
                    enough += 1
    return [found[key] for key in sorted(found)[:limit]]


def _instant(samples: Samples, row: int, boot: str, caches: int) -> Instant:
    facts = facts_of(samples.facts[row])
    uptime, offset = (None if np.isnan(v) else float(v) for v in (samples.uptime[row], samples.offset[row]))
    taken, received = int(samples.taken[row]) / 1000, int(samples.received[row]) / 1000
    return Instant(taken, boot, facts.get("boot_id"), uptime, received, offset, facts.get("kernel"), caches)
