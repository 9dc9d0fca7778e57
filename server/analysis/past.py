"""What the coarse series of the whole window say of a cache: how far it wanders, how high it was, its companions."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from server.analysis.factors import Moving
from server.analysis.follow import by_load, node_load
from server.analysis.medians import middle
from server.analysis.shape import leaks_again, slackens
from server.analysis.shared import Block, Shared
from server.analysis.tracks import Track
from server.analysis.trend import quantum
from server.analysis.wander import FEWEST_CELLS as TOLD
from server.analysis.wander import Usual, fallen

__all__ = ["MOST_PEERS", "RETURNED", "Past", "bends", "by_chance", "jumps"]

Floats = NDArray[np.float64]

MOST_PEERS = 12
"""Peers that are asked which caches move together; more would cost and add nothing."""
ASKED = 32
"""Nodes, about, that are asked how far a cache usually moves."""
STEP, FEWEST_CELLS = 6.0, 8
"""A change so many times the usual one from cell to cell is a step; told from no fewer cells."""
TWO_SLABS = 65536.0
"""Bytes: a slab or two more or less is no step, and a slab is at most eight pages of 4 KiB unless the kernel is told
otherwise (slub_max_order, PAGE_ALLOC_COSTLY_ORDER)."""
GAP = 2.5
"""What changed over more than so many times the usual time between two cells may have done so bit by bit."""
STEPPED, CHANCE = 0.7, 0.05
"""See by_chance: of all that a level moves so much must be steps, and up they must be against so little a chance."""
HIGH, RETURNED = 95.0, 0.3
"""The percentile of earlier floors that counts as a level seen before; and of a rise, so much must pass that."""


class Past:
    """The coarse cells of the nodes of one group over the whole window; answers are kept."""

    def __init__(self, tracks: Sequence[Track], width: float = 1.0) -> None:
        """`width` is that of the cells, in seconds."""
        step = max(1, len(tracks) // ASKED)
        self._asked = tracks[::step]
        self._nodes: dict[str, list[Track]] = {}
        for track in tracks:
            self._nodes.setdefault(track.node, []).append(track)
        self._alike: dict[tuple[str, str, str], Floats] = {}
        self._moving: dict[int, Moving] = {}
        self._steps: dict[str, dict[str, float]] = {}
        self._bent: dict[tuple[str, str, str], float] = {}
        self._again: dict[tuple[str, str, str], float | None] = {}
        self._names = {name: k for k, name in enumerate(sorted({name for track in tracks for name in track.names}))}
        self._row = {id(track): row for row, track in enumerate(tracks)}
        self._width = width
        ends = [float(instant) for track in tracks for instant in (*track.time[:1], *track.time[-1:])]
        self.length = max(ends, default=0.0) - min(ends, default=0.0)
        """Seconds of the window that the data of all nodes span."""
        self._curves: Shared | None = None
        self._usual: Usual | None = None

    def usual(self, nodes: Sequence[str], caches: Sequence[str], seconds: Floats) -> Floats:
        """[S] how far caches usually move in times [S] on the median peer of nodes, by floors in the whole window.

        Where the window is shorter than twice the time, changes over half of it stand in, carried on as a random
        walk's. 0 where nothing is known.
        """
        if self._usual is None:
            peers = {track.node: track for track in self._asked}
            told = [track for track in peers.values() if len(track.time) >= TOLD]
            self._usual = Usual(told, self._names, self._cleaned)
        return self._usual.moved(nodes, caches, seconds)

    def fallen(self, nodes: Sequence[str], caches: Sequence[str], seconds: Floats) -> Floats:
        """[S] how far they usually fall on these nodes, likewise: what only rises may be the leak itself."""
        alike: dict[bytes, list[tuple[int, Track, int]]] = {}
        for k, (node, cache) in enumerate(zip(nodes, caches, strict=True)):
            for track in self._nodes.get(node, ()):
                if cache in track.index and len(track.time) >= TOLD:
                    number = np.floor_divide(track.time, self._width)
                    alike.setdefault(number.tobytes(), []).append((k, track, track.index[cache]))
        found = np.zeros(len(seconds))
        for cells, some in alike.items():
            at = [k for k, _, _ in some]
            y = np.stack([track.allocated[:, column] for _, track, column in some], axis=1)
            rows = np.array([self._row[id(track)] for _, track, _ in some], dtype=np.intp)
            columns = np.array([self._names[caches[k]] for k in at], dtype=np.intp)
            y = self._shared().cleaned(Block(np.frombuffer(cells), y, rows, columns))
            own = fallen(np.stack([track.time for _, track, _ in some]), y.T, seconds[at])
            np.maximum.at(found, at, own)
        return found

    def stepped(self, keys: Sequence[tuple[str, str, str]], seconds: Floats) -> Floats:
        """[S] bytes that steps such as the peers' carry caches in times [S], as far as their rise is made of steps.

        `keys` are node, boot and cache. The root of the mean over the peers of their steps' summed squares: the
        standard deviation of what so many steps up and down add up to. Where most peers do not step at all and some do
        by much, their median growth and its MAD see nothing of it.
        """
        squares = np.array([self._squares(node, cache) for node, _, cache in keys])
        alike: dict[int, list[tuple[int, Floats, Floats]]] = {}
        for k in np.flatnonzero(squares).tolist():
            t, y = self.series(*keys[k])
            if len(y) >= FEWEST_CELLS:
                alike.setdefault(len(y), []).append((k, t, y))
        found = np.zeros(len(keys))
        for some in alike.values():
            at = [k for k, _, _ in some]
            t, y = np.stack([t for _, t, _ in some]), np.stack([y for _, _, y in some])
            ups, rise = _jumps(t, y).sum(axis=1), y[:, -1] - y[:, 0]
            share = np.clip(np.divide(ups, rise, out=np.zeros(len(y)), where=rise > 0), 0.0, 1.0)
            found[at] = share * np.sqrt(squares[at] * np.minimum(seconds[at] / (t[:, -1] - t[:, 0]), 1.0))
        return found

    def _squares(self, node: str, cache: str) -> float:
        """The mean over all asked but this node of the summed squares of the cache's steps."""
        known = self._steps.get(cache)
        if known is None:
            known = self._steps[cache] = {}
            alike: dict[int, list[tuple[str, Floats, Floats]]] = {}
            for track in self._asked:
                column = track.index.get(cache)
                if column is not None:
                    listed = np.isfinite(track.allocated[:, column])
                    t, y = track.time[listed], track.allocated[listed, column]
                    alike.setdefault(len(y), []).append((track.node, t, y))
            for found in alike.values():
                t, y = np.stack([t for _, t, _ in found]), np.stack([y for _, _, y in found])
                for (name, _, _), total in zip(found, (_jumps(t, y) ** 2).sum(axis=1).tolist(), strict=True):
                    known[name] = known.get(name, 0.0) + total
        others = [total for name, total in known.items() if name != node]
        return sum(others) / len(others) if others else 0.0

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

    def series(self, node: str, boot: str, cache: str, *, own: bool = False) -> tuple[Floats, Floats]:
        """This boot's cells: time and floor, without what is not listed; empty where nothing is known.

        `own`: without what the nodes share besides a trend.
        """
        for track in self._nodes.get(node, ()):
            column = track.index.get(cache)
            if track.boot == boot and column is not None:
                y = self._column(track, column) if own else track.allocated[:, column]
                return track.time[np.isfinite(y)], y[np.isfinite(y)]
        return np.zeros(0), np.zeros(0)

    def bent(self, node: str, boot: str, cache: str) -> float:
        """How much its rise slows as a filling cache's (see shape.slackens), by itself, unless the load slowed it.

        Of what runs again after a restart: since then, from its least on.
        """
        key = (node, boot, cache)
        if key not in self._bent:
            tracks = [track for track in self._nodes.get(node, ()) if track.boot == boot and cache in track.index]
            column = tracks[0].index[cache] if tracks else 0
            self._bent[key] = 0.0
            if tracks:
                first = self._least_since(tracks[0], column, self.again(*key))
                self._bent[key] = bends(tracks[0], column, self._column(tracks[0], column), first)
        return self._bent[key]

    @staticmethod
    def _least_since(track: Track, column: int, since: float | None) -> int:
        """The cell in which a cache holds least from an instant on; 0 without one."""
        if since is None:
            return 0
        held = np.where(track.time >= since, track.allocated[:, column], np.nan)
        return int(np.nanargmin(held)) if np.isfinite(held).any() else 0

    def again(self, node: str, boot: str, cache: str) -> float | None:
        """Since when (epoch seconds) a leak runs again that a restart gave back; None if it is no such.

        By the objects in use, in bytes: their slabs may be given back one by one.
        """
        key = (node, boot, cache)
        if key not in self._again:
            self._again[key] = None
            for track in self._nodes.get(node, ()):
                if track.boot == boot and cache in track.index:
                    y = track.active[:, track.index[cache]]
                    known = np.isfinite(y)
                    if anew := leaks_again(y[known]):
                        self._again[key] = float(track.time[known][anew])
                    break
        return self._again[key]

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
                    known = self._alike[key] = self._moving_of(track).companions(track.index[names[column]])
                if track.names == names:
                    total, seen = total + known, seen + 1
                    continue
                place = np.array([track.index.get(name, -1) for name in names])
                total[place >= 0] += known[place[place >= 0]]
                seen += place >= 0
        return np.where(seen > 0, total / np.maximum(seen, 1), 0.0)

    def _moving_of(self, track: Track) -> Moving:
        row = self._row[id(track)]
        if row not in self._moving:
            self._moving[row] = Moving(track.allocated)
        return self._moving[row]

    def _cleaned(self, track: Track) -> Floats:
        """The track's allocated bytes [K, C] without what the nodes asked share besides a trend: no wander either."""
        return self._shared().cleaned(self._block(track, slice(None)))

    def _column(self, track: Track, column: int) -> Floats:
        """The same of one cache [K]."""
        return self._shared().cleaned(self._block(track, slice(column, column + 1)))[:, 0]

    def _shared(self) -> Shared:
        if self._curves is None:
            one = {track.node: track for track in self._asked if len(track.time)}
            members = np.array([self._row[id(track)] for track in one.values()], dtype=np.intp)
            listed = np.zeros((len(one), len(self._names)), dtype=bool)
            for place, other in enumerate(one.values()):
                listed[place, [self._names[name] for name in other.names]] = True
            self._curves = Shared((self._block(other, slice(None)) for other in one.values()), members, listed)
        return self._curves

    def _block(self, track: Track, chosen: slice) -> Block:
        columns = np.array([self._names[name] for name in track.names[chosen]], dtype=np.intp)
        rows = np.full(len(columns), self._row[id(track)])
        return Block(np.floor_divide(track.time, self._width), track.allocated[:, chosen], rows, columns)


