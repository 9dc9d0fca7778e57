"""Whether a node's other caches grew with one: a task's do, a leak's do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.analysis.lockstep import likeness
from server.analysis.survey import Fit

__all__ = ["company"]

Floats = NDArray[np.float64]

LIKENESS, SHARE, LEAST = 0.7, 0.4, 4 * 4096.0
"""What grows with a cache: correlation of the floors, least share of its growth over level, least bytes."""


def company(one: Fit, column: int, usual: Floats) -> int:
    """How many other caches of the node grew with this one: along its curve, by a like share of their level or more.

    A leak is alone, or nearly (its lockstep caches); a task that starts, a backup, a surge of requests moves many.
    `usual` [C] is what each grew by over its level on the peers meanwhile: what all nodes do is no company.
    """
    rise, level = one.last - one.first, np.maximum(one.first, 1.0)
    beyond = rise / level - np.maximum(np.nan_to_num(usual), 0.0)
    like = likeness(one.cells().allocated, column)
    with_it = (like >= LIKENESS) & (rise >= LEAST)
    with_it &= beyond >= SHARE * max(float(beyond[column]), 0.0)
    with_it[column] = False
    return int(with_it.sum())
