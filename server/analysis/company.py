"""Whether a node's other caches grew with one: a task's do, a leak's do not."""

from __future__ import annotations

import numpy as np

from server.analysis.lockstep import likeness
from server.analysis.survey import Fit

__all__ = ["company"]

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
