"""The first look at a span: every cache of every node, cheaply; what moves nodes as a whole, which caches may leak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.analysis.factors import node_effects, node_scales, others_greatest
from server.analysis.medians import column_medians
from server.analysis.panel import Panel, Stack, material_rate
from server.analysis.reclaim import beyond
from server.analysis.shared import Block, Shared
from server.analysis.tracks import Track, cells
from server.analysis.trend import block_floors, drawdown, floor_rise, floors, quantum, spread_of
from server.analysis.windows import DAY, Span

__all__ = [
    "BLOCKS",
    "DAY_LOST",
    "FEWEST_SLABS",
    "LARGEST",
    "LIGHT",
    "MOST_LOST",
    "RISING",
    "Fit",
    "Part",
    "Survey",
    "material_rate",
    "survey",
]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

BLOCKS = 6
"""Parts of a span in which a leak's floor must go on rising."""
LARGEST, RISING = 0.6, 0.6
"""A rise of which one increment between blocks is more than this share, or fewer increments rise, is a step."""
MOST_LOST, DAY_LOST = 0.6, 0.4
"""Of a growth: so much a leak may have fallen by on the way, and over a whole day."""
FEWEST_SLABS = 4
"""A growth of fewer slabs is not looked at further."""
FEWEST_CELLS, FEWEST_SAMPLES = 8, 10
MOST_SHARING = 32
"""Nodes that are asked for what all have in common: more would cost and add nothing."""
LIGHT = 0.3
"""Of what matters: a cache that grows more slowly is not looked at, be it one of many in lockstep."""
SHARE_OF_SPAN = 0.25
"""A boot that covers less of a span is not judged in it."""


@dataclass(slots=True)
class Part:
    """The cells over a span of boots whose cells are the same. K cells, V series, all that vary."""

    members: Indices
    """In Panel.tracks."""
    length: Floats
    """Seconds from each member's first cell to its last."""
    t: Floats
    """[K] when each cell begins."""
    y: Floats
    """[K, V] the floor of the allocated bytes in each cell; over a whole day and more see reclaim.beyond."""
    rows: Indices
    """[V] whose each series is, in Panel.tracks; `columns` in Panel.names."""
    columns: Indices
    buckets: slice
    """Of the members' tracks."""
    starts: Indices
    """[K] the first of those buckets in each cell."""
    width: float
    """Seconds; of the cells."""

    def block(self, series: Indices) -> Block:
        """Some of the series."""
        return Block(self.t / self.width, self.y.take(series, axis=1), self.rows[series], self.columns[series])


@dataclass(frozen=True, slots=True)
class Fit:
    """One track over a span. C caches of the track."""

    track: Track
    row: int
    """In Panel.tracks."""
    span: Span
    length: float
    """Seconds from the first cell to the last."""
    first: Floats
    """[C] median floor of the span's first quarter; `last` of its last."""
    last: Floats
    relative: Floats
    """[C] growth over level; NaN where there is no level."""
    swing: Floats
    """[C] how far each cache moved within the span, relative to its level."""
    sizes: Floats
    """[C] bytes of each cache's objects."""
    material: float
    """Bytes a second below which growth does not matter on this node."""

    _cells: list[Track] = field(default_factory=list)

    def cells(self) -> Track:
        """The track over the span, in its cells; worked out once."""
        if not self._cells:
            self._cells.append(cells(self.track, self.span.start, self.span.end, self.span.width))
        return self._cells[0]


@dataclass(frozen=True, slots=True)
class Survey:
    """Every track that can be judged over a span. N tracks and C caches as in the panel."""

    panel: Panel
    span: Span
    full: bool
    """Whether it is the whole window, and holds a whole day."""
    judged: Indices
    """In Panel.tracks."""
    curves: Shared
    """What the nodes' series of one cache have in common besides a trend."""
    parts: tuple[Part, ...]
    candidates: tuple[Indices, ...]
    """The series of each part whose floor rises by enough, in more than one step, and keeps it."""
    rises: tuple[Floats, ...]
    """What the floor of each of them rose by (see trend.floor_rise)."""
    first: Floats
    """[N, C] as in Fit; of the judged tracks only, NaN where not listed. `last`, `relative`, `swing` likewise."""
    last: Floats
    relative: Floats
    swing: Floats
    length: Floats
    """[N] seconds from the first cell to the last."""
    effect: Floats
    """[N] the relative growth that a node's caches have in common."""
    scale: Floats
    """[N] natural logarithm of how big and busy the node is beside the others."""

    def fit(self, row: int) -> Fit:
        """One of the judged tracks by itself."""
        track, place = self.panel.tracks[row], self.panel.places[row]
        return Fit(
            track,
            row,
            self.span,
            float(self.length[row]),
            self.first[row, place],
            self.last[row, place],
            self.relative[row, place],
            self.swing[row, place],
            self.panel.sizes[row, place],
            float(self.panel.material[row]),
        )


