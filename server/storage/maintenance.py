"""Maintenance: sealing and forgetting in slices short enough that appends in between never notice."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter, deque
from functools import partial

from server.storage.catalog import Catalog, Changes
from server.storage.connections import ReaderPool
from server.storage.damage import Damage
from server.storage.layouts import LayoutBook
from server.storage.mend import mended, put
from server.storage.record import milliseconds
from server.storage.retention import (
    Retention,
    expired_recent,
    expired_rollups,
    expired_sealed,
    forget_layouts,
    forget_nodes,
    give_back,
    lost_nodes,
    unused_layouts,
)
from server.storage.rollups import SPANS
from server.storage.seal import Sealing, due, seal_node
from server.storage.writer import Work, Writer

__all__ = ["Maintenance"]

_SLICE = 600
"""Snapshots sealed in one transaction: some 10 ms."""


class Maintenance:
    """Reads and compresses in the caller's thread; only the rows that come of it go through the writer."""

    def __init__(
        self,
        pool: ReaderPool,
        writer: Writer,
        catalog: Catalog,
        book: LayoutBook,
        retention: Retention,
        damage: Damage,
    ) -> None:
        self._pool, self._writer, self._catalog, self._book = pool, writer, catalog, book
        self._retention, self._damage = retention, damage
        self._looked_at: set[int] = set()
        """Damaged rows of roll-ups that were mended, or cannot be."""
        self._alone = threading.Lock()
        self.counters: Counter[str] = Counter()

    def run(self, now: float) -> None:
        """One round at `now` (epoch seconds); rounds never overlap, as sealing reads what it replaces."""
        with self._alone:
            self._writer.submit(partial(self._begin, now=milliseconds(now))).result()
            self._mend()
            self._seal(milliseconds(now))
            self._forget(now)
            self._repeat(give_back, "pages_given_back", times=20)  # 20 MB; the next round goes on

    def _begin(self, db: sqlite3.Connection, _: Changes, now: int) -> None:
        """Writes something, so that a disk that was full and has room again is noticed without an agent's help."""
        db.execute("INSERT OR REPLACE INTO totals VALUES ('maintained', ?)", (now,))
        self._book.used.clear()

    def _mend(self) -> None:
        """What of the roll-ups was met damaged; sealing alone would never come to a node that is silent."""
        for number in self._damage.rows("rollups"):
            if number not in self._looked_at:
                with self._pool.read() as db:
                    row = mended(db, number, self._book)
                if row is not None:
                    self._writer.submit(partial(put, row=row)).result()
                    self.counters["mended_rows"] += 1
                self._looked_at.add(number)

    def _seal(self, now: int) -> None:
        with self._pool.read() as db:
            waiting = deque(due(db, now))
        while waiting:
            sealing = Sealing()
            with self._pool.read() as db:
                last = None
                # A node's next hours are read only after its former ones are written.
                while waiting and waiting[0][0] != last and len(sealing.recent) < _SLICE:
                    last, hours = waiting.popleft()
                    seal_node(db, last, hours, self._book, sealing, self._damage)
            self.counters["sealed_snapshots"] += self._writer.submit(sealing.work, len(sealing.recent)).result()
            self.counters["sealed_chunks"] += len(sealing.sealed)

    def _repeat(self, work: Work[int], name: str, times: int = 1_000_000) -> int:
        total = 0
        while times and (done := self._writer.submit(work, 200).result()):
            total, times = total + done, times - 1
        self.counters[name] += total
        return total

    def _forget(self, now: float) -> None:
        before = milliseconds(now - self._retention.snapshots)
        forgotten = self._repeat(partial(expired_sealed, before=before), "forgotten_chunks")
        if damaged := self._damage.rows("recent"):  # never to be sealed
            gone = self._writer.submit(partial(expired_recent, rows=damaged, before=before))
            self.counters["forgotten_damaged"] += gone.result()
        for width in SPANS:
            before = milliseconds(now - self._retention.of(width))
            forgotten += self._repeat(partial(expired_rollups, width=width, before=before), "forgotten_rows")
        if not forgotten:
            return
        with self._pool.read() as db:
            nodes, layouts = lost_nodes(db, self._catalog), unused_layouts(db)
        gone = self._writer.submit(partial(forget_nodes, names=nodes))
        self.counters["forgotten_nodes"] += gone.result()
        gone = self._writer.submit(partial(forget_layouts, numbers=layouts, book=self._book))
        self.counters["forgotten_layouts"] += gone.result()
