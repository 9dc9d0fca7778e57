"""Judges every (node, boot, cache) of one span: own trend, node effect, peers, wander; gives signs, strong and weak."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.analysis.factors import companion_effect, greatest_swings, node_effect, node_scales
from server.analysis.past import MOST_PEERS, Past
from server.analysis.peers import Peers, compare_to_peers, scales_to
from server.analysis.tracks import MEMORY_TOTAL, CacheFacts, Track, cells, warm_up_seconds
from server.analysis.trend import Trend, block_floors, fit, quantum, steps
from server.analysis.types import AnalysisSettings
from server.analysis.windows import Span

__all__ = ["Scan", "Sign", "material_rate", "scan"]

Floats = NDArray[np.float64]
BLOCKS = 6
DAY = 20 * 3600.0
"""Seconds: a whole window as long as that holds a day's rise and fall, and what is left over is no rhythm."""
PEERLESS_SCORE = 10.0
FEWEST_CELLS, FEWEST_SAMPLES = 8, 10


@dataclass(slots=True)
class Sign:
    """A (node, boot, cache) whose floor rises over a span. Bytes and seconds."""

    track: Track
    cache: str
    facts: CacheFacts
    span: Span
    growth: float
    error: float
    rate: float
    """Bytes a second."""
    level: float
    """The floor at the span's start."""
    active_growth: float
    removed: float
    """What the node effect explains."""
    peers: Peers
    wander: float
    """How much this cache usually moves in as long a time, from its own and its peers' past."""
    own_wander: float
    """The same from its own past alone."""
    excess: float
    score: float
    failed: tuple[str, ...] = ()
    """The gates that it did not pass, by name."""
    evidence: dict[str, float | str | None] = field(default_factory=dict)


@dataclass(slots=True)
class _Fit:
    """One track over the span."""

    track: Track
    cells: Track
    relative: Floats
    first: Floats
    last: Floats
    varies: NDArray[np.bool_]
    candidate: NDArray[np.bool_]
    swing: Floats
    """How far each cache moved within the span, relative to its level."""
    effect: float = 0.0
    scale: float = 0.0
    """Natural logarithm of how big and busy the node is beside the others."""


@dataclass(slots=True)
class Scan:
    """All signs of one span, and how many series were judged."""

    span: Span
    signs: list[Sign]
    judged: dict[str, int]
    """Series judged on each node."""


def material_rate(track: Track, settings: AnalysisSettings) -> float:
    """Bytes a second below which growth does not matter on this node."""
    known = track.memory[:, MEMORY_TOTAL]
    known = known[np.isfinite(known)]
    if not len(known):
        return settings.material_bytes_per_hour / 3600.0
    return settings.material_fraction * float(known[-1]) / (30 * 86400.0)


