"""What the store keeps in memory of every node, and the changes a transaction makes to it once it is committed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from common.boots import BootLabels
from server.storage.base import NodeState
from server.storage.damage import UNREADABLE, Damage
from server.storage.instants import closed_before
from server.storage.journal import Journal
from server.storage.record import Record, facts_of

__all__ = ["Catalog", "Changes", "Node", "state_of"]

_UPSERT = """INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET boot = excluded.boot, taken = excluded.taken, first = excluded.first,
seen = excluded.seen, uptime = excluded.uptime, offset = excluded.offset, allocated = excluded.allocated,
active = excluded.active, read_seconds = excluded.read_seconds, memory_total = excluded.memory_total,
memory_available = excluded.memory_available, usual_gap = excluded.usual_gap, facts = excluded.facts,
reach = excluded.reach"""


@dataclass(slots=True)
class Node:
    """A node in memory. Only the writer's thread changes it; `state` is replaced whole."""

    id: int
    state: NodeState
    facts: str
    usual_gap: float | None
    received: int
    """When its latest snapshot came, milliseconds; as read from the store, when anything did."""
    labels: BootLabels
    boots: dict[str, int] = field(default_factory=dict)
    """The numbers of its boots, by label."""


_FIGURE = (int, float, type(None))


class Catalog:
    """All nodes by name, as of the last commit."""

    def __init__(self, db: sqlite3.Connection, damage: Damage) -> None:
        self.nodes: dict[str, Node] = {}
        self.journal = Journal()
        self.disturbed: dict[int, int] = {}
        """By number of node, how often what readers may have kept of it changed (see server.storage.kept)."""
        self.boot_labels: dict[int, str] = {}
        """By number, for readers: so they stand here before the commit that uses them, and stay when it fails."""
        boots: dict[int, dict[str, int]] = {}
        for number, node, label in db.execute("SELECT id, node, label FROM boots"):
            self.boot_labels[number] = label
            boots.setdefault(node, {})[label] = number
        for row in db.execute("SELECT * FROM nodes").fetchall():
            number, name = row[:2]
            known = boots.get(number, {})
            try:
                state, facts, usual_gap = state_of(row)
            except UNREADABLE as error:
                damage.note("nodes", number, error)
                if not isinstance(name, str):
                    continue
                state, facts, usual_gap = state_of(_from_snapshots(db, number, name))
            heard = round(state.last_seen * 1000)
            self.nodes[name] = Node(number, state, facts, usual_gap, heard, BootLabels(known), known)
        self.next_node = max((n.id for n in self.nodes.values()), default=0) + 1
        self.next_boot = max(self.boot_labels, default=0) + 1
        self.recent: int = db.execute("SELECT count(*) FROM recent").fetchone()[0]
        total = db.execute("SELECT value FROM totals WHERE name = 'sealed' AND typeof(value) = 'integer'").fetchone()
        if total is None:  # damaged
            db.execute("INSERT OR REPLACE INTO totals SELECT 'sealed', coalesce(sum(snapshots), 0) FROM sealed")
            total = db.execute("SELECT value FROM totals WHERE name = 'sealed'").fetchone()
        self.sealed: int = total[0]

    def states(self) -> list[NodeState]:
        return [node.state for _, node in sorted(self.nodes.items())]


