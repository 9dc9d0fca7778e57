"""A simulated fleet held in memory for many judgements, which knows how long it took to read."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from server.buckets import BootSeries, NodeSeries, Source
from server.simulator.fleet import Fleet, FleetSpec

__all__ = ["TimedSource", "held"]

MOST_HELD = 60
"""Nodes; larger fleets are rendered anew for every window, for they would not fit."""


class TimedSource:
    """Gives what another source gives; `seconds` is the CPU time that took, to be told apart from the analysis.

    Every width is reduced once over all the data and then cut; a window that cuts a bucket goes to the source below.
    """

    def __init__(self, source: Source, start: float, end: float, *, keep: bool) -> None:
        self._source, self._keep = source, keep
        self._start, self._end = start, end
        """Of all the data, epoch seconds."""
        self._whole: dict[int, list[NodeSeries]] = {}
        self.seconds = 0.0

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        """See server.buckets.Source."""
        begun = time.process_time()
        aligned = (start % width == 0 or start <= self._start) and (end % width == 0 or end >= self._end)
        if not self._keep or caches is not None or not aligned:
            series = list(self._source.window(start, end, width, group=group, caches=caches))
        else:
            if width not in self._whole:
                self._whole[width] = list(self._source.window(self._start, self._end, width))
            cut = [_cut(node, start, end) for node in self._whole[width] if group in {None, node.group}]
            series = [node for node in cut if node.boots]
        self.seconds += time.process_time() - begun
        return series


def held(spec: FleetSpec) -> TimedSource:
    """The fleet as a source. The same snapshots as Fleet.window gives, from its start to its end."""
    few = len(spec.nodes) <= MOST_HELD
    fleet = Fleet(spec, cached=len(spec.nodes) if few else 1)
    step = max((seconds for node in spec.nodes for _, seconds in node.clock_steps), default=0.0)
    return TimedSource(fleet, spec.start - 86400, fleet.end + abs(step) + 60, keep=few)


def _cut(node: NodeSeries, start: float, end: float) -> NodeSeries:
    boots = [_cut_boot(boot, start, end) for boot in node.boots]
    return replace(node, boots=tuple(boot for boot in boots if len(boot.time)))


def _cut_boot(boot: BootSeries, start: float, end: float) -> BootSeries:
    """The buckets that lie in the window. Their `time` is that of their last snapshot."""
    a, b = int(np.searchsorted(boot.time, start)), int(np.searchsorted(boot.time, end, side="right"))
    return replace(
        boot,
        time=boot.time[a:b],
        uptime=boot.uptime[a:b],
        memory=boot.memory[a:b],
        samples=boot.samples[a:b],
        num_min=boot.num_min[a:b],
        active_min=boot.active_min[a:b],
    )
