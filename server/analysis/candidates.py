"""The series of one span that rise as a leak does, by what they show themselves: before any comparison with peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.analysis.survey import BLOCKS, LARGEST, RISING, Fit
from server.analysis.trend import Trend, fit, quantum, steps
from server.analysis.windows import Span

__all__ = ["LEAST_SCORE", "Candidates", "candidates_of"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

LEAST_SCORE = 3.0
"""Growth of less than so many times its uncertainty is not looked at further."""
TOGETHER = 32
"""Nodes whose series are fitted at once."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Series of many nodes that passed the gates which they decide alone, with their trends. S series."""

    fits: tuple[Fit, ...]
    owner: Indices
    """[S] in `fits`."""
    columns: Indices
    """[S] among the owner's caches."""
    trend: Trend
    active: Trend
    measures: Mapping[str, Floats]

    def cache(self, k: int) -> str:
        """The name of the k-th one's cache."""
        return str(self.fits[self.owner[k]].track.names[self.columns[k]])

    def take(self, kept: Indices | Bools) -> Candidates:
        """Some of them."""
        return Candidates(
            self.fits,
            self.owner[kept],
            self.columns[kept],
            self.trend.take(kept),
            self.active.take(kept),
            {name: values[kept] for name, values in self.measures.items()},
        )


def candidates_of(fits: Sequence[Fit], span: Span) -> list[Candidates]:
    """What is worth a comparison: enough of a trend over its own noise, with the gates that peers can't mend.

    Series of many nodes are fitted at once where their cells are the same; times are the cells', not the samples'.
    """
    alike: dict[bytes, list[Fit]] = {}
    for one in fits:
        if one.candidate.any():
            alike.setdefault(np.floor_divide(one.cells.time, span.width).tobytes(), []).append(one)
    found = []
    for number, group in alike.items():
        t = np.frombuffer(number) * span.width
        for begin in range(0, len(group), TOGETHER):
            fitted = _fitted(t, group[begin : begin + TOGETHER], span)
            if fitted is not None:
                found.append(fitted)
    return found


def _fitted(t: Floats, group: Sequence[Fit], span: Span) -> Candidates | None:
    picked = [np.flatnonzero(one.candidate) for one in group]
    owner = np.repeat(np.arange(len(group)), [len(columns) for columns in picked])
    columns = np.concatenate(picked)
    y = np.concatenate([one.cells.allocated[:, c] for one, c in zip(group, picked, strict=True)], axis=1)
    trend = fit(t, y)
    kept = trend.growth > LEAST_SCORE * trend.error
    kept &= np.isfinite(y).mean(axis=0) >= 0.75
    if not kept.any():
        return None
    y, trend, owner, columns = y[:, kept], trend.take(kept), owner[kept], columns[kept]
    place = [group[int(n)].cells.active[:, c] for n, c in zip(owner, columns, strict=True)]
    active, spread = fit(t, np.stack(place, axis=1)), steps(t, y, min(BLOCKS, len(y) // 2))
    gates = {
        "slabs": trend.growth < 4 * quantum(y),
        "active": active.growth < 0.5 * trend.growth,
        "step": (spread.largest > LARGEST) | (spread.rising < RISING),
        "slowing": spread.late < (0.6 if span.ended else 0.4),
        "falls back": spread.drawdown > 0.6 * trend.growth,
    }
    measures = {
        "largest_step": spread.largest,
        "rising_blocks": spread.rising,
        "late_over_early": np.minimum(spread.late, 1e6),
        "drawdown": spread.drawdown,
    }
    passed = np.flatnonzero(~np.logical_or.reduce(list(gates.values())))
    if not len(passed):
        return None
    return Candidates(tuple(group), owner, columns, trend, active, measures).take(passed)
