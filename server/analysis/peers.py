"""What the other nodes' same cache did: leave-one-out, with a spread that is never zero."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SCALE_MOST", "WIDENED", "Peers", "compare_to_peers", "robust_spread", "scales_to"]

Floats = NDArray[np.float64]

WIDENED = {1: 3.0, 2: 2.5, 3: 1.8, 4: 1.4, 5: 1.25}
"""By how much the spread of so few peers must be taken larger: the upper 90 % bound of what a MAD of n may hide."""
SCALE_MOST = 10.0
"""A peer's figures are scaled up to a bigger node's level by no more than this."""


@dataclass(frozen=True, slots=True)
class Peers:
    """The peers' growth over the candidate's span, in bytes, scaled to the candidate's level."""

    count: int
    rate: float
    """The median of the peers' own growth, unscaled."""
    median: float
    spread: float
    """A standard deviation; positive wherever any series has an error."""


def robust_spread(values: Floats, errors: Floats) -> tuple[float, float]:
    """Median and robust standard deviation of values that each have an error of their own.

    The spread is the MAD as a standard deviation, no less than the median error, widened for small numbers; one value
    alone spreads by its own distance from zero.
    """
    middle = float(np.median(values))
    error = float(np.median(errors))
    if len(values) == 1:
        return middle, max(abs(middle), WIDENED[1] * error)
    mad = 1.4826 * float(np.median(np.abs(values - middle)))
    return middle, max(mad, error) * WIDENED.get(len(values), 1.0)


def compare_to_peers(growth: Floats, errors: Floats, scales: Floats) -> Peers:
    """The peers' side for one candidate: `growth` and `errors` [N] of the peers (bytes), scaled by `scales` [N]."""
    if not len(growth):
        return Peers(0, math.nan, math.nan, math.nan)
    median, spread = robust_spread(growth * scales, errors * scales)
    return Peers(len(growth), float(np.median(growth)), median, spread)


def scales_to(level: float, noise: float, levels: Floats, noises: Floats, bigger: Floats) -> Floats:
    """By how much the peers' figures [N] must be scaled up to a node with this `level` and `noise` of the cache.

    A bigger, busier node grows and wavers more. What it holds more of is put down to its size as far as it also
    wavers more in it, or holds more of every cache (`bigger` [N], the ratio over all caches); what it merely holds
    more of may be a leak. Never below 1, at most SCALE_MOST.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        by_level = np.where(levels > 0, level / levels, SCALE_MOST if level > 0 else 1.0)
        by_noise = np.where(noises > 0, noise / noises, SCALE_MOST if noise > 0 else 1.0)
    return np.clip(np.minimum(by_level, np.maximum(by_noise, bigger)), 1.0, SCALE_MOST)
