"""What the other nodes' same cache did: leave-one-out, with a spread that is never zero."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.analysis.medians import medians

__all__ = ["SCALE_UNKNOWN", "WIDENED", "Peers", "compare_to_peers", "robust_spread", "robust_spreads", "scales_to"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

WIDENED = {1: 2.0, 2: 1.7, 3: 1.5, 4: 1.36, 5: 1.2}
"""By how much the spread of so few peers is taken larger: a MAD of few is too small (by 1.2, 1.5, 1.36, 1.2 for 2 to 5,
Croux and Rousseeuw 1992), and of one or two hardly known."""
_WIDENED = np.array([1.0, *WIDENED.values(), 1.0])
ENOUGH, APART = 8, 3.0
"""Of so many peers those may be left out that rose apart from the rest, by so many times what the rest spans."""
SCALE_UNKNOWN = 10.0
"""A peer's figures are scaled up by no more than this to a level or noise of which the peer has none."""


@dataclass(frozen=True, slots=True)
class Peers:
    """The peers' growth over the candidate's span, in bytes, scaled to the candidate's level."""

    count: int
    rate: float
    """The median of the peers' own growth, unscaled."""
    median: float
    spread: float
    """A standard deviation; positive wherever any series has an error."""


def robust_spreads(values: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Median and robust standard deviation [S] of each row of values [S, P] that each have an error of their own.

    The spread is the MAD as a standard deviation, no less than the median error, widened for small numbers; one value
    alone spreads by its own distance from zero. Entries that are NaN (in both) are left out, and so are the greatest,
    fewer than half, that lie APART: the MAD of six that stand still and five that leak is the distance of the farthest
    of the six. NaN where none is left.
    """
    values = np.where(_apart(values), np.nan, values)
    errors = np.where(np.isnan(values), np.nan, errors)
    count = np.isfinite(values).sum(axis=1)
    middle, error = medians(values), medians(errors)
    mad = 1.4826 * medians(np.abs(values - middle[:, None]))
    spread = np.maximum(mad, error) * _WIDENED[np.minimum(count, len(_WIDENED) - 1)]
    return middle, np.where(count == 1, np.maximum(np.abs(middle), WIDENED[1] * error), spread)


def _apart(values: Floats) -> Bools:
    """[S, P] which values of each row [S, P] lie above the widest gap over its median, if that gap is wide enough."""
    apart = np.zeros(values.shape, dtype=np.bool_)
    count = np.isfinite(values).sum(axis=1)
    rows = np.flatnonzero(count >= ENOUGH)
    if len(rows):
        ordered, below = np.sort(values[rows], axis=1), count[rows, None] // 2
        gaps = np.diff(ordered, axis=1)
        gaps[(np.arange(gaps.shape[1]) < below) | np.isnan(gaps)] = -1.0
        last, here = gaps.argmax(axis=1), np.arange(len(rows))
        top = ordered[here, last]
        wide = gaps[here, last] > APART * (top - ordered[:, 0])
        apart[rows[wide]] = values[rows[wide]] > top[wide, None]
    return apart


def robust_spread(values: Floats, errors: Floats) -> tuple[float, float]:
    """The same of one set of values [P]."""
    middle, spread = robust_spreads(values[None], errors[None])
    return float(middle[0]), float(spread[0])


def compare_to_peers(growth: Floats, errors: Floats, scales: Floats) -> Peers:
    """The peers' side for one candidate: `growth` and `errors` [N] of the peers (bytes), scaled by `scales` [N]."""
    if not len(growth):
        return Peers(0, math.nan, math.nan, math.nan)
    median, spread = robust_spread(growth * scales, errors * scales)
    return Peers(len(growth), float(np.median(growth)), median, spread)


def scales_to(level: Floats | float, noise: Floats | float, levels: Floats, noises: Floats, bigger: Floats) -> Floats:
    """By how much the peers' figures [..., P] must be scaled up to nodes with these `level` and `noise` [..., 1].

    A bigger, busier node grows and wavers more. What it holds more of is put down to its size as far as it also
    wavers more in it, or holds more of every cache (`bigger` [..., P], the ratio over all caches); what it merely holds
    more of may be a leak. Never below 1; a bound on what is known would take the day's swing of a node that has fifty
    times its peers' connections for a leak.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        by_level = np.where(levels > 0, level / levels, np.where(level > 0, SCALE_UNKNOWN, 1.0))
        by_noise = np.where(noises > 0, noise / noises, np.where(noise > 0, SCALE_UNKNOWN, 1.0))
    return np.asarray(np.maximum(np.minimum(by_level, np.maximum(by_noise, bigger)), 1.0))
