"""Checking an SQLite store from end to end, beside a running aggregator: the file, every row, every reference."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from common.snapshot import layout_hash
from server.storage import migrations
from server.storage.catalog import state_of
from server.storage.damage import UNREADABLE, reason
from server.storage.instants import HOUR
from server.storage.layouts import LayoutBook
from server.storage.looking import looking_at
from server.storage.reader import RECENT_COLUMNS, recent_samples
from server.storage.record import decode_counts, facts_of, to_snapshot
from server.storage.rollups import SPANS, unpack_block
from server.storage.samples import unpack_counts, unpack_samples

__all__ = ["Checked", "check_store"]

_SLICE = 200
"""Rows read in one transaction: a longer one would keep a running aggregator's log from starting anew."""
_TABLES = ("nodes", "boots", "layouts", "recent", "sealed", "rollups")
_MOST = 100
"""Problems listed of one table; the rest is counted."""
_STEPS = 1_000_000
"""Of SQLite's machine, between two signs of life."""


@dataclass(slots=True)
class Checked:
    """What a check found: rows by table, the schema's newest migration, and one line for each problem."""

    schema: str
    rows: dict[str, int] = field(default_factory=dict)
    snapshots: int = 0
    problems: list[str] = field(default_factory=list)


def check_store(path: Path, tell: Callable[[float, float, str], None]) -> Checked:
    """Reads all of the store at `path` and changes nothing.

    `tell` gets (rows done, rows in all, what) now and then. Raises StoreError when there is no store to be checked.
    """
    with looking_at(path) as db:
        return _Check(db, tell).run()


