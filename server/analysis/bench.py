"""The candidates of a span beside their peers: what the others' same cache grew by, in a few wide matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from server.analysis.candidates import LEAST_KNOWN, LEAST_SCORE, Candidates
from server.analysis.medians import medians
from server.analysis.peers import robust_spreads, scales_to
from server.analysis.survey import Survey
from server.analysis.trend import fit, quantum

__all__ = ["SLAB", "Bench", "Compared"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

SLAB = 0.7
"""Of a slab: so much of a growth is never known."""
PLENTY = 8
"""Peers, from which on leaving one out makes little difference."""
MOST_PEERS = 64
"""Peers that a candidate is compared with, evenly spread over the names: more would cost and add nothing."""


def _sample(surveyed: Survey) -> Indices:
    """One track of each node (of several boots the longest), evenly thinned to MOST_PEERS and one."""
    best: dict[str, int] = {}
    for row in surveyed.judged.tolist():
        node = surveyed.panel.tracks[row].node
        old = best.get(node)
        if old is None or surveyed.length[row] > surveyed.length[old]:
            best[node] = row
    every = [best[node] for node in sorted(best)]
    chosen = np.linspace(0, len(every) - 1, min(len(every), MOST_PEERS + 1)).round().astype(int)
    return np.array([every[k] for k in np.unique(chosen)], dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Compared:
    """S candidates beside their peers; bytes over each candidate's span."""

    known: Bools
    """[S, P] which peers each is compared with."""
    rate: Floats
    """[S] the median of the peers' own growth, unscaled; NaN without peers, as `median` and `spread`."""
    median: Floats
    spread: Floats
    scale: Floats
    """[S] the median of what the peers were scaled by."""
    usual: Floats
    """[S] the peers' median level, scaled; without peers the own."""
    removed: Floats
    """[S] what the node effect explains beyond the peers' growth."""
    together: Floats
    """[S] what it explains where there is no comparison with peers."""
    best: Floats
    """[S] the most that the score can be: what else is looked at only lowers it."""

    def take(self, kept: Indices) -> Compared:
        """Some of them."""
        return Compared(*(getattr(self, field.name)[kept] for field in fields(self)))


class Bench:
    """What candidates are measured against: the peers' growth of every wanted cache, in bytes a second."""

    def __init__(self, surveyed: Survey, wanted: Indices) -> None:
        self._surveyed, panel = surveyed, surveyed.panel
        self.peers = peers = _sample(surveyed)
        self.node = np.array([track.node for track in panel.tracks], dtype=object)
        self._number = np.unique([track.node for track in panel.tracks], return_inverse=True)[1]
        self._place = np.full(len(panel.names), -1)
        self._place[wanted] = np.arange(len(wanted))
        at = np.ix_(peers, wanted)
        length = surveyed.length[peers, None]
        self._level = np.nan_to_num(surveyed.first[at])
        # What does not vary has neither growth nor noise; the rest is fitted.
        self._rate = np.where(panel.listed[at], 0.0, np.nan)
        self._error, self._noise = self._rate + 1.0 / length, self._rate.copy()
        peer = np.full(len(panel.tracks), -1)
        peer[peers] = np.arange(len(peers))
        for part in surveyed.parts:
            mine = np.flatnonzero((peer[part.rows] >= 0) & (self._place[part.columns] >= 0))
            to = (peer[part.rows[mine]], self._place[part.columns[mine]])
            y = surveyed.curves.cleaned(part.block(mine))
            trend, seconds = fit(part.t, y, quantum(part.y[:, mine])), surveyed.length[part.rows[mine]]
            known = np.isfinite(y).mean(axis=0) >= LEAST_KNOWN
            self._rate[to] = np.where(known, trend.growth / seconds, np.nan)
            self._error[to] = np.where(known, np.maximum(trend.error, 1.0) / seconds, np.nan)
            self._noise[to] = trend.noise
        self._usual = robust_spreads(self._rate.T, self._error.T)
        few = np.isfinite(self._rate).sum(axis=0) < PLENTY
        for values in self._usual:
            values[few] = 0.0

    def promising(self, always: Bools) -> Iterator[Indices]:
        """The series of each part that can reach LEAST_SCORE by what their floors rise, and all of some caches [C]."""
        surveyed = self._surveyed
        for part, chosen, rise in zip(surveyed.parts, surveyed.candidates, surveyed.rises, strict=True):
            rows, columns = part.rows[chosen], part.columns[chosen]
            yield chosen[always[columns] | self.can(rows, columns, rise, np.zeros(len(rise)))]

    @staticmethod
    def most(candidates: Candidates, compared: Compared, wander: Floats) -> Floats:
        """[S] the most that the score can be beside what is usual of the cache: what else is looked at lowers it."""
        known, trend = compared.known.any(axis=1), candidates.trend
        error, slab = np.maximum(trend.error, 1.0), SLAB * candidates.measures["slab"]
        noise = np.sqrt(error**2 + np.maximum(wander, np.where(known, compared.spread, 0.0)) ** 2 + slab**2)
        expected = np.where(known, np.maximum(compared.median, 0.0), 0.0)
        return np.asarray((trend.growth - compared.removed - expected) / noise)

    def can(self, rows: Indices, columns: Indices, growth: Floats, error: Floats) -> Bools:
        """Whether series [S] can reach LEAST_SCORE at all, by a comparison with all peers, unscaled."""
        length = self._surveyed.length[rows]
        median, spread = (values[self._place[columns]] for values in self._usual)
        noise = np.hypot(np.maximum(error, 1.0), 0.5 * spread * length)
        return np.asarray(growth - np.maximum(median, 0.0) * length >= LEAST_SCORE * noise)

    def compare(self, candidates: Candidates, always: Bools) -> tuple[Indices, Compared]:
        """Candidates beside their peers but their own nodes: those that can reach LEAST_SCORE, and `always` [S]."""
        surveyed, trend, rows = self._surveyed, candidates.trend, candidates.rows
        place, length = self._place[candidates.columns], surveyed.length[rows, None]
        level = surveyed.first[rows, candidates.columns]
        rate, levels = self._rate[:, place].T, self._level[:, place].T
        rate[self._number[rows][:, None] == self._number[self.peers]] = np.nan
        known: Bools = np.isfinite(rate)
        bigger = np.exp(surveyed.scale[rows, None] - surveyed.scale[self.peers])
        scales = scales_to(level[:, None], trend.noise[:, None], levels, self._noise[:, place].T, bigger)
        scales[~known] = np.nan
        median, spread = robust_spreads(rate * length * scales, self._error[:, place].T * length * scales)
        alone: Bools = np.logical_not(known.any(axis=1))
        noise = np.hypot(np.maximum(trend.error, 1.0), np.where(alone, 0.0, spread))
        left = trend.growth - np.where(alone, 0.0, np.maximum(median, 0.0))
        kept = np.flatnonzero(always | (left >= LEAST_SCORE * noise))
        known, alone, rows, scales = known[kept], alone[kept], rows[kept], scales[kept]
        usual = np.where(alone, level[kept], medians(levels[kept] * scales))
        effect, base = surveyed.effect[rows], np.minimum(level[kept], usual)
        theirs = medians(np.where(known, surveyed.effect[self.peers], np.nan))
        removed = np.maximum(effect - np.where(alone, 0.0, theirs), 0.0) * base
        return kept, Compared(
            known,
            medians(rate[kept] * length[kept]),
            median[kept],
            spread[kept],
            medians(scales),
            usual,
            removed,
            effect * base,
            (left[kept] - removed) / noise[kept],
        )
