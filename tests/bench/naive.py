"""Slow, obvious forms of what the benchmark computes fast."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mann_kendall(values: Sequence[float]) -> float:
    """Kendall's S over its standard deviation with tie groups, continuity-corrected, pair by pair."""
    known = [value for value in values if not math.isnan(value)]
    n = len(known)
    s = sum((known[j] > known[i]) - (known[j] < known[i]) for i in range(n) for j in range(i + 1, n))
    variance = n * (n - 1) * (2 * n + 5) / 18
    for value in set(known):
        t = known.count(value)
        variance -= t * (t - 1) * (2 * t + 5) / 18
    if variance <= 0:
        return 0.0
    return (s - (s > 0) + (s < 0)) / math.sqrt(variance)


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def mad_score(values: Sequence[float], at: int, least: float) -> float:
    middle = median(values)
    return (values[at] - middle) / max(1.4826 * median([abs(value - middle) for value in values]), least)


def dbscan_noise(values: Sequence[float], eps: float, fewest: int) -> set[int]:
    """By the algorithm: clusters grow from core to core and take in what lies around; the rest is noise."""
    near = [{j for j, other in enumerate(values) if abs(value - other) <= eps} for value in values]
    cores = {i for i, around in enumerate(near) if len(around) >= fewest}
    clustered: set[int] = set()
    for core in cores:
        queue = [core]
        while queue:
            one = queue.pop()
            if one in clustered:
                continue
            clustered.add(one)
            if one in cores:
                queue += near[one]
    return set(range(len(values))) - clustered


def slope(time: Sequence[float], values: Sequence[float]) -> float:
    """Least squares over the known points."""
    points = [(t, y) for t, y in zip(time, values, strict=True) if not math.isnan(y)]
    mt, my = sum(t for t, _ in points) / len(points), sum(y for _, y in points) / len(points)
    return sum((t - mt) * (y - my) for t, y in points) / sum((t - mt) ** 2 for t, _ in points)
