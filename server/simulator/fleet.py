"""A simulated fleet: snapshots as its agents would send them, or the same numbers at once as a source of series."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from common.boots import BootLabels
from common.snapshot import Caches, Memory, Snapshot, layout_hash
from server.assemble import assemble_boots, layout_rows
from server.buckets import CacheRow, NodeSeries, raw_block
from server.simulator.boot import BootRecord, Stretch, record_boot
from server.simulator.catalogue import KERNELS
from server.simulator.load import NodeLoad, node_load
from server.simulator.node import Leak, NodeSpec
from server.simulator.processes import HOUR, generator

__all__ = ["Fleet", "FleetSpec"]

Floats = NDArray[np.float64]
START = 1_795_392_000.0
"""2026-11-23T00:00:00Z, a Monday."""


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """What to simulate; the same spec gives the same numbers, and a node's do not depend on the other nodes."""

    seed: int
    nodes: tuple[NodeSpec, ...]
    leaks: tuple[Leak, ...] = ()
    hours: float = 24.0
    interval: float = 60.0
    """Seconds."""
    start: float = START
    """Epoch seconds."""


class Fleet:
    """Renders a FleetSpec, a node at a time; nothing is kept but what `cached` nodes were asked for last."""

    def __init__(self, spec: FleetSpec, *, cached: int = 8) -> None:
        self.spec = spec
        self._nodes = {node.name: node for node in spec.nodes}
        self._record = lru_cache(maxsize=cached)(self._render)
        self._rows: dict[str, tuple[CacheRow, ...]] = {}
        """By layout: nodes of one layout share them, as they do in a store."""

    @property
    def end(self) -> float:
        """Epoch seconds of the last instant."""
        return self.spec.start + self.spec.hours * HOUR

    def record(self, node: str) -> tuple[BootRecord, ...]:
        """The node's boots by time, as arrays."""
        return self._record(node)

    def snapshots(self, node: str) -> Iterator[Snapshot]:
        """The node's snapshots by time."""
        spec = self._nodes[node]
        for boot in self.record(node):
            layout, release = _layout(boot), KERNELS[boot.kernel].release
            slabs = boot.slabs.tolist()
            for at, (active, num) in enumerate(zip(boot.active.tolist(), boot.num.tolist(), strict=True)):
                yield Snapshot(
                    node=node,
                    taken_at=round(float(boot.time[at]), 3),
                    caches=replace(
                        layout, active_objs=active, num_objs=num, active_slabs=slabs[at], num_slabs=slabs[at]
                    ),
                    group=spec.group,
                    labels=dict(spec.labels),
                    interval_seconds=self.spec.interval,
                    boot_id=boot.boot_id,
                    uptime_seconds=float(boot.uptime[at]),
                    kernel=release,
                    machine="x86_64",
                    cpus=spec.cpus,
                    page_size=4096,
                    memory=Memory(*(int(figure) for figure in boot.memory[at])),
                    read_seconds=0.0006,
                )

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        """See server.buckets.Source.window, which this is."""
        for name in sorted(self._nodes):
            spec = self._nodes[name]
            if group is not None and spec.group != group:
                continue
            series = self._series(spec, start, end, width, caches)
            if series.boots:
                yield series

    def _series(
        self, spec: NodeSpec, start: float, end: float, width: int, caches: Collection[str] | None
    ) -> NodeSeries:
        labels = BootLabels()
        blocks, layouts, kernel = [], {}, None
        for boot in self.record(spec.name):
            time = np.round(boot.time, 3)
            kept = (time >= start) & (time <= end)
            if kept.any():
                layout = _layout(boot)
                key = layout_hash(layout)
                layouts[key] = self._rows[key] = self._rows.get(key) or layout_rows(layout)
                label = labels.label(boot.boot_id, float(time[0]), float(boot.uptime[0]))
                blocks.append(
                    raw_block(
                        label, key, time[kept], boot.uptime[kept], boot.memory[kept], boot.num[kept], boot.active[kept]
                    )
                )
                kernel = KERNELS[boot.kernel].release
        boots = assemble_boots(blocks, layouts, width, caches=caches)
        return NodeSeries(spec.name, spec.group, dict(spec.labels), kernel, "x86_64", spec.cpus, boots)

    def _render(self, node: str) -> tuple[BootRecord, ...]:
        spec, fleet = self._nodes[node], self.spec
        rng = generator(fleet.seed, spec.name, "clock")
        grid = fleet.start + rng.uniform(0, fleet.interval) + np.arange(0, fleet.hours * HOUR, fleet.interval)
        time = grid + rng.uniform(-1, 1, len(grid)) * min(spec.jitter, fleet.interval / 3)
        time = time[rng.random(len(time)) >= spec.dropped]
        load = node_load(spec, time, seed=fleet.seed, start=fleet.start)
        leaks = [leak for leak in fleet.leaks if node in leak.nodes]
        records = []
        for booted, until, kernel in self._boots(spec):
            kept = (time >= booted + 20) & (time < until) & (time <= self.end)
            for gap in spec.gaps:
                kept &= (time < fleet.start + gap.at * HOUR) | (time >= fleet.start + gap.until * HOUR) | gap.late
            if not kept.any():
                continue
            stretch = Stretch(time[kept], booted, kernel, fleet.start, self.end, fleet.seed, first=booted < fleet.start)
            part = NodeLoad({name: path[kept] for name, path in load.factors.items()}, load.pressure)
            record = record_boot(spec, stretch, part, leaks)
            records.append(replace(record, time=self._told(spec, record.time)))
        return tuple(records)

    def _boots(self, spec: NodeSpec) -> Iterator[tuple[float, float, str]]:
        """(booted, down, kernel) of every boot."""
        booted, kernel = self.spec.start - spec.uptime_hours * HOUR, spec.kernel
        for reboot in sorted(spec.reboots, key=lambda r: r.at):
            down = self.spec.start + reboot.at * HOUR
            yield booted, down, kernel
            booted, kernel = down + reboot.minutes * 60, reboot.kernel or kernel
        yield booted, np.inf, kernel

    def _told(self, spec: NodeSpec, time: Floats) -> Floats:
        """The instants by the node's own clock."""
        told = time.copy()
        for hour, seconds in spec.clock_steps:
            told += np.where(time >= self.spec.start + hour * HOUR, seconds, 0.0)
        return told


def _layout(boot: BootRecord) -> Caches:
    """The layout columns of a boot; the data columns are empty."""
    models = boot.models
    return Caches(
        name=[m.name for m in models],
        active_objs=[],
        num_objs=[],
        obj_size=[m.size for m in models],
        objs_per_slab=list(boot.objs_per_slab),
        pages_per_slab=list(boot.pages_per_slab),
        reclaimable=[m.reclaimable for m in models],
        aliases=[list(m.aliases) for m in models],
    )