class Changes:
    """What one transaction changes in memory; nothing of it shows before `publish`."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.nodes: dict[str, Node] = {}
        self.boots: dict[tuple[str, str], int] = {}
        self.layouts: dict[str, int] = {}
        self.removed: set[str] = set()
        """Nodes that are forgotten (and may have come again since: then they stand in `nodes`, too)."""
        self.removed_layouts: set[int] = set()
        self.taken: list[int] = []
        """When the snapshots that came were taken, milliseconds."""
        self.gone: list[tuple[int, int]] = []
        """Spans (milliseconds, both ends included) of which something was forgotten."""
        self.disturbed: set[int] = set()
        """Nodes to which something came late, or of which something was forgotten."""
        self._retold = False
        """Whether a node is described anew: its older windows are, too."""
        self.after: list[Callable[[], None]] = []
        """Called once it is committed, in order."""

    def find(self, name: str) -> Node | None:
        known = self.nodes.get(name)
        return known if known or name in self.removed else self.catalog.nodes.get(name)

    def boot(self, node: Node, label: str) -> int:
        """The number of a boot; a new one where it has none."""
        name = node.state.node
        number = node.boots.get(label) or self.boots.get((name, label))
        if number is None:
            number = self.boots[name, label] = self.catalog.next_boot
            self.catalog.next_boot += 1
            self.catalog.boot_labels[number] = label
        return number

    def heard(self, node: Node, received: int) -> Node:
        """A duplicate came: the node is alive, and nothing else is new."""
        state = replace(node.state, last_seen=max(node.state.last_seen, received / 1000))
        return self._keep(replace(node, state=state))

    def apply(self, node: Node | None, record: Record, label: str, labels: BootLabels) -> Node:
        """A snapshot came, of a node that is new when `node` is None."""
        if node is None:
            number, self.catalog.next_node = self.catalog.next_node, self.catalog.next_node + 1
            state = _latest(record, label, record.taken / 1000, record.taken / 1000, record.received / 1000, None)
            return self._keep(Node(number, state, record.facts, None, record.received, labels))
        old, received = node.state, record.received / 1000
        if record.taken < closed_before(round(old.last_taken_at * 1000)):
            self.disturbed.add(node.id)
        usual_gap = node.usual_gap
        gap = received - old.last_seen
        if gap >= 1:  # what comes in one delivery says nothing about the pace
            # A long silence moves the usual gap by little.
            usual_gap = gap if usual_gap is None else usual_gap + 0.2 * (min(gap, 4 * usual_gap) - usual_gap)
        taken, seen = record.taken / 1000, max(received, old.last_seen)
        first, last = min(taken, old.first_taken_at), max(taken, old.last_taken_at)
        before = (min(old.taken_at, node.received / 1000), old.taken_at, old.boot)
        if (min(taken, received), taken, label) >= before:
            self._retold |= record.facts != node.facts
            state = _latest(record, label, first, last, seen, usual_gap)
            return self._keep(Node(node.id, state, record.facts, usual_gap, record.received, node.labels, node.boots))
        interval = facts_of(node.facts).get("interval_seconds")
        gap_seconds = usual_gap if interval is None else interval
        state = replace(old, first_taken_at=first, last_taken_at=last, last_seen=seen, gap_seconds=gap_seconds)
        return self._keep(replace(node, state=state, usual_gap=usual_gap))

    def _keep(self, node: Node) -> Node:
        self.nodes[node.state.node] = node
        return node

    def flush(self, db: sqlite3.Connection) -> None:
        """Writes the rows of the nodes that changed."""
        if self.nodes:
            db.executemany(_UPSERT, [_to_row(node) for node in self.nodes.values()])

    def publish(self) -> None:
        for name in self.removed:
            del self.catalog.nodes[name]
        joined = {node.state.group for name, node in self.nodes.items() if name not in self.catalog.nodes}
        self.catalog.nodes.update(self.nodes)
        for (name, label), number in self.boots.items():
            if name in self.catalog.nodes:
                self.catalog.nodes[name].boots[label] = number
        for step in self.after:
            step()
        for number in self.disturbed:
            self.catalog.disturbed[number] = self.catalog.disturbed.get(number, 0) + 1
        journal = self.catalog.journal  # last: from now on readers find all of it
        if self._retold:
            journal.note_everything()
        if self.taken:
            journal.note(self.taken)
        if self.gone:
            journal.note_spans(self.gone)
        if joined:
            journal.note_nodes(joined)


def _latest(record: Record, label: str, first: float, last: float, seen: float, usual_gap: float | None) -> NodeState:
    snapshot = record.source.snapshot
    interval = snapshot.interval_seconds
    return NodeState(
        snapshot.node,
        snapshot.group,
        snapshot.labels,
        snapshot.kernel,
        snapshot.machine,
        snapshot.cpus,
        label,
        snapshot.boot_id,
        snapshot.uptime_seconds,
        first,
        last,
        record.taken / 1000,
        seen,
        usual_gap if interval is None else interval,
        record.offset,
        record.allocated_bytes,
        record.active_bytes,
        snapshot.read_seconds,
        *record.memory[:2],
    )


def _to_row(node: Node) -> tuple[Any, ...]:
    s = node.state
    *times, reach = (round(t * 1000) for t in (s.taken_at, s.first_taken_at, s.last_seen, s.last_taken_at))
    known = (s.uptime_seconds, s.offset_seconds, s.allocated_bytes, s.active_bytes, s.read_seconds)
    memory = (s.memory_total, s.memory_available)
    return (node.id, s.node, s.boot, *times, *known, *memory, node.usual_gap, node.facts, reach)


_KNOWN = """SELECT min(first), max(last), max(received) FROM (
SELECT taken AS first, taken AS last, received FROM recent WHERE node = :node
UNION ALL SELECT first, last, received FROM sealed WHERE node = :node)"""


def _from_snapshots(db: sqlite3.Connection, number: int, name: str) -> tuple[Any, ...]:
    """In place of a damaged row: when the node was heard of. Its next snapshot says the rest."""
    first, last, received = (at or 0 for at in db.execute(_KNOWN, {"node": number}).fetchone())
    return (number, name, "", last, first, received, None, None, 0, 0, None, None, None, None, "{}", last)


def state_of(row: tuple[Any, ...]) -> tuple[NodeState, str, float | None]:
    """What a row of nodes says: the node, its facts and usual gap. Raises what UNREADABLE lists."""
    _, name, boot, *figures, text, reach = row
    if not (isinstance(name, str) and isinstance(boot, str) and all(isinstance(f, _FIGURE) for f in (*figures, reach))):
        raise TypeError("columns of other types than they should be")
    taken, first, seen, uptime, offset, allocated, active, read, total, available, usual_gap = figures
    facts = facts_of.__wrapped__(text)
    interval = facts.get("interval_seconds")
    state = NodeState(
        name,
        facts.get("group", "default"),
        facts.get("labels", {}),
        facts.get("kernel"),
        facts.get("machine"),
        facts.get("cpus"),
        boot,
        facts.get("boot_id"),
        uptime,
        first / 1000,
        reach / 1000,
        taken / 1000,
        seen / 1000,
        usual_gap if interval is None else interval,
        offset,
        allocated,
        active,
        read,
        total,
        available,
    )
    return state, text, usual_gap