def _parts(stack: Stack, span: Span) -> Iterator[Part]:
    """The stack's boots over the span: nearly always all together; a clock may set a few apart by a bucket."""
    edges = np.stack([(stack.time < span.start).sum(axis=1), (stack.time <= span.end).sum(axis=1)], axis=1)
    alike, which = np.unique(edges, axis=0, return_inverse=True)
    for kind, (begin, stop) in enumerate(alike.tolist()):
        number = stack.number[begin:stop]
        starts = np.flatnonzero(np.diff(number, prepend=np.nan))
        if len(starts) < FEWEST_CELLS or not len(number):
            continue
        length = stack.time[:, stop - 1] - stack.time[:, begin + starts[1] - 1]
        kept = (which.ravel() == kind) & (stack.samples[:, begin:stop].sum(axis=1) >= FEWEST_SAMPLES)
        kept &= length >= SHARE_OF_SPAN * (span.end - span.start)
        if not kept.any():
            continue
        y, rows, columns = stack.y[begin:stop], stack.rows, stack.columns
        if not kept.all():
            mine = np.isin(rows, stack.members[kept])
            y, rows, columns = y[:, mine], rows[mine], columns[mine]
        y = floors(y, starts) if len(starts) < len(number) else y
        t = number[starts] * span.width
        yield Part(stack.members[kept], length[kept], t, y, rows, columns, slice(begin, stop), starts, span.width)


def _shared(panel: Panel, parts: tuple[Part, ...], judged: Indices, length: Floats) -> Shared:
    """The curves that nodes share: of one boot each that covers nearly all of the span, thinned to MOST_SHARING."""
    chosen = judged[length[judged] >= 0.9 * np.max(length[judged], initial=0.0)]
    _, first = np.unique([panel.tracks[row].node for row in chosen.tolist()], return_index=True)
    members = chosen[first]
    members = members[np.linspace(0, len(members) - 1, min(len(members), MOST_SHARING)).round().astype(np.intp)]
    blocks = (part.block(np.flatnonzero(np.isin(part.rows, members))) for part in parts)
    return Shared(blocks, members, panel.listed[members])


def _steady(part: Part, curves: Shared, chosen: Indices, most_lost: float) -> tuple[Indices, Floats]:
    """Those of the part's series that rise by some slabs, in more than one step, and keep it; what their floors rise.

    A growth is never more than the floor's rise: what is too little for a rise, or falls too much for it, is so for the
    growth.
    """
    y = curves.cleaned(part.block(chosen))
    largest, rising = spread_of(block_floors(y, min(BLOCKS, len(part.t) // 2)))
    kept = np.flatnonzero((largest <= LARGEST) & (rising >= RISING))
    y = y.take(kept, axis=1)
    rise = floor_rise(y)
    lasts = np.flatnonzero((rise > 0) & (drawdown(y) <= most_lost * rise))
    kept, rise = chosen[kept[lasts]], rise[lasts]
    enough = rise >= FEWEST_SLABS * quantum(part.y.take(kept, axis=1))
    return kept[enough], rise[enough]


def survey(panel: Panel, span: Span) -> Survey:
    """The tracks that can be judged in the span, with their nodes' effects and scales."""
    parts = tuple(part for stack in panel.stacks for part in _parts(stack, span))
    full = span.whole and not span.ended and span.end - span.start >= DAY
    still = np.where(panel.listed, 0.0, np.nan)
    first, last, relative, swing = panel.level.copy(), panel.level.copy(), still.copy(), still
    varies = np.zeros(panel.listed.shape, dtype=bool)
    length = np.full(len(panel.tracks), np.nan)
    rising = []
    for part in parts:
        at, count = (part.rows, part.columns), len(part.t)
        length[part.members] = part.length
        few = max(2, count // 4)
        begin, last[at] = column_medians(part.y[:few]), column_medians(part.y[-few:])
        y = part.y = beyond(part.y, part.rows, panel.reclaimable[at]) if full else part.y
        rise = column_medians(y[-few:]) - begin
        most, least = np.fmax.reduce(y, axis=0), np.fmin.reduce(y, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.where(begin > 0, rise / begin, np.where(rise == 0, 0.0, np.nan))
            moved = (most - least) / column_medians(y[:: max(count // 8, 1)])
        first[at], relative[at] = begin, growth
        swing[at] = np.where(np.isfinite(moved), moved, 0.0)
        varies[at] = most > least
        enough = LIGHT * panel.material * length
        rising.append(np.flatnonzero((most > least) & (rise > enough[part.rows])))
    judged = np.flatnonzero(np.isfinite(length))
    effect, scale = np.zeros(len(length)), np.zeros(len(length))
    if len(judged):
        greatest = others_greatest(swing[judged])
        effect[judged] = node_effects(relative[judged], greatest, varies[judged], panel.reclaimable[judged])
        usual = 2 * varies.sum(axis=0) >= len(judged)
        scale[judged] = node_scales(first[judged][:, usual])
    curves = _shared(panel, parts, judged, length)
    lost = DAY_LOST if full else MOST_LOST
    found = [_steady(part, curves, chosen, lost) for part, chosen in zip(parts, rising, strict=True)]
    candidates, rises = tuple(series for series, _ in found), tuple(rise for _, rise in found)
    return Survey(
        panel, span, full, judged, curves, parts, candidates, rises, first, last, relative, swing, length, effect, scale
    )
