"""What a storage engine must do; SQLite and ClickHouse stand behind this protocol and pass the same contract tests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from common.snapshot import Caches, Snapshot
from server.buckets import NodeSeries
from server.storage.journal import Journal

__all__ = ["MAX_NODES", "Appended", "Instant", "NodeState", "Received", "Store", "StoreStatus", "Stored"]


MAX_NODES = 200_000
"""Nodes that a store takes unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Received:
    """A snapshot as it came through the front door."""

    snapshot: Snapshot
    received_at: float
    """Epoch seconds by the server's clock."""
    offset_seconds: float | None = None
    """The sender's clock minus the server's when it was sent (Slabhound-Sent-At); None when not said."""


@dataclass(frozen=True, slots=True)
class Appended:
    """How many snapshots of a batch were new, and how many the store had already."""

    stored: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored snapshot, exactly as it was sent, with what the server noted."""

    snapshot: Snapshot
    boot: str
    received_at: float
    offset_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Instant:
    """That a snapshot is stored, without its caches."""

    taken_at: float
    boot: str
    boot_id: str | None
    uptime_seconds: float | None
    received_at: float
    offset_seconds: float | None
    kernel: str | None
    caches: int
    """Rows listed."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node as its latest snapshot describes it: the greatest by the lesser of taken_at and received_at.

    So the clock of a node that ran ahead counts for no more than the receipt, and is done with once it is right again.
    """

    node: str
    group: str
    labels: Mapping[str, str]
    kernel: str | None
    machine: str | None
    cpus: int | None
    boot: str
    boot_id: str | None
    uptime_seconds: float | None
    first_taken_at: float
    last_taken_at: float
    """The greatest taken_at of all it sent: past `taken_at` where its clock once ran ahead."""
    taken_at: float
    last_seen: float
    """Epoch seconds by the server's clock: the last receipt of anything from this node."""
    gap_seconds: float | None
    """interval_seconds of the latest snapshot, else the usual gap between receipts; None while unknown."""
    offset_seconds: float | None
    allocated_bytes: int
    """Sum over the caches of num_objs x obj_size."""
    active_bytes: int
    read_seconds: float | None
    memory_total: int | None
    memory_available: int | None


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What /readyz and /metrics show of the store."""

    nodes: int
    snapshots: int
    bytes_on_disk: int
    writable: bool
    problem: str | None = None
    """One line when it is not writable, maintenance failed, or something stored is damaged."""
    counters: Mapping[str, float] = field(default_factory=dict)


class Store(Protocol):
    """An archive of snapshots. Methods may be called from any thread; they block unless they return a Future."""

    def append(self, batch: Sequence[Received]) -> Future[Appended]:
        """Stores a batch, all or nothing; the future is done once it is on disk (fsync).

        The same (node, boot, taken_at) again is a duplicate and changes nothing. Fails with StoreFullError when the
        disk takes no more, with TooManyNodesError when there would be too many.
        """
        ...

    def nodes(self) -> list[NodeState]:
        """Every node, by name."""
        ...

    def layout(self, layout: str) -> Caches | None:
        """The layout columns of that hash (data columns empty), or None when it was never seen."""
        ...

    def instants(
        self, node: str, start: float | None, end: float | None, *, after: tuple[float, str] | None, limit: int
    ) -> list[Instant]:
        """Stored snapshots of a node with start <= taken_at <= end, by (taken_at, boot), past `after`."""
        ...

    def at(self, node: str, instant: float | None) -> Stored | None:
        """The newest snapshot at or before `instant` (None: the latest, which NodeState describes)."""
        ...

    def first(self, node: str) -> Stored | None:
        """The oldest snapshot stored of that node."""
        ...

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        """See server.buckets.Source.window, which every store is."""
        ...

    def journal(self) -> Journal | None:
        """What changed since when; None when others write to the same store: then no answer may be kept."""
        ...

    def maintain(self, now: float) -> None:
        """Seals, rolls up and forgets what is due at `now` (epoch seconds); safe to call at any time."""
        ...

    def status(self) -> StoreStatus: ...

    def close(self) -> None:
        """Waits for pending appends, then lets go of the files."""
        ...
