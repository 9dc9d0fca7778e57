"""Caches of one node that grow along the same curve: one leak path through several caches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIKENESS", "like", "likeness"]

Floats = NDArray[np.float64]

LIKENESS = 0.97
"""Correlation of two floors above which they rise in lockstep."""


def like(y: Floats, curve: Floats) -> Floats:
    """The correlation [C] of every column of y [K, C] with a curve [K]; 0 where one does not vary or has gaps."""
    y, curve = y - y.mean(axis=0), curve - curve.mean()
    norms = np.sqrt((y**2).sum(axis=0) * (curve**2).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        result = curve @ y / norms
    return np.where(np.isfinite(result), result, 0.0)


def likeness(y: Floats, column: int) -> Floats:
    """The same with one of the columns."""
    return like(y, y[:, column])
