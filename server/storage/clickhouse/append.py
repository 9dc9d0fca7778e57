"""What one insert holds: bounds, boots, duplicates and layouts of the jobs that share it, then columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.boots import BootLabels
from common.errors import TooManyNodesError
from common.snapshot import Caches, layout_columns
from server.storage.base import Appended
from server.storage.clickhouse.client import Client
from server.storage.clickhouse.counts import COLUMNS, differences, per_slab
from server.storage.clickhouse.native import quote
from server.storage.record import Record

__all__ = ["Known", "Portion", "names"]

_DAY = 86_400_000
_NEVER = 2**63 - 1
_UNKNOWN = -1


def names(values: Iterable[str]) -> str:
    """As the inside of an IN."""
    return ", ".join(map(quote, sorted(set(values))))


@dataclass(slots=True)
class Known:
    """What an aggregator may remember, as it never changes back: nodes that exist, layouts that are stored."""

    nodes: set[str] = field(default_factory=set)
    layouts: dict[str, int] = field(default_factory=dict)
    """Until when each was last said to be in use."""


class Portion:
    """The jobs of one insert, in order of arrival."""

    def __init__(self, client: Client, known: Known, records: Sequence[Record], max_nodes: int, forgotten: int) -> None:
        """Asks the store what is needed to judge these records. Raises StoreError."""
        self._known, self._max_nodes = known, max_nodes
        self._new_nodes: set[str] = set()
        self._node_count = -1
        strange = {r.source.snapshot.node for r in records} - known.nodes
        if strange:
            found = client.ask(f"SELECT DISTINCT node FROM nodes WHERE node IN ({names(strange)})")  # noqa: S608 - names() quotes each of them
            known.nodes |= set(found.get("node", ()))
            if strange - known.nodes:
                self._node_count = int(client.ask("SELECT uniqExact(node) AS n FROM nodes")["n"][0])
        self._labels = _boot_labels(client, records)
        self._stored = _stored(client, records, forgotten)
        self.rows: list[tuple[Record, str]] = []
        self.heard: dict[str, int] = {}
        self.layouts: dict[str, tuple[Caches, int]] = {}

    def add(self, records: Sequence[Record]) -> Appended:
        """Raises TooManyNodesError, with nothing changed, when there would be too many nodes."""
        fresh = {r.source.snapshot.node for r in records} - self._known.nodes - self._new_nodes
        if fresh and self._node_count + len(self._new_nodes) + len(fresh) > self._max_nodes:
            raise TooManyNodesError(
                f"node {min(fresh)} would be one more than the {self._max_nodes} nodes this store takes: "
                "raise --max-nodes"
            )
        self._new_nodes |= fresh
        new = 0
        for record in records:
            snapshot = record.source.snapshot
            labels = self._labels.setdefault(snapshot.node, BootLabels())
            boot = labels.label(snapshot.boot_id, snapshot.taken_at, snapshot.uptime_seconds)
            key = (snapshot.node, record.taken, boot)
            if key in self._stored:
                self.heard[snapshot.node] = max(record.received, self.heard.get(snapshot.node, 0))
                continue
            self._stored.add(key)
            self.rows.append((record, boot))
            new += 1
            if self._known.layouts.get(record.layout, 0) < record.received:
                seen = max(record.received, self.layouts.get(record.layout, (None, 0))[1])
                self.layouts[record.layout] = snapshot.caches, seen
        return Appended(new, len(records) - new)

    def insert(self, client: Client, token: str) -> None:
        """Layouts first: nobody shall read a snapshot whose names are not there yet. Raises StoreError."""
        if self.layouts:
            client.insert("layouts", _layouts(self.layouts), token)
        if self.rows:
            client.insert("snapshots", _columns(self.rows), token)
        if self.heard:
            client.insert(
                "nodes",
                {
                    "node": ("String", list(self.heard)),
                    "first": ("Int64", [_NEVER] * len(self.heard)),
                    "seen": ("Int64", list(self.heard.values())),
                },
                token,
            )
        self._known.nodes |= self._new_nodes
        for key, (_, seen) in self.layouts.items():
            self._known.layouts[key] = seen + _DAY


def _layouts(layouts: dict[str, tuple[Caches, int]]) -> dict[str, tuple[str, Sequence[Any]]]:
    texts = [json.dumps(layout_columns(caches), separators=(",", ":")) for caches, _ in layouts.values()]
    return {
        "hash": ("String", list(layouts)),
        "columns": ("String", texts),
        "seen": ("Int64", [seen for _, seen in layouts.values()]),
    }


def _boot_labels(client: Client, records: Sequence[Record]) -> dict[str, BootLabels]:
    """Of the nodes that do not say which boot it is."""
    unnamed = {s.node for r in records if not (s := r.source.snapshot).boot_id and s.uptime_seconds is not None}
    if not unnamed:
        return {}
    found = client.ask(
        f"SELECT node, groupUniqArrayArray(booted) AS booted FROM nodes WHERE node IN ({names(unnamed)}) GROUP BY node"  # noqa: S608 - names() quotes each of them
    )
    pairs = zip(found.get("node", ()), found.get("booted", ()), strict=True)
    return {node: BootLabels(sorted(booted)) for node, booted in pairs}


def _stored(client: Client, records: Sequence[Record], forgotten: int) -> set[tuple[str, int, str]]:
    """Which of them the store has, or may have under another boot's label."""
    if not records:
        return set()
    nodes = names(r.source.snapshot.node for r in records)
    times = sorted({r.taken for r in records})
    query = (
        f"SELECT node, taken, boot FROM snapshots WHERE node IN ({nodes}) AND received >= {forgotten} "  # noqa: S608 - names() quotes each node, the rest are integers
        f"AND taken BETWEEN {times[0]} AND {times[-1]} AND taken IN ({', '.join(map(str, times))})"
    )
    found = client.ask(query)
    if not found:
        return set()
    return set(zip(found["node"], found["taken"].tolist(), found["boot"], strict=True))


def _float(value: float | None) -> float:
    return nan if value is None else value


def _columns(rows: Sequence[tuple[Record, str]]) -> dict[str, tuple[str, Sequence[Any]]]:
    records = [record for record, _ in rows]
    snapshots = [record.source.snapshot for record in records]
    received = [r.received for r in records]
    columns: dict[str, tuple[str, Sequence[Any]]] = {
        "node": ("String", [s.node for s in snapshots]),
        "taken": ("Int64", [r.taken for r in records]),
        "boot": ("String", [boot for _, boot in rows]),
        "layout": ("String", [r.layout for r in records]),
        "received": ("Int64", received),
        "first": ("Int64", [_NEVER - at for at in received]),
        "offset": ("Float64", [_float(r.offset) for r in records]),
        "uptime": ("Float64", [_float(s.uptime_seconds) for s in snapshots]),
        "read_seconds": ("Float64", [_float(s.read_seconds) for s in snapshots]),
        "memory": ("Array(Int64)", [[_UNKNOWN if v is None else v for v in r.memory] for r in records]),
        "facts": ("String", [r.facts for r in records]),
        "allocated": ("Int64", [r.allocated_bytes for r in records]),
        "active": ("Int64", [r.active_bytes for r in records]),
    }
    slabs: dict[str, NDArray[np.int64]] = {}
    for record in records:
        if record.layout not in slabs:
            slabs[record.layout] = per_slab(record.source.snapshot.caches)
    arrays = [differences(r.source.snapshot.caches, slabs[r.layout]) for r in records]
    for name, column in zip(COLUMNS, zip(*arrays, strict=True), strict=True):
        columns[name] = ("Array(Int64)", column)
    return columns
