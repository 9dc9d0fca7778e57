"""Whether a growth follows what its node does: fast while the node is busy, slow while it is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.analysis.trend import drawdown
from server.analysis.windows import DAY

__all__ = ["by_load", "follows", "node_load"]

Floats = NDArray[np.float64]

VARIES = 0.02
"""Relative standard deviation from which on a cache's objects in use may tell of the load."""
FEWEST_CACHES, ALIKE, FEWEST_ALIKE = 8, 0.7, 4
"""So many caches must vary, and so many follow what they have in common with at least this correlation."""
FEWEST_CELLS, SHORTEST = 12, 12 * 3600.0
"""Seconds: half a day shows a load's rise or its fall."""
FOLLOWS, SHARE = 0.7, 0.5
"""Least correlation of growth and load, and least change of the growth with the load: 1 is in proportion."""

IDLE, AT_WORK, MOST_IDLE = 0.1, 0.7, 0.15
"""What grows at under a tenth of its mean rate while the node is at work, for more than this share of the time, stopped
or comes in stairs."""
ODD, OWN_BEND, FALLS = 0.3, 0.05, 0.05
"""See by_load: shares of what strays from a straight line, and of the rise."""


def node_load(active: Floats, column: int) -> Floats | None:
    """How busy a node is at K instants, about 1; None where its caches have too little in common to say.

    `active` [K, C] are its caches' bytes in use, without gaps; the growing one at `column` is left out. The median,
    relative to their own level, of the caches that follow the first principal component of all that vary.
    """
    if len(active) < FEWEST_CELLS:
        return None
    chosen = np.isfinite(active).all(axis=0) & (np.fmin.reduce(active, axis=0) > 0)
    chosen[column] = False
    relative = active[:, chosen] / np.median(active[:, chosen], axis=0)
    relative = relative[:, relative.std(axis=0) > VARIES]
    if relative.shape[1] < FEWEST_CACHES:
        return None
    standard = (relative - relative.mean(axis=0)) / relative.std(axis=0)
    left, _, right = np.linalg.svd(standard, full_matrices=False)
    alike = left[:, 0] @ standard / np.sqrt(len(standard)) * np.sign(right[0].sum())
    if (alike >= ALIKE).sum() < FEWEST_ALIKE:
        return None
    return np.asarray(np.median(relative[:, alike >= ALIKE], axis=1))


def follows(t: Floats, y: Floats, load: Floats) -> bool:
    """Whether y [K], bytes at t [K] seconds, grows with `load` [K], over the same time and beyond a common trend.

    Both the growth from instant to instant and the load lose their straight line first: a leak that gets faster while
    the load happens to rise does not follow it. False over less than half a day.
    """
    if len(t) < FEWEST_CELLS or t[-1] - t[0] < SHORTEST or y[-1] <= y[0]:
        return False
    rate = np.diff(y) / np.diff(t)
    busy = (load[1:] + load[:-1]) / 2
    middle = (t[1:] + t[:-1]) / 2
    rate, busy = rate / rate.mean(), busy / busy.mean()
    if ((rate < IDLE) & (busy > AT_WORK)).mean() > MOST_IDLE:
        return False
    rate, busy = _detrended(middle, rate), _detrended(middle, busy)
    power = float((busy**2).sum())
    norm = float(np.sqrt((rate**2).sum() * power))
    if norm <= 0:
        return False
    common = float((rate * busy).sum())
    return common / norm >= FOLLOWS and common / power >= SHARE


def by_load(t: Floats, y: Floats, load: Floats) -> bool:
    """Whether y [K] at t [K] seconds slows by `load` [K] alone, and not by itself as a cache does that fills.

    Least squares by a parabola in time and by what the load adds up to, at once: of what strays from a straight line
    this must leave little, and the parabola must be about straight, by shape.bend's measure. What falls on the way, as
    with sessions that end, is no leak. False over less than a day: half of one falls as what fills slows.
    """
    if len(t) < FEWEST_CELLS or t[-1] - t[0] < DAY:
        return False
    share = (t - t[0]) / (t[-1] - t[0])
    work = np.concatenate([[0.0], np.cumsum(np.diff(share) * (load[1:] + load[:-1]) / 2)])
    parts = np.stack([np.ones_like(t), share, work / work[-1], share**2], axis=1)
    by_clock, by_all = (np.linalg.lstsq(some, y, rcond=None)[0] for some in (parts[:, :2], parts))
    fitted, rise = parts @ by_all, float(by_all[1:].sum())
    left, uneven = ((y - fitted) ** 2).sum(), ((y - parts[:, :2] @ by_clock) ** 2).sum()
    told = by_all[2] > 0 and left <= ODD**2 * uneven
    return bool(told and abs(by_all[3]) / 4 <= OWN_BEND * rise and drawdown(fitted[:, None])[0] <= FALLS * rise)


def _detrended(t: Floats, y: Floats) -> Floats:
    centred = t - t.mean()
    return np.asarray(y - y.mean() - centred * (centred @ y) / (centred @ centred))