def bends(cells: Track, column: int, own: Floats | None = None, first: int = 0) -> float:
    """How much the rise of a cache's floor in these cells slows as a filling one's (see shape.slackens).

    By itself: what the node's load slowed does not count. `own` [K] is the floor without what the nodes share, where
    that is known; what lies before the cell `first` is left out.
    """
    known = np.isfinite(cells.allocated[:, column]) & (np.arange(len(cells.time)) >= first)
    t, y = cells.time[known], cells.allocated[known, column]
    bent = slackens(t, y)
    if own is None:
        own = y
    else:
        own = own[known]
        bent = max(bent, slackens(t, own))
    load = node_load(cells.active[known], column) if bent > 1.0 else None
    return 0.0 if load is not None and by_load(t, own, load) else bent


def jumps(t: Floats, y: Floats) -> Floats:
    """[K - 1] the changes of a level y [K] at t that are steps: beyond STEP times the usual change, not back at once.

    What is not listed (NaN) is left out; none where fewer than FEWEST_CELLS are known, none over a GAP. A threshold
    tells jumps from diffusion: C. Mancini, Scandinavian Journal of Statistics 36 (2009), 270.
    """
    known = np.isfinite(y)
    return np.asarray(_jumps(t[known][None], y[known][None])[0])


def by_chance(t: Floats, y: Floats) -> bool:
    """Whether a rise of y [K] at t is a few steps that might as well have gone down: no leak yet.

    A sign test on the steps (W. J. Dixon and A. M. Mood, J. Am. Stat. Assoc. 41 (1946), 557): what steps up and down at
    random goes up four times in a row once in sixteen times, and of many caches one does. A step takes two cells at
    most: what jumps in more in a row goes on rising.
    """
    change = jumps(t, y)
    y = y[np.isfinite(y)]
    begins = np.flatnonzero((change != 0) & np.r_[True, change[:-1] == 0][: len(change)])
    runs = np.split(change, begins)[1:]
    steps = np.array([run.sum() for run in runs if np.count_nonzero(run) <= 2])
    moved = float(np.abs(np.diff(y)).sum())
    up, made = int((steps > 0).sum()), len(steps)
    chance = sum(comb(made, some) for some in range(up, made + 1)) / 2**made
    return float(steps.sum()) > 0 and float(np.abs(steps).sum()) >= STEPPED * moved and chance > CHANCE


def _jumps(t: Floats, y: Floats) -> Floats:
    """The same of many levels y [M, K] at t [M, K] of which all is known."""
    if y.shape[1] < FEWEST_CELLS:
        return np.zeros((len(y), 0))
    edge = np.concatenate([y[:, :1], y[:, :1], y, y[:, -1:], y[:, -1:]], axis=1)
    change = np.diff(middle(np.lib.stride_tricks.sliding_window_view(edge, 5, axis=1), axis=2), axis=1)
    size = np.abs(change)
    least = np.maximum(STEP * middle(size, axis=1), np.minimum(2 * quantum(y.T), TWO_SLABS))
    apart = np.diff(t, axis=1)
    return np.where((size > least[:, None]) & (apart < GAP * middle(apart, axis=1)[:, None]), change, 0.0)
