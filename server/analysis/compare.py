"""One cache on every node side by side: series, growth rates, the peers' median and spread, and who stands out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from server.analysis.identity import fold
from server.analysis.opened import opened
from server.analysis.peers import robust_spread, robust_spreads, scales_to
from server.analysis.study import Study
from server.analysis.tracks import Deferred, Track, make_tracks
from server.analysis.trend import fit
from server.analysis.types import Finding
from server.analysis.windows import bucket_width, plan
from server.buckets import WIDTHS, NodeSeries, Source

__all__ = ["Comparison", "NodeComparison", "compare"]

Floats = NDArray[np.float64]
FEW = 200
"""Nodes, up to which series have as many points as were asked for; of more, no more than the judgement looks at."""
FEWEST = 4
"""Cells, from which on there is a growth rate."""
TOGETHER = 64
"""Nodes that are compared with all others at once."""


@dataclass(frozen=True, slots=True)
class NodeComparison:
    """The cache on one node."""

    node: str
    group: str
    members: tuple[str, ...]
    bytes_per_hour: float | None
    """In its newest boot; None when there is too little data."""
    score: float | None
    """By how much its growth exceeds its own noise and its peers' spread; None without peers."""
    stands_out: bool
    """Whether the report of the same window has a finding for it."""
    series: tuple[tuple[float, float], ...]
    """(epoch seconds, allocated bytes) by time, at most as many as asked for; empty for nodes past the limit."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One cache across the nodes, the outstanding first."""

    cache: str
    members: tuple[str, ...]
    start: float
    end: float
    nodes: tuple[NodeComparison, ...]
    median: float | None
    """Of the nodes' growth rates, bytes an hour; the spread is a robust standard deviation of the same."""
    spread: float | None


def compare(
    source: Source,
    cache: str,
    *,
    start: float,
    end: float,
    group: str | None,
    points: int = 300,
    most: int | None = None,
    studied: Study,
) -> Comparison:
    """The cache of that name (any spelling that folds to it, or one of its members) on every node that lists it.

    `studied` is the study of the same window and group. Nodes past the first `most` come without their series.
    """
    wanted = fold(cache)
    fitting = [width for width in WIDTHS if (end - start) / width <= points]
    # Never coarser than the report's own, however few points are asked for: the series are thinned at the end.
    width = min(min(fitting, default=WIDTHS[-1]), bucket_width(end - start))
    if studied.nodes > FEW:
        width = bucket_width(end - start)
    names = studied.spellings(wanted)
    per_node: dict[tuple[str, str], list[Track]] = {}
    for track in _tracks(source, start, end, width, group, names) if names else ():
        if len(track.time) and (name := _listed_as(track, wanted)) is not None:
            per_node.setdefault((track.group, track.node), []).append(_narrowed(track, name, wanted))
    listed = [tuple(per_node[key]) for key in sorted(per_node)]
    cell = plan(start, end)[0].spans[0].width
    rates = _rates([boots[-1] for boots in listed], wanted, max(cell, width))
    scores = _scores([boots[-1].group for boots in listed], rates)
    known = rates[np.isfinite(rates[:, 0])]
    standing = _standing(studied.judgement.findings, wanted)
    rows = []
    for boots, rate, score in zip(listed, rates[:, 0].tolist(), scores.tolist(), strict=True):
        last = boots[-1]
        row = NodeComparison(
            last.node,
            last.group,
            tuple(sorted({m for track in boots for m in track.facts[track.index[wanted]].members})),
            None if math.isnan(rate) else rate,
            None if math.isnan(score) else score,
            (last.node, None) in standing or (None, last.group) in standing,
            (),
        )
        rows.append((row, boots))
    rows.sort(key=lambda pair: _order(pair[0]))
    nodes = [replace(row, series=_series(boots, wanted, points)) for row, boots in rows[:most]]
    nodes += [row for row, _ in rows[len(nodes) :]]
    median, spread = robust_spread(known[:, 0], known[:, 1]) if len(known) >= 2 else (None, None)
    members = tuple(sorted({member for row in nodes for member in row.members}))
    return Comparison(wanted, members, start, end, tuple(nodes), median, spread)


def _order(row: NodeComparison) -> tuple[bool, float, float, str]:
    """The outstanding first."""
    return not row.stands_out, -(row.score or 0.0), -(row.bytes_per_hour or 0.0), row.node


def _standing(findings: Sequence[Finding], wanted: str) -> set[tuple[str | None, str | None]]:
    """(node, None) of those with a finding for the cache, (None, group) where the whole group has one."""
    return {
        (one.node, None if one.node else one.group)
        for one in findings
        if wanted in {one.cache, *map(fold, one.members), *map(fold, one.aliases), *(other.cache for other in one.also)}
    }


