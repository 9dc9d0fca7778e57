"""One cache on every node side by side: series, growth rates, the peers' median and spread, and who stands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from server.analysis.identity import fold
from server.analysis.peers import compare_to_peers, robust_spread, scales_to
from server.analysis.study import Study
from server.analysis.tracks import Track, cells, make_tracks
from server.analysis.trend import fit
from server.analysis.windows import bucket_width, plan
from server.buckets import WIDTHS, NodeSeries, Source

__all__ = ["Comparison", "NodeComparison", "compare"]

Floats = NDArray[np.float64]
Rate = tuple[float, float, float, float]

FEW = 200
"""Nodes, up to which series have as many points as were asked for; of more, no more than the judgement looks at."""


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
    """(epoch seconds, allocated bytes) by time, at most as many as asked for."""


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
    source: Source, cache: str, *, start: float, end: float, group: str | None, points: int = 300, studied: Study
) -> Comparison:
    """The cache of that name (any spelling that folds to it, or one of its members) on every node that lists it.

    `studied` is the study of the same window and group.
    """
    wanted = fold(cache)
    fitting = [width for width in WIDTHS if (end - start) / width <= points]
    # Never coarser than the report's own, however few points are asked for: the series are thinned at the end.
    width = min(min(fitting, default=WIDTHS[-1]), bucket_width(end - start))
    if studied.nodes > FEW:
        width = bucket_width(end - start)
    found = studied.judgement.findings
    names = studied.spellings(wanted)
    per_node: dict[tuple[str, str], list[Track]] = {}
    for track in _tracks(source, start, end, width, group, names) if names else ():
        if len(track.time) and (name := _listed_as(track, wanted)) is not None:
            per_node.setdefault((track.group, track.node), []).append(_narrowed(track, name, wanted))
    listed = [tuple(per_node[key]) for key in sorted(per_node)]
    cell = plan(start, end)[0].spans[0].width
    rates = [_rate(boots[-1], wanted, max(cell, width)) for boots in listed]
    known = [rate for rate in rates if rate is not None]
    by_group = _by_group(listed, rates)
    rows = []
    for index, boots in enumerate(listed):
        last = boots[-1]
        out = any(
            wanted
            in {one.cache, *map(fold, one.members), *map(fold, one.aliases), *(other.cache for other in one.also)}
            for one in found
            if one.node == last.node or (one.node is None and one.group == last.group)
        )
        rows.append(
            NodeComparison(
                last.node,
                last.group,
                tuple(sorted({m for track in boots for m in track.facts[track.index[wanted]].members})),
                None if (mine := rates[index]) is None else mine[0],
                _score(rates[index], *by_group[last.group], index),
                out,
                _series(boots, wanted, points),
            )
        )
    rows.sort(key=lambda row: (not row.stands_out, -(row.score or 0.0), -(row.bytes_per_hour or 0.0), row.node))
    median, spread = (
        robust_spread(np.array([rate[0] for rate in known]), np.array([rate[1] for rate in known]))
        if len(known) >= 2
        else (None, None)
    )
    members = tuple(sorted({member for row in rows for member in row.members}))
    return Comparison(wanted, members, start, end, tuple(rows), median, spread)


def _tracks(source: Source, start: float, end: float, width: int, group: str | None, names: set[str]) -> list[Track]:
    by_group: dict[str, list[NodeSeries]] = {}
    for node in source.window(start, end, width, group=group, caches=names):
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
        active=track.active[:, [column]],
        facts=(track.facts[column],),
        index={wanted: 0},
        reclaimable=track.reclaimable[[column]],
    )


def _rate(track: Track, cache: str, width: float) -> Rate | None:
    """Growth rate and its error in bytes an hour, the level at the start, and the noise, of the newest boot."""
    part = cells(track, float(track.time[0]), float(track.time[-1]), width)
    y = part.allocated[:, part.index[cache]]
    kept = np.isfinite(y)
    if kept.sum() < 4:
        return None
    t = part.time[kept]
    trend = fit(t, y[kept, None])
    hours = float(t[-1] - t[0]) / 3600.0
    return (
        float(trend.growth[0]) / hours,
        max(float(trend.error[0]), 1.0) / hours,
        float(y[kept][0]),
        float(trend.noise[0]),
    )


def _by_group(
    listed: Sequence[tuple[Track, ...]], rates: Sequence[Rate | None]
) -> dict[str, tuple[list[int], NDArray[np.float64]]]:
    """The places and the rates of each group's nodes, as far as they are known."""
    places: dict[str, list[int]] = {}
    for place, (boots, rate) in enumerate(zip(listed, rates, strict=True)):
        known = places.setdefault(boots[0].group, [])
        if rate is not None:
            known.append(place)
    return {
        group: (known, np.array([rates[place] for place in known], dtype=np.float64).reshape(-1, 4))
        for group, known in places.items()
    }


def _score(mine: Rate | None, places: Sequence[int], known: Floats, index: int) -> float | None:
    others = known[np.array(places, dtype=np.intp) != index]
    if mine is None or not len(others):
        return None
    peers = compare_to_peers(
        others[:, 0], others[:, 1], scales_to(mine[2], mine[3], others[:, 2], others[:, 3], np.ones(len(others)))
    )
    return (mine[0] - peers.median) / float(np.hypot(mine[1], peers.spread))


def _series(boots: Sequence[Track], cache: str, points: int) -> tuple[tuple[float, float], ...]:
    t = np.concatenate([track.time for track in boots])
    y = np.concatenate([track.allocated[:, track.index[cache]] for track in boots])
    kept = np.isfinite(y)
    t, y = t[kept], y[kept]
    if len(t) > points:
        chosen = np.unique(np.linspace(0, len(t) - 1, points).round().astype(int))
        t, y = t[chosen], y[chosen]
    return tuple(zip(t.tolist(), y.tolist(), strict=True))
