"""Caches of one node that grow along the same curve: one leak path through several caches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIKENESS", "Curves", "likeness"]

Floats = NDArray[np.float64]

LIKENESS = 0.97
"""Correlation of two floors above which they rise in lockstep."""


class Curves:
    """Columns of [K, C] to be likened to several curves."""

    def __init__(self, y: Floats) -> None:
        self._y = y - y.mean(axis=0)
        self._norm = np.sqrt((self._y**2).sum(axis=0))

    def like(self, curve: Floats) -> Floats:
        """The correlation [C] of each with a curve [K]; 0 where one does not vary or has gaps."""
        centred = curve - curve.mean()
        norm = np.sqrt((centred**2).sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            result = centred @ self._y / (self._norm * norm)
        return np.where(np.isfinite(result), result, 0.0)


def likeness(y: Floats, column: int) -> Floats:
    """The correlation [C] of every column of y [K, C] with one of them; 0 where a column does not vary or has gaps."""
    return Curves(y).like(y[:, column])
