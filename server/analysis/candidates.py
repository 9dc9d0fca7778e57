"""The series of one span that rise as a leak does, by what they show themselves: before any comparison with peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.analysis.panel import Panel
from server.analysis.survey import BLOCKS, LARGEST, RISING, Part, Survey
from server.analysis.trend import Trend, fit, floor_rise, floors, quantum, steps

__all__ = ["LEAST_KNOWN", "LEAST_SCORE", "Candidates", "candidates_of"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

LEAST_SCORE = 3.0
"""Growth of less than so many times its uncertainty is not looked at further."""
LEAST_KNOWN = 0.75
"""Share of a span's cells in which a series must be listed to have a trend."""
TOGETHER = 2000
"""Series that are fitted at once: more would not fit into a processor's cache."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Series of many nodes that passed the gates which they decide alone, with their trends. S series."""

    rows: Indices
    """[S] in Panel.tracks; `columns` in Panel.names."""
    columns: Indices
    trend: Trend
    active: Trend
    """The same of the objects in use."""
    measures: Mapping[str, Floats]

    def take(self, kept: Indices | Bools) -> Candidates:
        """Some of them."""
        measures = {name: values[kept] for name, values in self.measures.items()}
        return Candidates(self.rows[kept], self.columns[kept], self.trend.take(kept), self.active.take(kept), measures)


def candidates_of(surveyed: Survey) -> list[Candidates]:
    """What is worth a comparison: enough of a trend over its own noise, with the gates that peers can't mend.

    Series of many nodes are fitted at once; times are the cells', not the samples'.
    """
    found: list[Candidates] = []
    for part, chosen in zip(surveyed.parts, surveyed.candidates, strict=True):
        for begin in range(0, len(chosen), TOGETHER):
            found += _fitted(surveyed, part, chosen[begin : begin + TOGETHER])
    return found


def _fitted(surveyed: Survey, part: Part, chosen: Indices) -> Iterator[Candidates]:
    t, y = part.t, part.y.take(chosen, axis=1)
    rise, least = floor_rise(y), 4 * quantum(y)
    likely = (rise > 0) & (rise >= least)  # no growth exceeds the floor's rise
    chosen, y, least = chosen[likely], y[:, likely], least[likely]
    trend = fit(t, y)
    kept = trend.growth > LEAST_SCORE * trend.error
    kept &= np.isfinite(y).mean(axis=0) >= LEAST_KNOWN
    kept &= trend.growth >= least
    if not kept.any():
        return
    chosen, y, trend = chosen[kept], y[:, kept], trend.take(kept)
    spread = steps(t, y, min(BLOCKS, len(t) // 2))
    gates = {
        "step": (spread.largest > LARGEST) | (spread.rising < RISING),
        "slowing": spread.late < (0.6 if surveyed.span.ended else 0.4),
        "falls back": spread.drawdown > 0.6 * trend.growth,
    }
    measures = {
        "largest_step": spread.largest,
        "rising_blocks": spread.rising,
        "late_over_early": np.minimum(spread.late, 1e6),
        "drawdown": spread.drawdown,
    }
    rows, columns = part.rows[chosen], part.columns[chosen]
    active = fit(t, _active(surveyed.panel, part, rows, columns))
    gates["active"] = active.growth < 0.5 * trend.growth
    passed = np.flatnonzero(~np.logical_or.reduce(list(gates.values())))
    if len(passed):
        yield Candidates(rows, columns, trend, active, measures).take(passed)


def _active(panel: Panel, part: Part, rows: Indices, columns: Indices) -> Floats:
    """[K, S] the cells of the objects in use, in bytes. `rows` run upwards."""
    own, begins = np.unique(rows, return_index=True)
    picked = []
    for row, mine in zip(own.tolist(), np.split(columns, begins[1:]), strict=True):
        place = np.searchsorted(panel.places[row], mine)
        picked.append(panel.tracks[row].active[part.buckets, place])
    y = np.concatenate(picked, axis=1)
    return floors(y, part.starts) if len(part.starts) < len(y) else y
