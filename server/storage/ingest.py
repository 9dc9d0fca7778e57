"""What an append does inside the writer's transaction: bounds, boots, duplicates, layouts, rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache, partial

from common.boots import BootLabels
from common.errors import TooManyNodesError
from server.storage.base import Appended
from server.storage.catalog import Changes
from server.storage.codec import split, unpack_ints
from server.storage.damage import Damage
from server.storage.instants import HOUR
from server.storage.layouts import LayoutBook, pack_layout
from server.storage.record import Record

__all__ = ["append"]

_INSERT = f"INSERT INTO recent VALUES ({', '.join('?' * 15)})"  # noqa: S608 - question marks only


def append(
    db: sqlite3.Connection,
    changes: Changes,
    records: Sequence[Record],
    book: LayoutBook,
    max_nodes: int,
    damage: Damage,
) -> Appended:
    """Writes what is new. Raises TooManyNodesError, with nothing changed, when there would be too many nodes."""
    _check_bound(changes, records, max_nodes)
    rows, batch, duplicates = [], set(), 0
    for record in records:
        snapshot = record.source.snapshot
        node = changes.find(snapshot.node)
        labels = node.labels if node else BootLabels()
        label = labels.label(snapshot.boot_id, snapshot.taken_at, snapshot.uptime_seconds)
        if node:
            boot = changes.boot(node, label)
            key = (node.id, record.taken, boot)
            newest = record.taken > node.state.last_taken_at * 1000 + 0.5
            if not newest and (key in batch or _is_stored(db, *key, damage)):
                changes.heard(node, record.received)
                duplicates += 1
                continue
        node = changes.apply(node, record, label, labels)
        boot = changes.boot(node, label)
        if (snapshot.node, label) in changes.boots:
            db.execute("INSERT OR IGNORE INTO boots VALUES (?, ?, ?)", (boot, node.id, label))
        batch.add((node.id, record.taken, boot))
        changes.taken.append(record.taken)
        rows.append(
            (
                None,
                node.id,
                record.taken,
                boot,
                _layout(db, changes, record, book),
                record.received,
                record.offset,
                snapshot.uptime_seconds,
                snapshot.read_seconds,
                *record.memory,
                record.facts,
                record.counts,
            )
        )
    db.executemany(_INSERT, rows)
    catalog, stored = changes.catalog, len(rows)

    def count() -> None:
        catalog.recent += stored

    changes.after.append(count)
    return Appended(stored, duplicates)


def _check_bound(changes: Changes, records: Sequence[Record], max_nodes: int) -> None:
    names = {record.source.snapshot.node for record in records}
    fresh = [name for name in names if changes.find(name) is None]
    known = len(changes.catalog.nodes.keys() - changes.removed | changes.nodes.keys()) if fresh else 0
    if known + len(fresh) > max_nodes:
        raise TooManyNodesError(
            f"node {min(fresh)} would be one more than the {max_nodes} nodes this store takes: raise --max-nodes"
        )


def _layout(db: sqlite3.Connection, changes: Changes, record: Record, book: LayoutBook) -> int:
    number = changes.layouts.get(record.layout) or book.ids.get(record.layout)
    if number is None or number in changes.removed_layouts:
        caches = record.source.snapshot.caches
        number, book.next_id = book.next_id, book.next_id + 1
        width = len(caches)
        db.execute("INSERT INTO layouts VALUES (?, ?, ?, ?)", (number, record.layout, width, pack_layout(caches)))
        changes.layouts[record.layout] = number
        book.describe(number, record.layout, width)
        changes.after.append(partial(book.publish, number))
    elif number in book.damaged:  # whoever sends it in full says what it was
        caches = record.source.snapshot.caches
        columns = (len(caches), pack_layout(caches), number)
        db.execute("UPDATE layouts SET width = ?, columns = ? WHERE id = ?", columns)
        changes.after += [partial(book.mend, number, len(caches)), changes.catalog.journal.note_everything]
    book.used.add(number)
    return number


def _is_stored(db: sqlite3.Connection, node: int, taken: int, boot: int, damage: Damage) -> bool:
    """What lies in a damaged chunk is not: it may be sent again."""
    key = (node, taken, boot)
    if db.execute("SELECT 1 FROM recent WHERE node = ? AND taken = ? AND boot = ?", key).fetchone():
        return True
    sealed = db.execute(
        "SELECT id, samples FROM sealed WHERE node = ? AND start = ? AND boot = ? AND first <= ? AND last >= ?",
        (node, taken // HOUR, boot, taken, taken),
    )
    for row, blob in sealed:
        with damage.skip("sealed", row):
            if taken in _sealed_instants(blob):
                return True
    return False


@lru_cache(maxsize=16)
def _sealed_instants(blob: bytes) -> set[int]:
    """The instants (milliseconds) of a sealed hour."""
    size, _, _, taken, *_ = split(blob)
    return set(unpack_ints(taken, int.from_bytes(size, "little")).tolist())