def _quarter(y: Floats) -> tuple[Floats, Floats]:
    """The medians of the first and of the last quarter of [K, C]; NaN where a column is missing there."""
    few = max(2, len(y) // 4)
    return np.median(y[:few], axis=0), np.median(y[-few:], axis=0)


def _prepare(track: Track, span: Span, settings: AnalysisSettings) -> _Fit | None:
    part = cells(track, span.start, span.end, span.width)
    if len(part.time) < FEWEST_CELLS or part.samples.sum() < FEWEST_SAMPLES:
        return None
    if part.span < 0.25 * (span.end - span.start):
        return None
    y = part.allocated
    first, last = _quarter(y)
    rise = last - first
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(first > 0, rise / first, np.where(rise > 0, np.inf, 0.0))
    relative = np.where(np.isfinite(relative), relative, np.nan)
    varies = np.nanmax(np.where(np.isnan(y), -np.inf, y), axis=0) > np.nanmin(np.where(np.isnan(y), np.inf, y), axis=0)
    least = 0.4 * material_rate(track, settings) * part.span
    candidate = varies & (rise > least)
    with np.errstate(divide="ignore", invalid="ignore"):
        swing = (y.max(axis=0) - y.min(axis=0)) / np.median(y, axis=0)
    swing = np.where(np.isfinite(swing), swing, 0.0)
    return _Fit(track, part, relative, first, last, varies, candidate, swing)


def _scales(fits: Sequence[_Fit]) -> list[float]:
    count = Counter(name for one in fits for name, moves in zip(one.track.names, one.varies, strict=True) if moves)
    names = sorted(name for name, times in count.items() if 2 * times >= len(fits))
    levels = np.full((len(fits), len(names)), np.nan)
    for n, one in enumerate(fits):
        for m, name in enumerate(names):
            if (column := one.track.index.get(name)) is not None:
                levels[n, m] = one.first[column]
    return [float(scale) for scale in node_scales(levels)]


def scan(tracks: Sequence[Track], span: Span, settings: AnalysisSettings, past: Past) -> Scan:
    """All signs of growth in `span`; `past` holds coarse cells of the same nodes over the whole window."""
    fits = [fitted for track in tracks if (fitted := _prepare(track, span, settings)) is not None]
    judged: dict[str, int] = {}
    for one in fits:
        judged[one.track.node] = max(judged.get(one.track.node, 0), len(one.track.names))
    swings = greatest_swings([dict(zip(one.track.names, one.swing.tolist(), strict=True)) for one in fits])
    for one, swing in zip(fits, swings, strict=True):
        names = one.track.names
        most = np.fromiter((swing.get(name, math.nan) for name in names), float, len(names))
        lazy = np.fromiter((facts.reclaimable for facts in one.track.facts), bool, len(names))
        one.effect = node_effect(one.relative, most, one.varies, lazy)
    for one, scale in zip(fits, _scales(fits), strict=True):
        one.scale = scale
    matrix = _measure(fits)
    bench = _Bench(fits, matrix, span, settings, past)
    signs = []
    for n, one in enumerate(fits):
        mine = [
            c for c in np.flatnonzero(one.candidate) if np.isfinite(matrix.rate[n, matrix.place[one.track.names[c]]])
        ]
        if mine:
            signs += bench.signs(n, np.array(mine, dtype=np.intp))
    return Scan(span, signs, judged)


@dataclass(frozen=True, slots=True)
class _Matrix:
    """The caches that some node is a candidate for, on all N fits: [N, M], NaN where not listed."""

    place: dict[str, int]
    rate: Floats
    error: Floats
    """Of the rate; bytes a second both."""
    level: Floats
    noise: Floats


def _measure(fits: Sequence[_Fit]) -> _Matrix:
    wanted = sorted({one.track.names[c] for one in fits for c in np.flatnonzero(one.candidate)})
    place = {name: m for m, name in enumerate(wanted)}
    shape = (len(fits), len(wanted))
    rate, error, level, noise = (np.full(shape, np.nan) for _ in range(4))
    for n, one in enumerate(fits):
        columns = np.array([c for name in wanted if (c := one.track.index.get(name)) is not None], dtype=np.intp)
        if not len(columns):
            continue
        to = np.array([place[one.track.names[c]] for c in columns], dtype=np.intp)
        y = one.cells.allocated[:, columns]
        enough = np.isfinite(y).sum(axis=0) >= 0.75 * len(y)
        trend = fit(one.cells.time, y)
        length = one.cells.span
        rate[n, to] = np.where(enough, trend.rate, np.nan)
        error[n, to] = np.where(enough, np.maximum(trend.error, 1.0) / length, np.nan)
        level[n, to] = np.where(enough, np.nan_to_num(one.first[columns]), np.nan)
        noise[n, to] = trend.noise
    return _Matrix(place, rate, error, level, noise)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Everything that a candidate is judged against."""

    fits: Sequence[_Fit]
    matrix: _Matrix
    span: Span
    settings: AnalysisSettings
    past: Past

    def signs(self, n: int, columns: NDArray[np.intp]) -> list[Sign]:
        """The signs of the n-th fit's candidate columns."""
        one = self.fits[n]
        part = one.cells
        y = part.allocated[:, columns]
        trend, active = fit(part.time, y), fit(part.time, part.active[:, columns])
        spread = steps(part.time, y, min(BLOCKS, len(y) // 2))
        slab = quantum(y)
        signs = []
        for k, column in enumerate(columns):
            sign, before = self._sign(n, int(column), trend, active, k)
            sign.evidence.update(
                largest_step=float(spread.largest[k]),
                rising_blocks=float(spread.rising[k]),
                late_over_early=float(min(spread.late[k], 1e6)),
                drawdown=float(spread.drawdown[k]),
            )
            sign.failed = self._failed(sign, one, int(column), before, float(slab[k]))
            signs.append(sign)
        return signs

    def _sign(self, n: int, column: int, trend: Trend, active: Trend, k: int) -> tuple[Sign, float | None]:
        """One sign without its gates, and the highest level before the span."""
        one, matrix = self.fits[n], self.matrix
        track, length = one.track, one.cells.span
        cache = track.names[column]
        m = matrix.place[cache]
        growth, error = float(trend.growth[k]), float(max(trend.error[k], 1.0))
        other = np.array([fitted.track.node != track.node for fitted in self.fits])
        chosen = _one_each(self.fits, np.flatnonzero(other & np.isfinite(matrix.rate[:, m])))
        level = float(matrix.level[n, m])
        scales = scales_to(
            level,
            float(matrix.noise[n, m]),
            matrix.level[chosen, m],
            matrix.noise[chosen, m],
            np.exp(one.scale - np.array([self.fits[j].scale for j in chosen])),
        )
        peers = compare_to_peers(matrix.rate[chosen, m] * length, matrix.error[chosen, m] * length, scales)
        usual = float(np.median(matrix.level[chosen, m] * scales)) if len(chosen) else level
        removed = max(one.effect, self._load(n, column, chosen)) * min(level, usual)
        own_wander, wander, before = 0.0, 0.0, None
        if length < DAY or not self.span.whole or self.span.ended:
            own_wander, peers_wander = self.past.wander(track.node, cache, length)
            wander = max(own_wander, peers_wander * (float(np.median(scales)) if len(scales) else 1.0))
        if not self.span.whole:
            before = self.past.highest(track.node, track.boot, cache, self.span.start)
        excess = growth - removed - (max(peers.median, 0.0) if peers.count else 0.0)
        score = excess / math.sqrt(error**2 + (peers.spread**2 if peers.count else 0.0) + wander**2)
        sign = Sign(
            track,
            cache,
            track.facts[column],
            self.span,
            growth,
            error,
            float(trend.rate[k]),
            level,
            float(active.growth[k]),
            removed,
            peers,
            wander,
            own_wander,
            excess,
            score,
            evidence={
                "window_seconds": round(length, 3),
                "floor_before": float(one.first[column]),
                "floor_after": float(one.last[column]),
                "growth": growth,
                "own_noise": error,
                "active_growth": float(active.growth[k]),
                "node_effect": removed,
                "peers": float(peers.count),
                "peers_median": peers.median if peers.count else None,
                "peers_spread": peers.spread if peers.count else None,
                "wander": wander,
                "effect": score,
            },
        )
        return sign, before

    def _alone(self, sign: Sign, one: _Fit) -> bool:
        """Whether a cache that no other node lists may be judged by itself.

        There must be other nodes, the boot must be older than the span is long (no warm-up), and the sign reach
        PEERLESS_SCORE over the whole window.
        """
        uptime = one.cells.uptime[0]
        others = any(fitted.track.node != sign.track.node for fitted in self.fits)
        young = bool(uptime < one.cells.span + warm_up_seconds(float(uptime) + one.cells.span))
        return others and self.span.whole and not young and sign.score >= PEERLESS_SCORE

    def _load(self, n: int, column: int, chosen: NDArray[np.intp]) -> float:
        """What the load explains of a cache's relative growth (see factors.companion_effect)."""
        one = self.fits[n]
        names = one.track.names
        peers = [self.fits[j] for j in chosen]
        alike = self.past.alike(names, column, [(peer.track.node, peer.track.boot) for peer in peers])
        total, seen = np.zeros(len(names)), np.zeros(len(names))
        for peer in peers[:MOST_PEERS]:
            if peer.track.names == names:
                total, seen = total + peer.swing, seen + 1
                continue
            place = np.array([peer.track.index.get(name, -1) for name in names])
            total[place >= 0] += peer.swing[place[place >= 0]]
            seen += place >= 0
        swing = np.where(seen > 0, total / np.maximum(seen, 1), 0.0)
        return companion_effect(alike, one.relative, swing, float(swing[column]))

    def _failed(self, sign: Sign, one: _Fit, column: int, before: float | None, slab: float) -> tuple[str, ...]:
        """The gates that a sign does not pass."""
        number = {key: value for key, value in sign.evidence.items() if isinstance(value, float)}
        growth = sign.growth
        gates = {
            "material": sign.excess / one.cells.span < material_rate(sign.track, self.settings),
            "slabs": growth < 4 * slab,
            "active": sign.active_growth < 0.5 * growth,
            "step": number["largest_step"] > 0.6 or number["rising_blocks"] < 0.6,
            "slowing": number["late_over_early"] < (0.6 if self.span.ended else 0.4),
            "falls back": number["drawdown"] > 0.6 * growth,
            "seen before": before is not None and number["floor_after"] - before < 0.3 * growth,
            "node": sign.removed > 0.3 * growth,
            "peers": not sign.peers.count and not self._alone(sign, one),
            "reclaimable": sign.facts.reclaimable and not _pressed(one, column, growth, number["drawdown"]),
        }
        if self.span.ended:
            after = self.past.latest(sign.track.node, sign.track.boot, sign.cache)
            gates["given back"] = after is None or after < number["floor_after"] - 0.3 * growth
            gates["reclaimable"] = sign.facts.reclaimable
        return tuple(name for name, failed in gates.items() if failed)


def _one_each(fits: Sequence[_Fit], chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of several boots of one node, the one with the longest series."""
    best: dict[str, int] = {}
    for index in chosen:
        node = fits[index].track.node
        if node not in best or fits[index].cells.span > fits[best[node]].cells.span:
            best[node] = int(index)
    return np.array(sorted(best.values()), dtype=np.intp)


def _pressed(one: _Fit, column: int, growth: float, drawdown: float) -> bool:
    """Whether the kernel reclaimed other caches on this node during the span while this one went on growing."""
    y = one.cells.allocated
    lazy = np.fromiter((facts.reclaimable for facts in one.track.facts), bool, len(one.track.names))
    lazy[column] = False
    if drawdown > 0.1 * growth or not lazy.any():
        return False
    total = np.nansum(y[:, lazy], axis=1)
    peak = np.maximum.accumulate(total)
    deep = (peak - total) > 0.3 * np.maximum(peak, 1.0)
    if not deep.any():
        return False
    floors = block_floors(y[:, column : column + 1], min(BLOCKS, len(y) // 2))[:, 0]
    return bool((np.diff(floors) > 0).all())
