"""Medians of many short series at once: sorted together, with what is missing left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["medians"]

Floats = NDArray[np.float64]


def medians(values: Floats) -> Floats:
    """[N] the median of every row of [N, K], NaN left out; NaN where a row has nothing else."""
    rows, length = values.shape
    if not length:
        return np.full(rows, np.nan)
    ordered = np.sort(np.ascontiguousarray(values), axis=1)  # NaN comes last
    if not np.isnan(ordered[:, -1]).any():
        return np.asarray((ordered[:, (length - 1) // 2] + ordered[:, length // 2]) / 2)
    count = (~np.isnan(ordered)).sum(axis=1)
    at = np.arange(rows)
    return np.asarray(
        (ordered[at, np.maximum(count - 1, 0) // 2] + ordered[at, np.minimum(count // 2, length - 1)]) / 2
    )
