"""Caches of one node that grow along the same curve: one leak path through several caches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIKENESS", "likeness"]

Floats = NDArray[np.float64]

LIKENESS = 0.97
"""Correlation of two floors above which they rise in lockstep."""


def likeness(y: Floats, column: int) -> Floats:
    """The correlation [C] of every column of y [K, C] with one of them; 0 where a column does not vary or has gaps."""
    centred = y - y.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        result = (centred * centred[:, column, None]).sum(axis=0) / (norm * norm[column])
    return np.where(np.isfinite(result), result, 0.0)
