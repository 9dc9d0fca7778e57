"""One snapshot: what one kernel said of all its slab caches at one instant, as plain data (no validation, no I/O)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from common.times import format_time

__all__ = [
    "DATA_COLUMNS",
    "LAYOUT_COLUMNS",
    "MEMORY_COLUMNS",
    "SCHEMA_VERSION",
    "Caches",
    "Memory",
    "Snapshot",
    "layout_columns",
    "layout_hash",
    "to_wire",
]

SCHEMA_VERSION = 1
LAYOUT_COLUMNS = ("name", "obj_size", "objs_per_slab", "pages_per_slab", "reclaimable", "aliases")
"""What seldom changes within a boot: the names and the geometry."""
DATA_COLUMNS = ("active_objs", "num_objs", "active_slabs", "num_slabs")
"""What changes from snapshot to snapshot."""
MEMORY_COLUMNS = ("total", "available", "slab_reclaimable", "slab_unreclaimable")
"""The fields of Memory, in order."""


@dataclass(slots=True)
class Caches:
    """The rows of one dump as parallel columns, in the kernel's order; a name may occur twice.

    A column that the dump's format lacks is None; so is one row's entry that is not known.
    """

    name: list[str]
    active_objs: list[int]
    """Objects in use; on SLUB an upper bound, as per-CPU slabs count in full."""
    num_objs: list[int]
    """Objects that fit into the slabs allocated."""
    obj_size: list[int]
    """Bytes an object takes, with alignment and debug padding."""
    objs_per_slab: list[int | None] | None = None
    pages_per_slab: list[int | None] | None = None
    """Kernel pages (4, 16 or 64 KiB, see Snapshot.page_size) in one slab."""
    active_slabs: list[int | None] | None = None
    num_slabs: list[int | None] | None = None
    reclaimable: list[bool | None] | None = None
    """/sys/kernel/slab/NAME/reclaim_account."""
    aliases: list[list[str] | None] | None = None
    """Other caches the kernel merged into this one (symbolic links in /sys/kernel/slab), sorted."""
    layout: str | None = field(default=None, init=False, compare=False, repr=False)
    """`layout_hash` of this where somebody knew it; a changed copy (dataclasses.replace) has none."""

    def __len__(self) -> int:
        return len(self.name)


@dataclass(slots=True)
class Memory:
    """Figures of /proc/meminfo in bytes; None where the kernel does not give them."""

    total: int | None = None
    available: int | None = None
    slab_reclaimable: int | None = None
    slab_unreclaimable: int | None = None


@dataclass(slots=True)
class Snapshot:
    """All slab caches of one node at one instant. The contract's wire format names the same fields."""

    node: str
    taken_at: float
    """Epoch seconds by the node's clock, to the millisecond."""
    caches: Caches
    group: str = "default"
    labels: dict[str, str] = field(default_factory=dict)
    interval_seconds: float | None = None
    """Seconds to the next snapshot, as the sender plans it."""
    boot_id: str | None = None
    uptime_seconds: float | None = None
    kernel: str | None = None
    machine: str | None = None
    cpus: int | None = None
    page_size: int | None = None
    """Bytes."""
    memory: Memory | None = None
    read_seconds: float | None = None
    """How long reading /proc/slabinfo took."""


def layout_columns(caches: Caches) -> dict[str, Any]:
    """The LAYOUT_COLUMNS that are there, by name."""
    return _present(caches, LAYOUT_COLUMNS)


def _present(of: Caches | Memory, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(of, name)) is not None}


def layout_hash(caches: Caches) -> str:
    """32 hex digits that stand for names and geometry: SHA-256 of their canonical JSON, cut.

    Absent columns are left out; keys are sorted, separators are `,` and `:`, text is UTF-8 unescaped.
    """
    text = json.dumps(layout_columns(caches), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def to_wire(snapshot: Snapshot, *, layout: str | None = None) -> dict[str, Any]:
    """The snapshot as the contract's JSON object; absent values are left out.

    With `layout` (a hash the server knows) that hash stands in place of the layout columns.
    """
    wire: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "node": snapshot.node,
        "group": snapshot.group,
        "taken_at": format_time(snapshot.taken_at),
    }
    if snapshot.labels:
        wire["labels"] = snapshot.labels
    for name in (
        "interval_seconds",
        "boot_id",
        "uptime_seconds",
        "kernel",
        "machine",
        "cpus",
        "page_size",
        "read_seconds",
    ):
        value = getattr(snapshot, name)
        if value is not None:
            wire[name] = value
    if snapshot.memory is not None:
        wire["memory"] = _present(snapshot.memory, MEMORY_COLUMNS)
    named = {"layout": layout} if layout else layout_columns(snapshot.caches)
    wire["caches"] = named | _present(snapshot.caches, DATA_COLUMNS)
    return wire
