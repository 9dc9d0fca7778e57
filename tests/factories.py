"""Snapshots for everybody's tests: a small one written by hand, and simulated fleets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from common.snapshot import Caches, Memory, Snapshot
from server.simulator.fleet import Fleet, FleetSpec
from server.simulator.node import Leak, NodeSpec

__all__ = ["START", "fleet_snapshots", "make_caches", "make_fleet", "make_history", "make_snapshot"]

START = 1_795_392_000.0
"""2026-11-23T00:00:00Z."""


def make_caches(**rows: tuple[int, int, int]) -> Caches:
    """Caches of 4 KiB slabs from `name=(active_objs, num_objs, obj_size)`; two ordinary rows without any."""
    rows = rows or {"dentry": (121970, 125454, 192), "scsi_cmd_cache": (700, 736, 512)}
    per_slab = [max(1, 4096 // size) for _, _, size in rows.values()]
    slabs = [-(-num // fits) for (_, num, _), fits in zip(rows.values(), per_slab, strict=True)]
    return Caches(
        name=list(rows),
        active_objs=[active for active, _, _ in rows.values()],
        num_objs=[num for _, num, _ in rows.values()],
        obj_size=[size for _, _, size in rows.values()],
        objs_per_slab=[*per_slab],
        pages_per_slab=[1] * len(rows),
        active_slabs=[*slabs],
        num_slabs=[*slabs],
        reclaimable=[name == "dentry" for name in rows],
        aliases=[[] for _ in rows],
    )


def make_snapshot(node: str = "lvs1", taken_at: float = START, **fields: Any) -> Snapshot:
    """One valid snapshot with every field set; `fields` replaces any of them."""
    given: dict[str, Any] = {
        "caches": make_caches(),
        "group": "lvs",
        "labels": {"rack": "r4"},
        "interval_seconds": 60.0,
        "boot_id": "0b6f4d0e-8b1e-4f0e-9a53-5d7b9d3a1c11",
        "uptime_seconds": 86400.0 + (taken_at - START),
        "kernel": "6.1.0-28-amd64",
        "machine": "x86_64",
        "cpus": 4,
        "page_size": 4096,
        "memory": Memory(8 * 2**30, 7 * 2**30, 300 * 2**20, 90 * 2**20),
        "read_seconds": 0.002,
    }
    return Snapshot(node=node, taken_at=taken_at, **(given | fields))


def make_history(node: str = "lvs1", *, count: int = 10, **fields: Any) -> list[Snapshot]:
    """`count` snapshots of one node and boot, a minute apart: scsi_cmd_cache grows by 8 objects in each."""
    return [
        make_snapshot(
            node,
            START + at * 60.0,
            caches=make_caches(
                dentry=(121970, 125454, 192), scsi_cmd_cache=(700 + 8 * at, 736 + 8 * at, 512), filp=(900, 960, 256)
            ),
            **fields,
        )
        for at in range(count)
    ]


def make_fleet(
    *,
    seed: int = 1,
    nodes: int = 6,
    hours: float = 24.0,
    interval: float = 300.0,
    leak: Leak | None = None,
) -> Fleet:
    """A simulated fleet lvs1, lvs2, ... of like nodes; healthy without `leak`."""
    specs = tuple(NodeSpec(f"lvs{i}", group="lvs", phase_hours=0.2 * i) for i in range(1, nodes + 1))
    return Fleet(FleetSpec(seed, specs, (leak,) if leak else (), hours, interval))


def fleet_snapshots(fleet: Fleet) -> Iterator[Snapshot]:
    """All snapshots of a fleet, node by node."""
    for node in fleet.spec.nodes:
        yield from fleet.snapshots(node.name)
