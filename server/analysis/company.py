"""What a node's other caches say of one cache's rise: whether they grew with it, and whether pressure shrank them."""

from __future__ import annotations

import numpy as np

from server.analysis.lockstep import likeness
from server.analysis.survey import BLOCKS, Fit
from server.analysis.trend import block_floors

__all__ = ["company", "pressed"]

LIKENESS, SHARE, LEAST = 0.7, 0.4, 4 * 4096.0
"""What grows with a cache: correlation of the floors, least share of its relative growth, least bytes."""


def company(one: Fit, column: int) -> int:
    """How many other caches of the node grew with this one: along its curve, by a like share of their level or more.

    A leak is alone, or nearly (its lockstep caches); a task that starts, a backup, a surge of requests moves many.
    """
    rise, level = one.last - one.first, np.maximum(one.first, 1.0)
    like = likeness(one.cells().allocated, column)
    with_it = (like >= LIKENESS) & (rise >= LEAST)
    with_it &= rise / level >= SHARE * rise[column] / level[column]
    with_it[column] = False
    return int(with_it.sum())


def pressed(one: Fit, column: int, growth: float) -> bool:
    """Whether the kernel reclaimed other caches on this node during the span while this one went on growing."""
    y = one.cells().allocated
    lazy = one.track.reclaimable.copy()
    lazy[column] = False
    own = y[:, column]
    if float(np.max(np.fmax.accumulate(own) - own)) > 0.1 * growth or not lazy.any():
        return False
    total = np.nansum(y[:, lazy], axis=1)
    peak = np.maximum.accumulate(total)
    if not ((peak - total) > 0.3 * np.maximum(peak, 1.0)).any():
        return False
    floors = block_floors(y[:, [column]], min(BLOCKS, len(y) // 2))[:, 0]
    return bool((np.diff(floors) > 0).all())
