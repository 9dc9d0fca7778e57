"""Every node as its newest snapshot describes it, and the instants stored of one."""

from __future__ import annotations

from pydantic import Field

from common.snapshot import to_wire
from common.times import format_time
from common.wire import WireSnapshot
from server.reports.fields import Instant, WireReport
from server.storage.base import Instant as StoredInstant
from server.storage.base import NodeState, Stored

__all__ = [
    "NodeItem",
    "NodeList",
    "SnapshotItem",
    "SnapshotList",
    "StoredSnapshot",
    "node_item",
    "snapshot_item",
    "stored_snapshot",
]

STALE_AFTER_GAPS = 3
"""A node is stale when nothing came for so many of its intervals."""


class NodeItem(WireReport):
    """One node."""

    node: str = Field(description="Name of the node.")
    group: str = Field(description="Name of its group.")
    labels: dict[str, str] = Field(description="Its labels, text by name.")
    kernel: str | None = Field(description="Kernel release; null when unknown.")
    machine: str | None = Field(description="Hardware name; null when unknown.")
    cpus: int | None = Field(description="CPUs online, a count; null when unknown.")
    boot: str = Field(description="What tells its boots apart: boot_id, else `booted TIME`; empty when unknown.")
    boot_id: str | None = Field(description="boot_id as the node sent it, text; null when it sent none.")
    uptime_seconds: float | None = Field(description="Seconds since boot at the latest snapshot; null when unknown.")
    first_taken_at: Instant = Field(description="The oldest snapshot ever stored, RFC 3339 in UTC by the node's clock.")
    taken_at: Instant = Field(description="The latest snapshot, RFC 3339 in UTC by the node's clock.")
    last_seen: Instant = Field(description="When anything last came from it, RFC 3339 in UTC by the server's clock.")
    seen_seconds_ago: float = Field(description="Seconds since then.")
    gap_seconds: float | None = Field(
        description="Seconds between its snapshots as it says, else as is usual; null while unknown."
    )
    stale: bool | None = Field(
        description="Whether nothing came for three times gap_seconds, by the server's clock; null while unknown."
    )
    clock_offset_seconds: float | None = Field(
        description="Seconds by which its clock is ahead of the server's; null when it sent no Slabhound-Sent-At."
    )
    allocated_bytes: int = Field(description="Bytes its slab caches hold: the sum of num_objs x obj_size.")
    active_bytes: int = Field(description="Bytes of objects in use: the sum of active_objs x obj_size.")
    read_seconds: float | None = Field(description="Seconds that reading /proc/slabinfo took; null when unknown.")
    memory_total: int | None = Field(description="Bytes of memory; null when unknown.")
    memory_available: int | None = Field(description="Bytes of memory available; null when unknown.")


class NodeList(WireReport):
    """A page of nodes, by name."""

    items: list[NodeItem] = Field(description="The nodes of this page.")
    next: str | None = Field(description="Cursor of the next page, text; null on the last.")


class SnapshotItem(WireReport):
    """That a snapshot is stored, without its caches."""

    taken_at: Instant = Field(description="When the dump was read, RFC 3339 in UTC by the node's clock.")
    boot: str = Field(description="What tells boots apart: boot_id, else `booted TIME`; empty when unknown.")
    boot_id: str | None = Field(description="boot_id as the node sent it, text; null when it sent none.")
    uptime_seconds: float | None = Field(description="Seconds since boot; null when unknown.")
    kernel: str | None = Field(description="Kernel release; null when unknown.")
    received_at: Instant = Field(description="When it came, RFC 3339 in UTC by the server's clock.")
    clock_offset_seconds: float | None = Field(
        description="Seconds by which the sender's clock was ahead of the server's; null when not said."
    )
    caches: int = Field(description="Slab caches listed, a count of rows.")


class SnapshotList(WireReport):
    """A page of stored instants, by time."""

    items: list[SnapshotItem] = Field(description="The instants of this page.")
    next: str | None = Field(description="Cursor of the next page, text; null on the last.")


class StoredSnapshot(WireSnapshot):
    """A snapshot exactly as it was sent, with what the server noted."""

    boot: str = Field(description="What tells boots apart: boot_id, else `booted TIME`; empty when unknown.")
    received_at: Instant = Field(description="When it came, RFC 3339 in UTC by the server's clock.")
    clock_offset_seconds: float | None = Field(
        description="Seconds by which the sender's clock was ahead of the server's; null when not said."
    )


def node_item(state: NodeState, now: float) -> NodeItem:
    """`now`: epoch seconds by the server's clock."""
    ago = max(0.0, now - state.last_seen)
    gap = state.gap_seconds
    return NodeItem(
        node=state.node,
        group=state.group,
        labels=dict(state.labels),
        kernel=state.kernel,
        machine=state.machine,
        cpus=state.cpus,
        boot=state.boot,
        boot_id=state.boot_id,
        uptime_seconds=state.uptime_seconds,
        first_taken_at=state.first_taken_at,
        taken_at=state.taken_at,
        last_seen=state.last_seen,
        seen_seconds_ago=round(ago, 3),
        gap_seconds=gap,
        stale=None if gap is None else ago > STALE_AFTER_GAPS * gap,
        clock_offset_seconds=state.offset_seconds,
        allocated_bytes=state.allocated_bytes,
        active_bytes=state.active_bytes,
        read_seconds=state.read_seconds,
        memory_total=state.memory_total,
        memory_available=state.memory_available,
    )


def snapshot_item(instant: StoredInstant) -> SnapshotItem:
    return SnapshotItem(
        taken_at=instant.taken_at,
        boot=instant.boot,
        boot_id=instant.boot_id,
        uptime_seconds=instant.uptime_seconds,
        kernel=instant.kernel,
        received_at=instant.received_at,
        clock_offset_seconds=instant.offset_seconds,
        caches=instant.caches,
    )


def stored_snapshot(stored: Stored) -> dict[str, object]:
    """The JSON object of StoredSnapshot; built by hand, as the snapshot was checked when it came."""
    return {
        **to_wire(stored.snapshot),
        "boot": stored.boot,
        "received_at": format_time(stored.received_at),
        "clock_offset_seconds": stored.offset_seconds,
    }
