"""The first look at a span: every cache of every node, cheaply; what moves nodes as a whole, which caches may leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.analysis.factors import node_effects, node_scales, others_greatest
from server.analysis.tracks import MEMORY_TOTAL, Track, cells
from server.analysis.trend import block_floors, spread_of
from server.analysis.types import AnalysisSettings
from server.analysis.windows import Span

__all__ = ["BLOCKS", "LARGEST", "RISING", "Fit", "material_rate", "survey"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BLOCKS = 6
"""Parts of a span in which a leak's floor must go on rising."""
LARGEST, RISING = 0.6, 0.6
"""A rise of which one increment between blocks is more than this share, or fewer increments rise, is a step."""
FEWEST_CELLS, FEWEST_SAMPLES = 8, 10
SHARE_OF_SPAN = 0.25
"""A boot that covers less of a span is not judged in it."""


@dataclass(slots=True)
class Fit:
    """One track over a span. C caches."""

    track: Track
    cells: Track
    first: Floats
    """[C] median floor of the span's first quarter; `last` of its last."""
    last: Floats
    relative: Floats
    """[C] growth over level; NaN where there is no level."""
    swing: Floats
    """[C] how far each cache moved within the span, relative to its level."""
    varies: Bools
    candidate: Bools
    """[C] caches whose floor rises enough, and in more than one step."""
    material: float
    """Bytes a second below which growth does not matter on this node."""
    effect: float = 0.0
    """The relative growth that the node's caches have in common."""
    scale: float = 0.0
    """Natural logarithm of how big and busy the node is beside the others."""


def material_rate(track: Track, settings: AnalysisSettings) -> float:
    """Bytes a second below which growth does not matter on this node."""
    known = track.memory[:, MEMORY_TOTAL]
    known = known[np.isfinite(known)]
    if not len(known):
        return settings.material_bytes_per_hour / 3600.0
    return settings.material_fraction * float(known[-1]) / (30 * 86400.0)


def _look(track: Track, span: Span, settings: AnalysisSettings) -> Fit | None:
    part = cells(track, span.start, span.end, span.width)
    y, count = part.allocated, len(part.time)
    if count < FEWEST_CELLS or part.samples.sum() < FEWEST_SAMPLES:
        return None
    if part.span < SHARE_OF_SPAN * (span.end - span.start):
        return None
    few = max(2, count // 4)
    first, last = np.median(y[:few], axis=0), np.median(y[-few:], axis=0)
    rise = last - first
    most, least = np.fmax.reduce(y, axis=0), np.fmin.reduce(y, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(first > 0, rise / first, np.where(rise == 0, 0.0, np.nan))
        swing = (most - least) / np.median(y[:: max(count // 8, 1)], axis=0)
    material = material_rate(track, settings)
    varies = most > least
    candidate = varies & (rise > 0.4 * material * part.span)
    chosen = np.flatnonzero(candidate)
    if len(chosen):
        largest, rising = spread_of(block_floors(y[:, chosen], min(BLOCKS, count // 2)))
        candidate[chosen] = (largest <= LARGEST) & (rising >= RISING)
    swing = np.where(np.isfinite(swing), swing, 0.0)
    return Fit(track, part, first, last, relative, swing, varies, candidate, material)


def survey(tracks: Sequence[Track], span: Span, settings: AnalysisSettings) -> list[Fit]:
    """The tracks that can be judged in the span, with their node's effect and scale."""
    fits = [fitted for track in tracks if (fitted := _look(track, span, settings)) is not None]
    if not fits:
        return fits
    names = sorted({name for layout in {one.track.names for one in fits} for name in layout})
    index = {name: number for number, name in enumerate(names)}
    places: dict[tuple[str, ...], NDArray[np.intp]] = {}
    shape = (len(fits), len(names))
    relative, swing, level = (np.full(shape, np.nan) for _ in range(3))
    varies, lazy = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for n, one in enumerate(fits):
        to = places.get(one.track.names)
        if to is None:
            to = places[one.track.names] = np.array([index[name] for name in one.track.names], dtype=np.intp)
        relative[n, to], swing[n, to], level[n, to] = one.relative, one.swing, one.first
        varies[n, to], lazy[n, to] = one.varies, one.track.reclaimable
    effects = node_effects(relative, others_greatest(swing), varies, lazy)
    usual = 2 * varies.sum(axis=0) >= len(fits)
    scales = node_scales(level[:, usual])
    for one, effect, scale in zip(fits, effects.tolist(), scales.tolist(), strict=True):
        one.effect, one.scale = effect, scale
    return fits
