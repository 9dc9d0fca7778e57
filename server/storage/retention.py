"""Forgetting: each tier after its own time since receipt, nodes and layouts with the last thing that names them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from common.errors import ConfigError
from server.storage.catalog import Catalog, Changes
from server.storage.instants import HOUR
from server.storage.layouts import LayoutBook
from server.storage.rollups import SPANS

__all__ = [
    "Retention",
    "expired_recent",
    "expired_rollups",
    "expired_sealed",
    "forget_layouts",
    "forget_nodes",
    "give_back",
    "lost_nodes",
    "unused_layouts",
]

_DAY = 86400.0
_SLICE = 200
"""Rows or pages a transaction deletes."""
_SPARE = 10_000
"""Pages (10 MB) that may always lie free."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds since receipt that each tier is kept: imported history and clocks that run ahead count alike."""

    snapshots: float = 7 * _DAY
    five_minutes: float = 35 * _DAY
    hourly: float = 400 * _DAY

    def __post_init__(self) -> None:
        if not 0 < self.snapshots <= self.five_minutes <= self.hourly:
            raise ConfigError("--retention-raw may be no longer than --retention-5m, nor that than --retention-1h")

    def of(self, width: int) -> float:
        return self.five_minutes if width == min(SPANS) else self.hourly


def _note(db: sqlite3.Connection, tier: int, ends: Iterable[tuple[int, int]]) -> None:
    """That what these nodes had up to these instants (milliseconds) is not all there any more."""
    until: dict[int, int] = {}
    for node, end in ends:
        until[node] = max(end, until.get(node, 0))
    query = (
        "INSERT INTO forgotten VALUES (?, ?, ?) "
        "ON CONFLICT (node, tier) DO UPDATE SET until = max(until, excluded.until)"
    )
    db.executemany(query, [(node, tier, end) for node, end in until.items()])


def expired_recent(db: sqlite3.Connection, changes: Changes, rows: Sequence[int], before: int) -> int:
    """Deletes those of these unsealed rows that were received before that (milliseconds)."""
    gone = sum(db.execute("DELETE FROM recent WHERE id = ? AND received < ?", (row, before)).rowcount for row in rows)
    catalog = changes.catalog

    def publish() -> None:
        catalog.recent -= gone

    changes.after.append(publish)
    return gone


def expired_sealed(db: sqlite3.Connection, changes: Changes, before: int) -> int:
    """Deletes some sealed hours whose last receipt lies before that (milliseconds); gives how many rows."""
    query = "SELECT id, start, snapshots, node FROM sealed WHERE received < ? ORDER BY received LIMIT ?"
    rows = db.execute(query, (before, _SLICE)).fetchall()
    if not rows:
        return 0
    db.executemany("DELETE FROM sealed WHERE id = ?", [(row,) for row, *_ in rows])
    snapshots, catalog = sum(count for _, _, count, _ in rows), changes.catalog
    db.execute("UPDATE totals SET value = value - ? WHERE name = 'sealed'", (snapshots,))

    def publish() -> None:
        catalog.sealed -= snapshots

    changes.after.append(publish)
    changes.gone += [(start * HOUR, (start + 1) * HOUR - 1) for _, start, *_ in rows]
    _note(db, 0, ((node, (start + 1) * HOUR) for _, start, _, node in rows))
    return len(rows)


def expired_rollups(db: sqlite3.Connection, changes: Changes, width: int, before: int) -> int:
    """Deletes some rows of a roll-up likewise."""
    query = "SELECT id, start, node FROM rollups WHERE width = ? AND received < ? ORDER BY received LIMIT ?"
    rows = db.execute(query, (width, before, _SLICE)).fetchall()
    if rows:
        db.executemany("DELETE FROM rollups WHERE id = ?", [(row,) for row, _, _ in rows])
        span = SPANS[width] * 1000
        changes.gone += [(start * span, (start + 1) * span - 1) for _, start, _ in rows]
        changes.disturbed.update(node for *_, node in rows)
        _note(db, width, ((node, (start + 1) * span) for _, start, node in rows))
    return len(rows)


_HAS_DATA = (
    "SELECT EXISTS (SELECT 1 FROM recent WHERE node = :node) OR EXISTS (SELECT 1 FROM sealed WHERE node = :node) "
    "OR EXISTS (SELECT 1 FROM rollups WHERE node = :node)"
)


def lost_nodes(db: sqlite3.Connection, catalog: Catalog) -> list[str]:
    """Nodes nothing is known of any more."""
    known = [(name, node.id) for name, node in list(catalog.nodes.items())]
    return [name for name, number in known if not db.execute(_HAS_DATA, {"node": number}).fetchone()[0]]


def forget_nodes(db: sqlite3.Connection, changes: Changes, names: Sequence[str]) -> int:
    """Deletes those that are still without data."""
    count = 0
    for name in names:
        node = changes.find(name)
        if node is None or name in changes.nodes or db.execute(_HAS_DATA, {"node": node.id}).fetchone()[0]:
            continue
        db.execute("DELETE FROM boots WHERE node = ?", (node.id,))
        db.execute("DELETE FROM forgotten WHERE node = ?", (node.id,))
        db.execute("DELETE FROM nodes WHERE id = ?", (node.id,))
        changes.removed.add(name)
        count += 1
    return count


_USED = "SELECT layout FROM recent UNION SELECT layout FROM sealed UNION SELECT layout FROM rollups"


def unused_layouts(db: sqlite3.Connection) -> list[int]:
    return [n for (n,) in db.execute(f"SELECT id FROM layouts WHERE id NOT IN ({_USED})")]  # noqa: S608 - constant


def forget_layouts(db: sqlite3.Connection, changes: Changes, numbers: Sequence[int], book: LayoutBook) -> int:
    """Deletes layouts that nothing referred to and that did not come into use again since (`book.used`)."""
    gone = [n for n in numbers if n not in book.used]
    db.executemany("DELETE FROM layouts WHERE id = ?", [(n,) for n in gone])
    changes.removed_layouts.update(gone)
    changes.after.append(lambda: book.remove(gone))
    return len(gone)


def give_back(db: sqlite3.Connection, changes: Changes) -> int:
    """Hands some free pages back to the disk while most of the file is free; a smaller rest is used again soon."""
    del changes
    (free,), (pages,) = (db.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_count"))
    surplus: int = max(min(free - max(pages // 2, _SPARE), 1000), 0)
    for _ in range(surplus):  # sqlite3 takes only the first step of incremental_vacuum(N): one page
        db.execute("PRAGMA incremental_vacuum(1)")
    return surplus
