"""The scale-out store: an aggregator's view of ClickHouse; it keeps nothing that another aggregator would miss."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace

from common.errors import SlabhoundError, StoreError
from common.snapshot import Caches
from common.times import LATEST
from server.assemble import assemble_boots
from server.buckets import WIDTHS, NodeSeries
from server.storage.base import MAX_NODES, Appended, Instant, NodeState, Received, Stored, StoreStatus
from server.storage.clickhouse import reading, schema
from server.storage.clickhouse.append import Known, Portion
from server.storage.clickhouse.catalog import load_layouts, node_states
from server.storage.clickhouse.client import Client
from server.storage.clickhouse.target import Target
from server.storage.clickhouse.windows import WindowReader
from server.storage.clickhouse.writer import Writer
from server.storage.instants import ceil_milliseconds, floor_milliseconds
from server.storage.layouts import Fingerprints, Layout
from server.storage.record import Record, check_counts, encode, milliseconds
from server.storage.retention import Retention
from server.storage.rollups import SPANS

__all__ = ["ClickHouseStore"]

_NODES_AT_ONCE = 32
_LAYOUTS_KEPT = 1024
_DAY_MS = 86_400_000
_FORGET_STEP = 600_000
"""Milliseconds by which a tier's limit moves at a time: each step is a row that all aggregators read."""


