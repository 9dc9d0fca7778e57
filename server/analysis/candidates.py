"""The series of one span that rise as a leak does, by what they show themselves: before any comparison with peers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.analysis.follow import by_load, node_load
from server.analysis.panel import Panel
from server.analysis.survey import BLOCKS, DAY_LOST, FEWEST_SLABS, LARGEST, MOST_LOST, RISING, Part, Survey
from server.analysis.tracks import Track
from server.analysis.trend import Trend, fit, floors, quantum, steps
from server.analysis.windows import BRIEF

__all__ = ["LEAST_KNOWN", "LEAST_SCORE", "Candidates", "candidates_of", "used_bytes"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

LEAST_SCORE = 3.0
"""Growth of less than so many times its uncertainty is not looked at further."""
LEAST_KNOWN = 0.75
"""Share of a span's cells in which a series must be listed to have a trend."""
PAGE, LARGEST_SLAB, OBJECTS = 4096.0, 32768.0, 16
"""Bytes of the least slab and of the largest (eight pages unless the kernel is told otherwise, slub_max_order), and the
objects that SLUB seeks to have in one (calculate_order in mm/slub.c: 16 with up to seven processors)."""
LEAST_IN_USE = 0.5
"""Of a growth: so much must be of objects in use."""
TOGETHER = 2000
"""Series that are fitted at once: more would not fit into a processor's cache."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Series of one part that passed the gates which they decide alone, with their trends. S series."""

    part: Part
    series: Indices
    """[S] in the part; `rows` in Panel.tracks, upwards; `columns` in Panel.names."""
    rows: Indices
    columns: Indices
    trend: Trend
    slab: Floats
    """[S] bytes: the least change of each."""
    slows: Bools
    """[S] whether each slows, which only its load may excuse (see `excused`)."""
    measures: Mapping[str, Floats]

    def take(self, kept: Indices | Bools) -> Candidates:
        """Some of them."""
        measures = {name: values[kept] for name, values in self.measures.items()}
        rows, columns, trend = self.rows[kept], self.columns[kept], self.trend.take(kept)
        slab, slows = self.slab[kept], self.slows[kept]
        return Candidates(self.part, self.series[kept], rows, columns, trend, slab, slows, measures)

    def excused(self, surveyed: Survey, asked: Bools) -> Bools:
        """[S] False for those of the `asked` [S] that slow by themselves: it takes long to find out, so ask of few."""
        kept = np.ones(len(self.series), dtype=np.bool_)
        for k in np.flatnonzero(self.slows & asked).tolist():
            y = surveyed.curves.cleaned(self.part.block(self.series[k : k + 1]))[:, 0]
            cells, cache = surveyed.fit(int(self.rows[k])).cells(), surveyed.panel.names[self.columns[k]]
            kept[k] = _by_load(cells, cache, y)
        return kept

    def lone(self) -> Trend:
        """The trends with what the nodes share left in."""
        return fit(self.part.t, self.part.y[:, self.series], self.slab, faster=_brief(self.part))

    def active(self, panel: Panel) -> Floats:
        """[S] by how many bytes the objects in use grow; see `lasting`."""
        return fit(self.part.t, used_bytes(panel, self.part, self.rows, self.columns)).growth

    def lasting(self, active: Floats) -> Bools:
        """[S] whether so much growth of objects in use is enough."""
        return np.asarray(~(active < LEAST_IN_USE * self.trend.growth))


def candidates_of(surveyed: Survey, chosen: Iterable[Indices]) -> list[Candidates]:
    """What is worth a comparison: enough of a trend over its own noise, with the gates that peers can't mend.

    `chosen` are series of each part. Those of many nodes are fitted at once; times are the cells', not the samples'.
    """
    found: list[Candidates] = []
    for part, series in zip(surveyed.parts, chosen, strict=True):
        for begin in range(0, len(series), TOGETHER):
            found += _fitted(surveyed, part, series[begin : begin + TOGETHER])
    return found


def _fitted(surveyed: Survey, part: Part, chosen: Indices) -> Iterator[Candidates]:
    t, y = part.t, surveyed.curves.cleaned(part.block(chosen))
    slab = quantum(part.y.take(chosen, axis=1))
    trend = fit(t, y, slab, faster=_brief(part))
    kept = trend.growth > LEAST_SCORE * trend.error
    kept &= np.isfinite(y).mean(axis=0) >= LEAST_KNOWN
    kept &= trend.growth >= FEWEST_SLABS * slab
    if not kept.any():
        return
    chosen, y, slab, trend = chosen[kept], y[:, kept], slab[kept], trend.take(kept)
    spread = steps(t, y, min(BLOCKS, len(t) // 2))
    gates = {
        "step": (spread.largest > LARGEST) | (spread.rising < RISING),
        "slowing": spread.late < (0.6 if surveyed.span.ended else 0.4),
        "falls back": spread.drawdown > (DAY_LOST if surveyed.full else MOST_LOST) * trend.growth,
    }
    slows = gates.pop("slowing") if surveyed.full else np.zeros(len(chosen), dtype=np.bool_)
    measures = {
        "slab": np.minimum(slab, _usual_slabs(surveyed.panel, part.rows[chosen], part.columns[chosen])),
        "largest_step": spread.largest,
        "rising_blocks": spread.rising,
        "late_over_early": np.minimum(spread.late, 1e6),
        "drawdown": spread.drawdown,
    }
    passed = np.flatnonzero(~np.logical_or.reduce(list(gates.values())))
    if len(passed):
        rows, columns = part.rows[chosen], part.columns[chosen]
        yield Candidates(part, chosen, rows, columns, trend, slab, slows, measures).take(passed)


def _by_load(cells: Track, cache: str, y: Floats) -> bool:
    """Whether the floor y [K] of a node's cache, in these cells of it, rises by its load (see follow.by_load)."""
    load = node_load(cells.active, cells.index[cache]) if np.isfinite(y).all() else None
    return load is not None and by_load(cells.time, y, load)


def _brief(part: Part) -> bool:
    """Whether a span is too short for a day's swing to bend it: from the first cell to the last under BRIEF."""
    return bool(part.t[-1] - part.t[0] < BRIEF)


def _usual_slabs(panel: Panel, rows: Indices, columns: Indices) -> Floats:
    """[S] bytes of a slab of each series' cache, about: what grows fast changes by more than one from cell to cell."""
    return np.clip(OBJECTS * panel.sizes[rows, columns], PAGE, LARGEST_SLAB)


def used_bytes(panel: Panel, part: Part, rows: Indices, columns: Indices) -> Floats:
    """[K, S] the cells of the objects in use, in bytes. `rows` run upwards."""
    own, begins = np.unique(rows, return_index=True)
    picked = []
    for row, begin, end in zip(own.tolist(), begins.tolist(), [*begins[1:].tolist(), len(rows)], strict=True):
        place = np.searchsorted(panel.places[row], columns[begin:end])
        picked.append(panel.tracks[row].active[part.buckets, place])
    y = np.concatenate(picked, axis=1)
    return floors(y, part.starts) if len(part.starts) < len(y) else y
