"""Every cache of the fleet in a window: who lists it, how many bytes, how fast the median node's grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.analysis.opened import opened
from server.analysis.tracks import Track, cells, make_tracks
from server.analysis.trend import theil_sen
from server.analysis.types import Judgement
from server.analysis.windows import plan
from server.buckets import NodeSeries, Source

__all__ = ["CacheSummary", "list_caches"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CacheSummary:
    """One cache across the nodes. Bytes are summed over the nodes' newest buckets."""

    cache: str
    members: tuple[str, ...]
    nodes: int
    active_bytes: float
    allocated_bytes: float
    bytes_per_hour: float | None
    """The median node's growth rate in its newest boot; None when no node has data enough."""
    fleet_growth: bool


@dataclass(slots=True)
class _Sum:
    members: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    active: float = 0.0
    allocated: float = 0.0
    rates: list[float] = field(default_factory=list)


def list_caches(
    source: Source, *, start: float, end: float, group: str | None, judgement: Judgement
) -> list[CacheSummary]:
    """Every cache listed from `start` to `end` (epoch seconds) in any group asked for, by name.

    `judgement` is that of the same window and group.
    """
    reading = plan(start, end)[0]
    by_group: dict[str, list[NodeSeries]] = {}
    for node in opened(source, start, end, group=group):
        by_group.setdefault(node.group, []).append(node)
    sums: dict[str, _Sum] = {}
    for name in sorted(by_group):
        tracks = make_tracks(sorted(by_group[name], key=lambda node: node.node))
        for track in tracks:
            if track.last and len(track.time):
                _add(sums, cells(track, reading.start, end, reading.spans[0].width))
    growing = {found.cache for found in judgement.findings if found.kind == "fleet"}
    return [_summary(cache, sums[cache], fleet_growth=cache in growing) for cache in sorted(sums)]


def _add(sums: dict[str, _Sum], track: Track) -> None:
    rates = theil_sen(track.time, track.allocated) if len(track.time) >= 4 else np.full(len(track.names), np.nan)
    for column, cache in enumerate(track.names):
        one = sums.setdefault(cache, _Sum())
        one.members.update(track.facts[column].members)
        one.nodes.add(track.node)
        one.active += _newest(track.active[:, column])
        one.allocated += _newest(track.allocated[:, column])
        if np.isfinite(rates[column]):
            one.rates.append(float(rates[column]) * 3600.0)


def _newest(y: Floats) -> float:
    known = y[np.isfinite(y)]
    return float(known[-1]) if len(known) else 0.0


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _summary(cache: str, one: _Sum, *, fleet_growth: bool) -> CacheSummary:
    return CacheSummary(
        cache, tuple(sorted(one.members)), len(one.nodes), one.active, one.allocated, _median(one.rates), fleet_growth
    )