class ClickHouseStore:
    """An archive of snapshots in ClickHouse (see server.storage.base.Store for what its methods promise)."""

    def __init__(
        self,
        target: Target,
        *,
        retention: Retention | None = None,
        max_nodes: int = MAX_NODES,
        linger: float = 0.2,
        client: Client | None = None,
    ) -> None:
        """Opens a store whose schema is there (see schema.init). Raises StoreError, ConfigError.

        `linger`: seconds that a batch waits for others to share its insert.
        """
        self._retention, self._max_nodes = retention or Retention(), max_nodes
        self._client = client or Client(target)
        try:
            schema.check(self._client, retention)
            self._forgotten = self._read_forgotten()
        except BaseException:
            self._client.close()
            raise
        self._fingerprints, self._known = Fingerprints(), Known()
        self._layouts: dict[str, Layout] = {}
        self._layouts_lock = threading.Lock()
        self._problem: str | None = None
        self._counters: Counter[str] = Counter()
        self._closed = False
        self._writer = Writer(self._client, self._begin, linger=linger)

    def _begin(self, records: list[Record]) -> Portion:
        return Portion(self._client, self._known, records, self._max_nodes, self._forgotten[0])

    def _encode(self, item: Received) -> Record:
        return encode(item, self._fingerprints.identify(item.snapshot.caches), check_counts)

    def append(self, batch: Sequence[Received]) -> Future[Appended]:
        """Checks in the caller's thread; the writer's sends it with what else arrives within a moment."""
        try:
            records = [self._encode(item) for item in batch]
        except SlabhoundError as error:
            refused: Future[Appended] = Future()
            refused.set_exception(error)
            return refused
        future = self._writer.submit(records)
        future.add_done_callback(self._count)
        return future

    def _count(self, future: Future[Appended]) -> None:
        if future.exception() is None:
            self._counters["appended"] += future.result().stored
            self._counters["duplicates"] += future.result().duplicates
        else:
            self._counters["refused_batches"] += 1

    def nodes(self) -> list[NodeState]:
        return node_states(self._client, self._forgotten[max(SPANS)])

    def layout(self, layout: str) -> Caches | None:
        # Written anew once a day only, so it may be in use a day longer than it says.
        found = load_layouts(self._client, {layout}, self._forgotten[max(SPANS)] - _DAY_MS).get(layout)
        return None if found is None else replace(found.caches, active_objs=[], num_objs=[])

    def at(self, node: str, instant: float | None) -> Stored | None:
        if instant is not None:
            return self._at(node, floor_milliseconds(instant))
        until = reading.latest(self._client, node, self._forgotten[0])
        return None if until is None else self._at(node, until)

    def first(self, node: str) -> Stored | None:
        return self._at(node, None)

    def _at(self, node: str, until: int | None) -> Stored | None:
        row = reading.find(self._client, node, self._forgotten[0], until)
        if not row:
            return None
        key = row["layout"][0]
        layouts = self._known_layouts()
        if key not in layouts:
            layouts.update(load_layouts(self._client, {key}, 0))
            self._keep(layouts)
        if key not in layouts:
            raise StoreError(f"store {self._client.target}: layout {key} is missing: restore the table layouts")
        return reading.stored(node, row, layouts[key])

    def _known_layouts(self) -> dict[str, Layout]:
        with self._layouts_lock:
            return dict(self._layouts)

    def _keep(self, layouts: dict[str, Layout]) -> None:
        """Their meaning never changes, so that remembering them changes no answer."""
        with self._layouts_lock:
            self._layouts = layouts if len(layouts) <= _LAYOUTS_KEPT else {}

    def instants(
        self, node: str, start: float | None, end: float | None, *, after: tuple[float, str] | None, limit: int
    ) -> list[Instant]:
        low = 0 if start is None else ceil_milliseconds(start)
        high = milliseconds(LATEST) if end is None else floor_milliseconds(end)
        past = None if after is None else (milliseconds(after[0]), after[1])
        return reading.instants(self._client, node, self._forgotten[0], (low, high), past, limit)

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterator[NodeSeries]:
        """Raises StoreError for a width that is none of server.buckets.WIDTHS, and while a shard is away."""
        if width not in WIDTHS:
            raise StoreError(f"buckets of {width} s are not kept: choose one of {', '.join(map(str, WIDTHS))}")
        wanted = None if caches is None else frozenset(caches)
        low, high = ceil_milliseconds(start), floor_milliseconds(end)
        states = [s for s in self.nodes() if group is None or s.group == group]
        states = [s for s in states if s.first_taken_at * 1000 <= high + 0.5 and low <= s.last_taken_at * 1000 + 0.5]
        reader = WindowReader(self._client, dict(self._forgotten), self._known_layouts(), wanted)
        for at in range(0, len(states), _NODES_AT_ONCE):
            some = states[at : at + _NODES_AT_ONCE]
            found = reader.blocks([s.node for s in some], low, high, width)
            for s in some:
                if blocks := found.get(s.node):
                    rows = reader.rows({block.layout for block in blocks})
                    boots = assemble_boots(blocks, rows, width)
                    yield NodeSeries(s.node, s.group, s.labels, s.kernel, s.machine, s.cpus, boots)
        self._keep(reader.layouts)

    def _read_forgotten(self) -> dict[int, int]:
        found = self._client.ask("SELECT tier, max(until) AS until FROM forgotten GROUP BY tier")
        said = zip(found.get("tier", ()), found.get("until", ()), strict=True)
        return {0: 0, **dict.fromkeys(SPANS, 0), **{int(tier): int(until) for tier, until in said}}

    def journal(self) -> None:
        """Other aggregators write, too, and what comes late leaves no trace that a cheap query finds."""

    def maintain(self, now: float) -> None:
        """Moves each tier's limit; ClickHouse itself merges and deletes. Raises StoreError."""
        try:
            forgotten = self._read_forgotten()
            keep = {0: self._retention.snapshots, **{width: self._retention.of(width) for width in SPANS}}
            due = {tier: milliseconds(now - seconds) for tier, seconds in keep.items()}
            due = {tier: until for tier, until in due.items() if until >= forgotten[tier] + _FORGET_STEP}
            if due:
                columns = {"tier": ("Int64", list(due)), "until": ("Int64", list(due.values()))}
                self._client.insert("forgotten", columns, f"forgotten {due}")
            self._forgotten = forgotten | due
        except StoreError as error:
            self._problem = f"maintenance: {error}"
            raise
        self._problem = None

    def status(self) -> StoreStatus:
        counters = dict(self._counters + self._writer.counters)
        if self._closed:
            return StoreStatus(0, 0, 0, writable=False, problem="the store is closed", counters=counters)
        try:
            (nodes,) = self._client.ask("SELECT uniqExact(node) AS n FROM nodes")["n"].tolist()
            query = f"SELECT count() AS n FROM snapshots WHERE received >= {self._forgotten[0]}"  # noqa: S608 - an int of our own
            (snapshots,) = self._client.ask(query)["n"].tolist()
            (bytes_on_disk,) = self._client.ask(schema.disk_query(self._client.target))["n"].tolist()
        except StoreError as error:
            return StoreStatus(0, 0, 0, writable=False, problem=str(error), counters=counters)
        problem = self._writer.problem
        return StoreStatus(nodes, snapshots, bytes_on_disk, problem is None, problem or self._problem, counters)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._client.close()
