"""What the coarse series of the whole window say of a cache: how far it wanders, how high it was, its companions."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.analysis.factors import companions
from server.analysis.tracks import Track

__all__ = ["MOST_PEERS", "Past"]

Floats = NDArray[np.float64]

MOST_PEERS = 12
"""Peers that are asked which caches move together; more would cost and add nothing."""
ASKED = 32
"""Nodes, about, that are asked how far a cache usually moves."""
HIGH = 95.0
"""The percentile of earlier floors that counts as a level seen before."""


class Past:
    """The coarse cells of the nodes of one group over the whole window; answers are kept."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        step = max(1, len(tracks) // ASKED)
        self._asked = tracks[::step]
        self._nodes: dict[str, list[Track]] = {}
        for track in tracks:
            self._nodes.setdefault(track.node, []).append(track)
        self._alike: dict[tuple[str, str, str], Floats] = {}
        self._moves: dict[tuple[str, float], dict[str, float]] = {}
        self._gaps: dict[int, list[float]] = {}
        self._changes: dict[tuple[int, int], tuple[Floats, Floats]] = {}

    def wander(self, node: str, cache: str, seconds: float) -> tuple[float, float]:
        """How far the cache usually moves in so long a time, here and on the peers, by its floors in the whole window.

        Root mean squares: of the falls on this node (what only rises may be the leak itself), and of all changes on
        the median peer. Where the window is shorter than twice the
        time, changes over half of it stand in, carried on as a random walk's. 0 where nothing is known.
        """
        key = (cache, seconds)
        moves = self._moves.get(key)
        if moves is None:
            moves = self._moves[key] = {track.node: self._lagged(track, cache, seconds)[0] for track in self._asked}
        others = [change for name, change in moves.items() if name != node and not math.isnan(change)]
        falls = [self._lagged(track, cache, seconds)[1] for track in self._nodes.get(node, ())]
        own = [fall for fall in falls if not math.isnan(fall)]
        return max(own, default=0.0), float(np.median(others)) if others else 0.0

    def highest(self, node: str, boot: str, cache: str, before: float) -> float | None:
        """The level that its floor seldom passed in this boot before that instant; None where nothing is known."""
        for track in self._nodes.get(node, ()):
            column = track.index.get(cache)
            if track.boot == boot and column is not None:
                past = track.allocated[track.time < before, column]
                past = past[np.isfinite(past)]
                if len(past):
                    return float(np.percentile(past, HIGH))
        return None

    def rise_before(self, node: str, boot: str, cache: str, start: float, seconds: float) -> float:
        """How much the floor rose in as long a time before `start` in this boot; 0 where that is not known."""
        for track in self._nodes.get(node, ()):
            column = track.index.get(cache)
            if track.boot == boot and column is not None:
                inside = (track.time >= start - seconds) & (track.time <= start)
                past = track.allocated[inside, column]
                past = past[np.isfinite(past)]
                return float(past[-1] - past[0]) if len(past) >= 2 else 0.0
        return 0.0

    def latest(self, node: str, boot: str, cache: str) -> float | None:
        """The median floor of the last quarter of this boot's cells; None where nothing is known."""
        for track in self._nodes.get(node, ()):
            column = track.index.get(cache)
            if track.boot == boot and column is not None:
                late = track.allocated[-max(len(track.time) // 4, 2) :, column]
                late = late[np.isfinite(late)]
                if len(late):
                    return float(np.median(late))
        return None

    def alike(self, names: tuple[str, ...], column: int, peers: Sequence[tuple[str, str]]) -> Floats:
        """How much each of `names` moves with the one at `column` on these peers (node, boot): mean correlation."""
        total, seen = np.zeros(len(names)), np.zeros(len(names))
        for node, boot in peers[:MOST_PEERS]:
            for track in self._nodes.get(node, ()):
                if track.boot != boot or names[column] not in track.index or len(track.time) < 8:
                    continue
                key = (node, boot, names[column])
                known = self._alike.get(key)
                if known is None:
                    known = self._alike[key] = companions(track.allocated, track.index[names[column]])
                if track.names == names:
                    total, seen = total + known, seen + 1
                    continue
                place = np.array([track.index.get(name, -1) for name in names])
                total[place >= 0] += known[place[place >= 0]]
                seen += place >= 0
        return np.where(seen > 0, total / np.maximum(seen, 1), 0.0)

    def _lagged(self, track: Track, cache: str, seconds: float) -> tuple[float, float]:
        """Root mean squares of all changes of a cache over so long a time, and of its falls; NaN where not known."""
        column = track.index.get(cache)
        if column is None or len(track.time) < 4:
            return math.nan, math.nan
        gaps = self._gaps.get(id(track))
        if gaps is None:
            i, j = np.triu_indices(len(track.time), 1)
            gaps = self._gaps[id(track)] = np.sort(track.time[j] - track.time[i]).tolist()
        lag = min(seconds, 0.5 * gaps[-1])
        key = (id(track), bisect_left(gaps, lag * 0.99))  # which cells lie a lag apart depends on nothing else
        known = self._changes.get(key)
        if known is None:
            known = self._changes[key] = _changes(track, lag * 0.99)
        scale = math.sqrt(seconds / lag)
        return float(known[0][column]) * scale, float(known[1][column]) * scale


def _changes(track: Track, lag: float) -> tuple[Floats, Floats]:
    """Root mean squares [C] of every cache's changes over at least so many seconds, and of its falls; NaN if none."""
    t, y = track.time, track.allocated
    later = np.searchsorted(t, t + lag)
    inside = later < len(t)
    change = y[later[inside]] - y[inside]
    known = np.isfinite(change)
    squares, falls = (np.where(known, part, 0.0) ** 2 for part in (change, np.minimum(change, 0.0)))
    with np.errstate(invalid="ignore"):
        count = known.sum(axis=0)
        return np.sqrt(squares.sum(axis=0) / count), np.sqrt(falls.sum(axis=0) / count)