def _tracks(source: Source, start: float, end: float, width: int, group: str | None, names: set[str]) -> list[Track]:
    by_group: dict[str, list[NodeSeries]] = {}
    if width < bucket_width(end - start):
        window = source.window(start, end, width, group=group, caches=names)
    else:
        window = opened(source, start, end, group=group, caches=names)
    for node in window:
        by_group.setdefault(node.group, []).append(node)
    return [
        track for name in sorted(by_group) for track in make_tracks(sorted(by_group[name], key=lambda node: node.node))
    ]


def _listed_as(track: Track, wanted: str) -> str | None:
    """The cache that holds the wanted one's objects on this node: itself, else the one it was merged into."""
    if wanted in track.index:
        return wanted
    merged = [n for n, facts in zip(track.names, track.facts, strict=True) if wanted in map(fold, facts.aliases)]
    return merged[0] if merged else None


def _narrowed(track: Track, name: str, wanted: str) -> Track:
    """The track with that one cache only, under the name asked for."""
    column = track.index[name]
    return replace(
        track,
        names=(wanted,),
        allocated=track.allocated[:, [column]],
        in_use=Deferred(lambda: track.active[:, [column]]),
        facts=(track.facts[column],),
        index={wanted: 0},
        reclaimable=track.reclaimable[[column]],
    )


def _rates(tracks: Sequence[Track], cache: str, width: float) -> Floats:
    """[N, 4] growth rate and its error in bytes an hour, level at the start and noise; NaN where too little is known.

    In cells of `width` seconds; nodes with as many are fitted at once.
    """
    rates = np.full((len(tracks), 4), np.nan)
    alike: dict[int, list[tuple[int, Floats, Floats]]] = {}
    for index, track in enumerate(tracks):
        t, y = _floors(track.time, track.allocated[:, track.index[cache]], width)
        alike.setdefault(len(t), []).append((index, t, y))
    for count, found in alike.items():
        if count < FEWEST:
            continue
        t, y = np.stack([t for _, t, _ in found], axis=1), np.stack([y for _, _, y in found], axis=1)
        trend, hours = fit(t, y), (t[-1] - t[0]) / 3600.0
        growth, error = trend.growth / hours, np.maximum(trend.error, 1.0) / hours
        rates[[index for index, _, _ in found]] = np.stack([growth, error, y[0], trend.noise], axis=1)
    return rates


def _floors(time: Floats, y: Floats, width: float) -> tuple[Floats, Floats]:
    """As tracks.cells, of one series: the last time and the floor of every cell, without what is not listed."""
    first = np.flatnonzero(np.diff(np.floor_divide(time, width), prepend=np.nan))
    if len(first) < len(time):
        time, y = time[np.r_[first[1:], len(time)] - 1], np.fmin.reduceat(y, first)
    kept = np.isfinite(y)
    return (time, y) if kept.all() else (time[kept], y[kept])


def _scores(groups: Sequence[str], rates: Floats) -> Floats:
    """[N] by how much each node's growth exceeds its own noise and its group's; NaN without peers."""
    scores = np.full(len(rates), np.nan)
    places: dict[str, list[int]] = {}
    for place in np.flatnonzero(np.isfinite(rates[:, 0])).tolist():
        places.setdefault(groups[place], []).append(place)
    for group in places.values():
        growth, error, level, noise = rates[group].T
        for begin in range(0, len(group) if len(group) > 1 else 0, TOGETHER):
            mine = slice(begin, begin + TOGETHER)
            own = np.arange(len(group))[mine]
            ones = np.ones((len(own), len(group)))
            scales = scales_to(level[mine, None], noise[mine, None], level * ones, noise * ones, ones)
            scales[np.arange(len(own)), own] = np.nan
            median, spread = robust_spreads(growth * scales, error * scales)
            scores[np.array(group)[mine]] = (growth[mine] - median) / np.hypot(error[mine], spread)
    return scores


def _series(boots: Sequence[Track], cache: str, points: int) -> tuple[tuple[float, float], ...]:
    t = np.concatenate([track.time for track in boots])
    y = np.concatenate([track.allocated[:, track.index[cache]] for track in boots])
    kept = np.isfinite(y)
    t, y = t[kept], y[kept]
    if len(t) > points:
        chosen = np.unique(np.linspace(0, len(t) - 1, points).round().astype(int))
        t, y = t[chosen], y[chosen]
    return tuple(zip(t.tolist(), y.tolist(), strict=True))
