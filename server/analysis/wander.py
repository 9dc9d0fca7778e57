"""How far a cache usually moves in a time, here and on the peers: what a leak's growth is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from server.analysis.medians import medians
from server.analysis.tracks import Track

__all__ = ["FEWEST_CELLS", "Usual", "fallen"]

Floats = NDArray[np.float64]

FEWEST = 3
"""Peers, from which on what they have in common is told from what one of them does."""
FEWEST_CELLS = 4
LEAST_WANDER = 0.1
"""Of the mean square of changes: so much is wander even where the next cell differs as much, for both are estimates."""
NEARLY = 0.99
"""Of a time: cells so far apart are that time apart."""


def fallen(t: Floats, y: Floats, seconds: Floats) -> Floats:
    """[S] the root mean square of the falls of each y [S, K] at t [S, K] in a time [S]: a rise may be the leak itself.

    Where t is shorter than twice the time, changes over half of it stand in, carried on as a random walk's. 0 if
    nothing is known.
    """
    lag = np.minimum(seconds, 0.5 * (t[:, -1] - t[:, 0]))
    later = (t[:, None, :] < (t + lag[:, None] * NEARLY)[:, :, None]).sum(axis=2)
    change = np.take_along_axis(y, np.minimum(later, t.shape[1] - 1), axis=1) - y
    known = np.isfinite(change) & (later < t.shape[1])
    count = np.maximum(known.sum(axis=1), 1)
    return np.asarray(np.sqrt((np.where(known, np.minimum(change, 0.0), 0.0) ** 2).sum(axis=1) / count * seconds / lag))


class Usual:
    """The changes of C caches over a time on P peers, by the coarse cells of the whole window."""

    def __init__(self, peers: Sequence[Track], names: Mapping[str, int], cleaned: Callable[[Track], Floats]) -> None:
        """`peers` are tracks of FEWEST_CELLS or more, `names` the place of each cache among all that are listed.

        `cleaned` gives a track's bytes [K, C] without what the nodes share.
        """
        self._peers, self._names = peers, names
        self._y = [self._spread(track, cleaned(track)) for track in peers]
        self._nodes = np.array([track.node for track in peers], dtype=object)
        gaps = [np.sort(_gaps(track.time)) for track in peers]
        self._half = np.array([0.5 * own[-1] for own in gaps])
        self._gaps = np.full((len(gaps), max(map(len, gaps), default=0)), np.inf)
        """[P, G] from each cell to each later one, the least first."""
        for place, own in enumerate(gaps):
            self._gaps[place, : len(own)] = own
        self._known = np.full((len(gaps), self._gaps.shape[1] + 1), -1)
        """Where in `moves` each peer's over each gap stand: which cells lie that far apart depends on nothing else."""
        self._moves = np.zeros((0, 3, len(names)))
        self._filled = 0
        jitter = [
            _moves(track.time, y, 0.5 * float(own[0])) for track, y, own in zip(peers, self._y, gaps, strict=True)
        ]
        self._jitter = np.array([square for _, square, _ in jitter])

    def _spread(self, track: Track, y: Floats) -> Floats:
        """A track's series at the places of all caches; NaN for what it does not list."""
        spread = np.full((len(y), len(self._names)), np.nan)
        spread[:, [self._names[name] for name in track.names]] = y
        return spread

    def moved(self, nodes: Sequence[str], caches: Sequence[str], seconds: Floats) -> Floats:
        """[S] the root mean square of all changes of each cache on the median peer but that node in each time [S].

        Less what it moves from one cell to the next: a level that jitters about its mean goes nowhere. Of fewer than
        FEWEST peers only the falls count, and twice, as up and down are alike: a rise may be a leak that they share.
        0 if unknown.
        """
        columns = np.array([self._names.get(cache, -1) for cache in caches], dtype=np.intp)
        if not len(self._peers):
            return np.zeros(len(columns))
        lag = np.minimum(seconds[:, None], self._half)
        mean, square, falls = self._over(lag, columns)
        mean[(np.array(nodes, dtype=object)[:, None] == self._nodes) | (columns < 0)[:, None]] = np.nan
        jitter = self._jitter[:, columns].T
        square = np.where(np.isnan(jitter), square, np.maximum(square - jitter, LEAST_WANDER * square))
        mean, square = mean * np.sqrt(seconds[:, None] / lag), square * seconds[:, None] / lag
        known = np.isfinite(mean)
        few = known.sum(axis=1) < FEWEST
        square[few] = np.minimum(square, 2.0 * falls * seconds[:, None] / lag)[few]
        # What the peers have in common is their trend, which is expected of this node too: no wander.
        shared = np.where(few, 0.0, np.maximum(medians(mean), 0.0))[:, None]
        moves = medians(np.sqrt(np.maximum(square - 2 * shared * mean + shared**2, 0.0)))
        return np.where(known.any(axis=1), moves, 0.0)

    def _over(self, lag: Floats, columns: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        """Mean, mean square, and that of the falls [S, P] of each cache's changes on each peer over its lag [S, P]."""
        which = np.stack([gaps.searchsorted(own * NEARLY) for gaps, own in zip(self._gaps, lag.T, strict=True)], axis=1)
        peers = np.arange(len(self._peers))
        new = np.argwhere(self._known[peers, which] < 0)
        gaps = which[new[:, 0], new[:, 1]]
        _, once = np.unique(new[:, 1] * self._known.shape[1] + gaps, return_index=True)
        for (row, peer), gap in zip(new[once].tolist(), gaps[once].tolist(), strict=True):
            if self._filled == len(self._moves):
                more = np.zeros((len(peers) + self._filled, *self._moves.shape[1:]))
                self._moves = np.concatenate([self._moves, more])
            self._moves[self._filled] = _moves(self._peers[peer].time, self._y[peer], float(lag[row, peer]))
            self._known[peer, gap] = self._filled
            self._filled += 1
        found = self._moves[self._known[peers, which], :, columns[:, None]]
        return found[..., 0], found[..., 1], found[..., 2]


def _gaps(t: Floats) -> Floats:
    i, j = np.triu_indices(len(t), 1)
    return np.asarray(t[j] - t[i])


def _moves(t: Floats, y: Floats, lag: float) -> tuple[Floats, Floats, Floats]:
    """Means [C] of every cache's changes over so many seconds, of their squares, of the falls'; NaN if none.

    Changes are from each cell to the first that is so many seconds later, nearly.
    """
    later = np.searchsorted(t, t + lag * NEARLY)
    later = later[later < len(t)]
    change = y[later] - y[: len(later)]
    known = np.isfinite(change)
    if not known.all():
        change = np.where(known, change, 0.0)
    with np.errstate(invalid="ignore"):
        count = known.sum(axis=0)
        sums = (part.sum(axis=0) for part in (change, change**2, np.minimum(change, 0.0) ** 2))
        mean, square, falls = (total / count for total in sums)
        return mean, square, falls
