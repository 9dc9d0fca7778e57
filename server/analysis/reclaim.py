"""Reclaimable caches fill with work and shrink under pressure together; what one holds beyond that may be a leak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.analysis.medians import middle
from server.analysis.trend import block_floors

__all__ = ["beyond", "pressed", "tide"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

FEWEST = 4
"""Reclaimable caches that vary on a node, from which on what they do together can be told."""
LEAST = 8 * 4096.0
"""Bytes below which a cache says nothing of the others: a slab more is too large a share of it."""
BLOCKS, MOST_LOST = 6, 0.15
"""A leak's excess rises from each sixth to the next, and never loses more than this share of its rise."""
FELL = 0.1
"""A share of their level that pressure took from them."""
SUBSTANTIAL, KEPT = 0.25, 0.5
"""What a leak holds beyond the tide is at least so much of the cache; it loses under half the share the tide lost."""


def tide(y: Floats) -> Floats | None:
    """How full the reclaimable caches y [K, V] of one node are together, by cell: 1 over the first quarter.

    The median over the caches of their level beside that of the first quarter; None for too few caches.
    """
    begin = middle(y[: max(2, len(y) // 4)])
    told = (begin >= LEAST) & np.isfinite(y).all(axis=0)
    if told.sum() < FEWEST:
        return None
    return middle(y[:, told] / begin[told], axis=1)


def beyond(y: Floats, rows: Indices, lazy: Bools) -> Floats:
    """The series y [K, V] with what is reclaimable (`lazy` [V]) freed of the tide of its node; `rows` [V] run upwards.

    What remains is the series less its first quarter's level times the tide's change.
    """
    at = np.flatnonzero(lazy)
    if not len(at):
        return y
    y = y.copy()
    for mine in np.split(at, np.flatnonzero(np.diff(rows[at])) + 1):
        own = y.take(mine, axis=1)
        level = tide(own)
        if level is not None:
            y[:, mine] = own - (level - 1.0)[:, None] * middle(own[: max(2, len(y) // 4)])
    return y


def pressed(own: Floats, others: Floats) -> bool:
    """Whether pressure that shrank the other reclaimable caches [K, V] of a node left what this one [K] has beyond.

    Judged at the fall of the tide, within two cells, that would have told most: the deepest, with the most to lose.
    """
    level = tide(others)
    if level is None or not np.isfinite(own).all():
        return False
    excess = own - level * float(middle(own[: max(2, len(own) // 4)]))
    high = np.array([j - 1 if level[j - 1] >= level[j - 2] else j - 2 for j in range(2, len(level))])
    low = np.arange(2, len(level))
    fell = 1.0 - level[low] / level[high]
    told = np.clip(fell, 0.0, None) * np.clip(excess[high] / own[high], 0.0, None)
    best = int(np.argmax(told))
    floors = block_floors(excess[:, None], BLOCKS)[:, 0]
    lost = float((np.maximum.accumulate(excess) - excess).max())
    if (np.diff(floors) <= 0).any() or lost > MOST_LOST * (floors[-1] - floors[0]):
        return False
    if fell[best] < FELL or excess[high[best]] < SUBSTANTIAL * own[high[best]]:
        return False
    return bool(excess[low[best]] >= (1.0 - KEPT * fell[best]) * excess[high[best]])
