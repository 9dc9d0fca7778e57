"""What each node is, asked of the store: aggregators keep no state that another one could contradict."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from statistics import median
from typing import Any

from server.storage.base import NodeState
from server.storage.clickhouse.append import names
from server.storage.clickhouse.client import Client
from server.storage.clickhouse.reading import LATEST_FIRST
from server.storage.layouts import Layout, unpack_columns
from server.storage.record import facts_of, milliseconds

__all__ = ["load_layouts", "node_states"]

_FIELDS = ("taken", "boot", "facts", "uptime", "offset", "read_seconds", "allocated", "active", "memory")
_RECEIPTS = 20
_AHEAD = 60
"""Seconds: what was taken so much later than anything came is the latest only where nothing came after it."""


def node_states(client: Client, forgotten: int) -> list[NodeState]:
    """By name; without those last heard of before `forgotten` (milliseconds). Raises StoreError."""
    fields = ", ".join(f"newest.{name} AS {name}" for name in _FIELDS)
    query = (
        f"SELECT node, {fields}, first, seen FROM (SELECT node, max(newest) AS newest, min(first) AS first, "  # noqa: S608 - the columns are _FIELDS, `forgotten` is an integer
        f"max(seen) AS seen FROM nodes GROUP BY node HAVING seen >= {forgotten}) ORDER BY node"
    )
    found = client.ask(query)
    if not found:
        return []
    rows = zip(*(found[name] for name in ("node", *_FIELDS, "first", "seen")), strict=True)
    states = _latest(client, [_state(*row) for row in rows])
    gaps = _usual_gaps(client, [s.node for s in states if s.gap_seconds is None])
    return [_with_gap(s, gaps.get(s.node)) if s.gap_seconds is None else s for s in states]


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)


def _state(  # noqa: PLR0913, PLR0917 - one argument for each column of the answer
    node: str,
    taken: Any,
    boot: str,
    text: str,
    uptime: Any,
    offset: Any,
    read: Any,
    allocated: Any,
    active: Any,
    memory: Any,
    first: Any,
    seen: Any,
) -> NodeState:
    facts = facts_of(text)
    total, available, *_ = [None if v < 0 else int(v) for v in memory.tolist()]
    return NodeState(
        node,
        facts.get("group", "default"),
        facts.get("labels", {}),
        facts.get("kernel"),
        facts.get("machine"),
        facts.get("cpus"),
        boot,
        facts.get("boot_id"),
        _known(uptime),
        int(first) / 1000,
        int(taken) / 1000,
        int(taken) / 1000,
        int(seen) / 1000,
        facts.get("interval_seconds"),
        _known(offset),
        int(allocated),
        int(active),
        _known(read),
        total,
        available,
    )


def _with_gap(state: NodeState, gap: float | None) -> NodeState:
    return replace(state, gap_seconds=gap)


def _latest(client: Client, states: list[NodeState]) -> list[NodeState]:
    """The table has a node's newest snapshot, which need not be the latest where its clock once ran ahead."""
    ahead = {s.node: s for s in states if s.taken_at > s.last_seen + _AHEAD and not _just_came(s)}
    if not ahead:
        return states
    fields = ", ".join(_FIELDS)
    found = client.ask(
        f"SELECT node, {fields} FROM snapshots WHERE node IN ({names(ahead)}) "  # noqa: S608 - names() quotes each of them
        f"ORDER BY {LATEST_FIRST} LIMIT 1 BY node"
    )
    for row in zip(*(found.get(name, ()) for name in ("node", *_FIELDS)), strict=True):
        s = ahead[row[0]]
        known = (*row, milliseconds(s.first_taken_at), milliseconds(s.last_seen))
        ahead[s.node] = replace(_state(*known), last_taken_at=s.last_taken_at)
    return [ahead.get(s.node, s) for s in states]


def _just_came(state: NodeState) -> bool:
    """Whether a clock that is ahead still sent this as the last thing heard of its node."""
    return state.offset_seconds is not None and state.taken_at - state.offset_seconds > state.last_seen - 1


def _usual_gaps(client: Client, nodes: list[str]) -> dict[str, float]:
    """The median of the last gaps between receipts, in seconds."""
    if not nodes:
        return {}
    found = client.ask(
        "SELECT node, arraySort(groupUniqArray(received)) AS times FROM "  # noqa: S608 - names() quotes each of them
        f"(SELECT node, received FROM snapshots WHERE node IN ({names(nodes)}) ORDER BY node, taken DESC "
        f"LIMIT {_RECEIPTS} BY node) GROUP BY node"
    )
    gaps = {}
    for node, times in zip(found.get("node", ()), found.get("times", ()), strict=True):
        # What comes in one delivery says nothing about the pace.
        steps = [b - a for a, b in zip(times.tolist(), times.tolist()[1:], strict=False) if b - a >= 1000]
        if steps:
            gaps[node] = median(steps) / 1000
    return gaps


def load_layouts(client: Client, hashes: set[str], forgotten: int) -> dict[str, Layout]:
    """Those that are there. Raises StoreError."""
    if not hashes:
        return {}
    found = client.ask(
        f"SELECT hash, any(columns) AS columns FROM layouts WHERE hash IN ({names(hashes)}) "  # noqa: S608 - names() quotes each of them
        f"GROUP BY hash HAVING max(seen) >= {forgotten}"
    )
    pairs = zip(found.get("hash", ()), found.get("columns", ()), strict=True)
    return {key: unpack_columns(key, text) for key, text in pairs}
