"""Reclaimable caches fill with work and shrink under pressure together; what one holds beyond that may be a leak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.analysis.medians import column_medians, medians
from server.analysis.trend import block_floors

__all__ = ["beyond", "pressed", "tide"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

FEWEST = 4
"""Reclaimable caches that vary on a node, from which on what they do together can be told."""
LEAST = 8 * 4096.0
"""Bytes below which a cache says nothing of the others: a slab more is too large a share of it."""
BLOCKS, FEWEST_RISING, MOST_LOST = 6, 4, 0.15
"""From its lowest sixth on, of which there are four at least, a leak's excess rises from each to the next, and never
loses more than this share of its rise."""
FEWEST_CELLS = 4
FELL = 0.1
"""A share of their level that pressure took from them."""
SUBSTANTIAL, KEPT = 0.25, 0.5
"""What a leak holds beyond the tide is at least so much of the cache; it loses under half the share the tide lost."""


def tide(y: Floats) -> Floats | None:
    """How full the reclaimable caches y [K, V] of one node are together, by cell: 1 over the first quarter.

    The median over the caches of their level beside that of the first quarter; None for too few caches.
    """
    level: Floats = _tides(y, column_medians(y[: max(2, len(y) // 4)]), np.zeros(y.shape[1], dtype=np.intp))[0]
    return level if np.isfinite(level).all() else None


def _tides(y: Floats, begin: Floats, node: Indices) -> Floats:
    """[N, K] the same of N nodes, side by side in y [K, V]; NaN for too few caches.

    `begin` [V] are the levels of the first quarter, `node` [V] from 0 upwards.
    """
    count = int(node.max(initial=0)) + 1
    told = np.flatnonzero((begin >= LEAST) & np.isfinite(y).all(axis=0))
    each = np.bincount(node[told], minlength=count)
    place = np.arange(len(told)) - np.repeat(np.cumsum(each) - each, each)
    full = np.full((count, len(y), int(each.max(initial=0))), np.nan)
    full[node[told], :, place] = (y[:, told] / begin[told]).T
    level = medians(full.reshape(count * len(y), full.shape[2])).reshape(count, len(y))
    return np.where((each >= FEWEST)[:, None], level, np.nan)


def beyond(y: Floats, rows: Indices, lazy: Bools) -> Floats:
    """The series y [K, V] with what is reclaimable (`lazy` [V]) freed of the tide of its node; `rows` [V] run upwards.

    What remains is the series less its first quarter's level times the tide's change.
    """
    at = np.flatnonzero(lazy)
    if not len(at):
        return y
    own = y.take(at, axis=1)
    begin, node = (
        column_medians(own[: max(2, len(y) // 4)]),
        np.diff(rows[at], prepend=rows[at[0]]).astype(bool).cumsum(),
    )
    level = _tides(own, begin, node)[node].T
    y = y.copy()
    y[:, at] = np.where(np.isfinite(level), own - (level - 1.0) * begin, own)
    return y


def pressed(own: Floats, others: Floats) -> bool:
    """Whether pressure that shrank the other reclaimable caches [K, V] of a node left what this one [K] has beyond.

    Judged at the fall of the tide, within two cells, that would have told most: the deepest, with the most to lose.
    """
    level = tide(others)
    if level is None or not np.isfinite(own).all():
        return False
    excess = own - level * np.median(own[: max(2, len(own) // 4)])
    floors = block_floors(excess[:, None], BLOCKS)[:, 0]
    begin = int(np.argmin(floors))
    if len(floors) - begin < FEWEST_RISING or (np.diff(floors[begin:]) <= 0).any():
        return False
    rise = floors[-1] - floors[begin]
    own, level, excess = (series[int(np.argmin(excess)) :] for series in (own, level, excess))
    if len(own) < FEWEST_CELLS or float((np.maximum.accumulate(excess) - excess).max()) > MOST_LOST * rise:
        return False
    low = np.arange(2, len(level))
    high = np.where(level[low - 1] >= level[low - 2], low - 1, low - 2)
    fell = 1.0 - level[low] / level[high]
    share = np.divide(excess[high], own[high], out=np.zeros(len(high)), where=own[high] > 0)
    best = int(np.argmax(np.clip(fell, 0.0, None) * np.clip(share, 0.0, None)))
    if fell[best] < FELL or share[best] < SUBSTANTIAL:
        return False
    return bool(excess[low[best]] >= (1.0 - KEPT * fell[best]) * excess[high[best]])