class _Check:
    def __init__(self, db: sqlite3.Connection, tell: Callable[[float, float, str], None]) -> None:
        self._db, self._tell = db, tell
        known = [name for name, _ in migrations.MIGRATIONS]
        applied = {name for (name,) in db.execute("SELECT name FROM migrations")}
        self._missing = [name for name in known if name not in applied]
        self._found = Checked(max(applied, default="none"))
        self._counts: Counter[str] = Counter()
        self._done = self._total = 0.0

    def run(self) -> Checked:
        if self._missing:
            self._found.problems.append(f"schema: {', '.join(self._missing)} is missing: start the server on it once")
            return self._found
        for table in _TABLES:
            with self._table(table):
                (rows,) = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - the name is one of _TABLES
                self._found.rows[table] = rows
        self._total = sum(self._found.rows.values())
        self._integrity()
        self._book = LayoutBook(self._db)
        for table in _TABLES:
            with self._table(table):
                self._rows(table, getattr(self, f"_{table}"))
        with self._table("totals"):
            self._totals()
        with self._table("forgotten"):
            for node, tier in self._db.execute("SELECT node, tier FROM forgotten WHERE typeof(until) != 'integer'"):
                self._problem("forgotten", f"node {node}, tier {tier}: is no time")
        for table, count in self._counts.items():
            if count > _MOST:
                self._found.problems.append(f"{table}: {count - _MOST} more problems")
        return self._found

    def _table(self, name: str) -> _Survive:
        return _Survive(lambda line: self._problem(name, line))

    def _problem(self, table: str, line: str) -> None:
        self._counts[table] += 1
        if self._counts[table] <= _MOST:
            self._found.problems.append(f"{table} {line}")

    def _integrity(self) -> None:
        self._db.set_progress_handler(lambda: self._tell(0, self._total, "integrity"), _STEPS)
        try:
            with self._table("file"):
                for (line,) in self._db.execute(f"PRAGMA integrity_check({_MOST})").fetchall():
                    if line != "ok":
                        self._problem("file", " ".join(line.split()))
        finally:
            self._db.set_progress_handler(None, 0)

    def _rows(self, table: str, look: Callable[[tuple[Any, ...]], Iterator[str]]) -> None:
        last = -1
        while True:
            self._db.execute("BEGIN")  # a row and what it refers to are seen in one state
            try:
                query = f"SELECT * FROM {table} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - the name is one of _TABLES
                rows = self._db.execute(query, (last, _SLICE)).fetchall()
                for row in rows:
                    try:
                        for line in look(row):
                            self._problem(table, f"{row[0]}: {line}")
                    except UNREADABLE as error:
                        self._problem(table, f"{row[0]}: does not decode: {reason(error)}")
            finally:
                self._db.execute("ROLLBACK")
            if not rows:
                return
            last, self._done = rows[-1][0], self._done + len(rows)
            self._tell(self._done, self._total, table)

    def _refers(self, node: int, boot: int, layout: int) -> Iterator[str]:
        if not self._db.execute("SELECT 1 FROM nodes WHERE id = ?", (node,)).fetchone():
            yield f"refers to node {node}, which is not there"
        if not self._db.execute("SELECT 1 FROM boots WHERE id = ? AND node = ?", (boot, node)).fetchone():
            yield f"refers to boot {boot} of node {node}, which is not there"
        found = self._db.execute("SELECT hash, width FROM layouts WHERE id = ?", (layout,)).fetchone()
        if found:
            self._book.describe(layout, *found)  # it may have come since the check began

    def _nodes(self, row: tuple[Any, ...]) -> Iterator[str]:
        state_of(row)
        if not self._db.execute("SELECT 1 FROM boots WHERE node = ? AND label = ?", (row[0], row[2])).fetchone():
            yield f"node {row[1]}: its boot {row[2]!r} is not there"

    def _boots(self, row: tuple[Any, ...]) -> Iterator[str]:
        if not self._db.execute("SELECT 1 FROM nodes WHERE id = ?", (row[1],)).fetchone():
            yield f"refers to node {row[1]}, which is not there"

    def _layouts(self, row: tuple[Any, ...]) -> Iterator[str]:
        number, key, *_ = row
        caches = self._book.load(self._db, number).caches
        if layout_hash(caches) != key:
            yield f"its columns are not those of its hash {key}"

    def _recent(self, row: tuple[Any, ...]) -> Iterator[str]:
        _, node, _, boot, layout = row[:5]
        yield from self._refers(node, boot, layout)
        query = f"SELECT {RECENT_COLUMNS} FROM recent WHERE id = ?"  # noqa: S608 - its one part is a constant
        samples = recent_samples([self._db.execute(query, row[:1]).fetchone()])
        columns = self._book.load(self._db, layout)
        to_snapshot("", samples, decode_counts(row[-1], len(columns.rows)), 0, columns.caches)

    def _sealed(self, row: tuple[Any, ...]) -> Iterator[str]:
        _, node, start, boot, layout, first, last, _, count, packed, counts = row
        yield from self._refers(node, boot, layout)
        samples, per_slab = unpack_samples(packed), self._book.load(self._db, layout).per_slab
        unpack_counts(counts, len(samples), per_slab)
        for text in set(samples.facts):
            facts_of(text)
        taken = samples.taken
        if len(taken) != count or (int(taken[0]), int(taken[-1])) != (first, last):
            yield f"holds {len(taken)} snapshots that are not the {count} it says"
        if np.any(np.diff(taken) < 0) or not np.all(taken // HOUR == start):
            yield f"holds snapshots of other hours than {start}, or out of order"
        self._found.snapshots += len(taken)

    def _rollups(self, row: tuple[Any, ...]) -> Iterator[str]:
        _, node, width, start, boot, layout, _, packed = row
        yield from self._refers(node, boot, layout)
        block = unpack_block("", "", packed, self._book.load(self._db, layout).per_slab)
        if width not in SPANS or not np.all(block.time // SPANS[width] == start):
            yield f"holds buckets of other hours than its own ({width} s, {start})"

    def _totals(self) -> None:
        query = "SELECT (SELECT coalesce(sum(snapshots), 0) FROM sealed), value FROM totals WHERE name = 'sealed'"
        found, said = self._db.execute(query).fetchone() or (0, None)
        if found != said:
            self._problem("totals", f"sealed: {said} snapshots are said to be sealed, and {found} are")
        self._found.snapshots += self._found.rows.get("recent", 0)


class _Survive:
    """A context that makes a problem of what SQLite itself cannot read, so that the other tables get their turn."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, sqlite3.DatabaseError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT:
            self._tell(f"cannot be read to its end: {error}")
            return True
        return False
