"""The embedded store: one SQLite file, one writer thread, readers that never wait for it."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from common.errors import SlabhoundError, StoreDamagedError, StoreError
from common.snapshot import Caches
from common.times import LATEST
from server.assemble import assemble_nodes
from server.buckets import WIDTHS, NodeSeries
from server.storage import ingest, migrations, reader
from server.storage.base import Appended, Instant, NodeState, Received, Stored, StoreStatus
from server.storage.catalog import Catalog, Node
from server.storage.connections import ReaderPool, connect, disk_bytes, lock_file, plain_errors, real_path
from server.storage.damage import Damage
from server.storage.fetch import Fetch
from server.storage.instants import ceil_milliseconds, floor_milliseconds
from server.storage.journal import Journal
from server.storage.kept import Kept
from server.storage.layouts import LayoutBook
from server.storage.maintenance import Maintenance
from server.storage.record import encode, milliseconds
from server.storage.retention import Retention
from server.storage.windows import WindowReader
from server.storage.writer import Writer

__all__ = ["SqliteStore"]

_log = logging.getLogger("slabhound.storage")
_NODES_AT_ONCE = 64
"""Nodes of a window read together and in one transaction: short, so that the log can be copied in between."""


class SqliteStore:
    """An archive of snapshots in one file (see server.storage.base.Store for what its methods promise)."""

    def __init__(
        self,
        path: Path,
        *,
        retention: Retention | None,
        clock: Callable[[], float],
        max_nodes: int,
    ) -> None:
        """Opens or makes the store at `path`. Raises StoreError with what is wrong with it."""
        path = real_path(path)
        self._path, self._max_nodes = path, max_nodes
        self._lock, self._damage = lock_file(path), Damage()
        try:
            with plain_errors(path):
                db = self._open(path, clock())
                try:
                    self._catalog, self._book = Catalog(db, self._damage), LayoutBook(db)
                except BaseException:
                    db.close()
                    raise
        except BaseException:
            self._lock.close()
            raise
        self._pool = ReaderPool(path)
        self._writer = Writer(path, db, self._catalog)
        keep = retention or Retention()
        self._kept = Kept()
        self._maintenance = Maintenance(self._pool, self._writer, self._catalog, self._book, keep, self._damage)
        self._problem: str | None = None
        self._broken: str | None = None
        """Why the last append failed, where the file is damaged."""
        self._counters: Counter[str] = Counter()
        self._closed = False

    @staticmethod
    def _open(path: Path, now: float) -> sqlite3.Connection:
        if path.exists():
            looking = connect(path, readonly=True)
            try:
                migrations.check(looking, path)
            finally:
                looking.close()
        else:
            with suppress(OSError):  # SQLite says what is wrong, and gives its files beside this one the same mode
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = connect(path)
        try:
            migrations.migrate(db, now)
        except BaseException:
            db.close()
            raise
        return db

    def append(self, batch: Sequence[Received]) -> Future[Appended]:
        """Encodes in the caller's thread, writes in the writer's."""
        try:
            records = [encode(item, self._book.identify(item.snapshot.caches)) for item in batch]
        except SlabhoundError as error:
            refused: Future[Appended] = Future()
            refused.set_exception(error)
            return refused
        future = self._writer.submit(
            lambda db, changes: ingest.append(db, changes, records, self._book, self._max_nodes, self._damage),
            max(len(records), 1),
        )
        future.add_done_callback(self._count)
        return future

    def _count(self, future: Future[Appended]) -> None:
        if future.cancelled():  # the server is ending: nobody waits any more
            return
        error = future.exception()
        if error is None:
            self._counters["appended"] += future.result().stored
            self._counters["duplicates"] += future.result().duplicates
            self._broken = None
            return
        self._counters["refused_batches"] += 1
        if isinstance(error, StoreDamagedError):
            if self._broken is None:
                _log.error("%s", error)
            self._broken = str(error)

    def nodes(self) -> list[NodeState]:
        return self._catalog.states()

    def layout(self, layout: str) -> Caches | None:
        number = self._book.ids.get(layout)
        if number is None:
            return None
        with self._pool.read() as db, self._damage.skip("layouts", number):
            return replace(self._book.load(db, number).caches, active_objs=[], num_objs=[])
        return None  # damaged: to be sent in full

    def _node(self, name: str) -> Node | None:
        return self._catalog.nodes.get(name)

    def at(self, node: str, instant: float | None) -> Stored | None:
        known = self._node(node)
        if instant is None and known is not None:
            instant = known.state.taken_at
        return self._at(known, None if instant is None else floor_milliseconds(instant))

    def first(self, node: str) -> Stored | None:
        return self._at(self._node(node), None)

    def _at(self, node: Node | None, instant: int | None) -> Stored | None:
        if node is None:
            return None
        with self._pool.read() as db:
            return reader.at(db, node.id, node.state.node, self._book, self._catalog.boot_labels, instant, self._damage)

    def instants(
        self, node: str, start: float | None, end: float | None, *, after: tuple[float, str] | None, limit: int
    ) -> list[Instant]:
        known = self._node(node)
        if known is None:
            return []
        bounds = (
            0 if start is None else ceil_milliseconds(start),
            milliseconds(LATEST) if end is None else floor_milliseconds(end),
        )
        past = None if after is None else (milliseconds(after[0]), after[1])
        with self._pool.read() as db:
            boots = self._catalog.boot_labels
            return reader.instants(db, known.id, self._book, boots, bounds, past, limit, self._damage)

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterator[NodeSeries]:
        """Raises StoreError for a width that is none of server.buckets.WIDTHS."""
        if width not in WIDTHS:
            raise StoreError(f"buckets of {width} s are not kept: choose one of {', '.join(map(str, WIDTHS))}")
        wanted = None if caches is None else frozenset(caches)
        low, high = ceil_milliseconds(start), floor_milliseconds(end)
        nodes = [n for _, n in sorted(self._catalog.nodes.items()) if group is None or n.state.group == group]
        nodes = [
            n
            for n in nodes
            if n.state.first_taken_at * 1000 <= high + 0.5 and low <= n.state.last_taken_at * 1000 + 0.5
        ]
        self._kept.begin()
        for at in range(0, len(nodes), _NODES_AT_ONCE):
            series, some = [], nodes[at : at + _NODES_AT_ONCE]
            disturbed = self._catalog.disturbed
            ages = {n.id: (milliseconds(n.state.last_taken_at), disturbed.get(n.id, 0)) for n in some}  # before reading
            with self._pool.read() as db:
                fetch = Fetch(db, self._book, self._catalog.boot_labels, self._damage, ages.keys(), wanted)
                blocks = WindowReader(fetch, self._kept, ages).blocks(ages.keys(), low, high, width)
            boots_of = assemble_nodes(blocks, fetch.rows, width)
            for node in some:
                if boots := boots_of[node.id]:
                    s = node.state
                    series.append(NodeSeries(s.node, s.group, s.labels, s.kernel, s.machine, s.cpus, boots))
            yield from series

    def journal(self) -> Journal:
        return self._catalog.journal

    def maintain(self, now: float) -> None:
        try:
            self._maintenance.run(now)
        except SlabhoundError as error:
            self._problem = f"maintenance: {error}"
            raise
        self._problem = None

    def status(self) -> StoreStatus:
        counters = self._counters + self._writer.counters + self._maintenance.counters
        return StoreStatus(
            len(self._catalog.nodes),
            self._catalog.recent + self._catalog.sealed,
            disk_bytes(self._path),
            self._writer.problem is None and self._broken is None and not self._closed,
            self._writer.problem or self._broken or self._problem or self._damage.problem,
            {**counters, "damaged_rows": self._damage.count},
        )

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._pool.close()
        self._lock.close()
