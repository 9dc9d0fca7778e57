"""Slow, obvious versions of the statistics: what the fast ones in server.analysis are held against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from statistics import median

__all__ = [
    "benjamini_hochberg",
    "correlation",
    "curve",
    "floor_rise",
    "jumps",
    "keeps",
    "known_median",
    "look",
    "quantum",
    "robust_spread",
    "theil_sen",
    "warm_up",
    "whole_median",
    "without_shared",
]


def theil_sen(t: Sequence[float], y: Sequence[float]) -> float:
    known = [(a, b) for a, b in zip(t, y, strict=True) if not math.isnan(b)]
    slopes = [(y2 - y1) / (t2 - t1) for (t1, y1), (t2, y2) in combinations(known, 2)]
    return median(slopes) if slopes else math.nan


def quantum(y: Sequence[float]) -> float:
    changes = [abs(b - a) for a, b in pairwise(y) if not math.isnan(b - a) and b != a]
    return min(changes, default=0.0)


def known_median(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return median(known) if known else math.nan


def floor_rise(y: Sequence[float]) -> float:
    few = max(len(y) // 3, 1)
    first = [v for v in y[:few] if not math.isnan(v)]
    last = [v for v in y[-few:] if not math.isnan(v)]
    if not first or not last or len(y) == few:
        return math.nan
    return (min(last) - min(first)) * len(y) / (len(y) - few)


def correlation(a: Sequence[float], b: Sequence[float]) -> float:
    ma, mb = sum(a) / len(a), sum(b) / len(b)
    top = sum((x - ma) * (y - mb) for x, y in zip(a, b, strict=True))
    bottom = math.sqrt(sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b))
    return top / bottom if bottom else 0.0


def _without_apart(
    values: Sequence[float], errors: Sequence[float], enough: int, apart: float
) -> tuple[Sequence[float], Sequence[float]]:
    if len(values) < enough:
        return values, errors
    ordered = sorted(values)
    gap, last = max((b - a, -k) for k, (a, b) in enumerate(pairwise(ordered)) if k >= len(values) // 2)
    top = ordered[-last]
    if gap <= apart * (top - ordered[0]):
        return values, errors
    kept = [k for k, value in enumerate(values) if value <= top]
    return [values[k] for k in kept], [errors[k] for k in kept]


def robust_spread(
    values: Sequence[float], errors: Sequence[float], widen: dict[int, float], enough: int, apart: float
) -> tuple[float, float]:
    values, errors = _without_apart(values, errors, enough, apart)
    middle = median(values)
    if len(values) == 1:
        return middle, max(abs(middle), widen[1] * errors[0])
    mad = 1.4826 * median(abs(v - middle) for v in values)
    return middle, max(mad, median(errors)) * widen.get(len(values), 1.0)


def benjamini_hochberg(p: Sequence[float], tests: int, least: float) -> list[float]:
    ordered = sorted(p)
    result = []
    for value in p:
        worse = [(rank, other) for rank, other in enumerate(ordered, 1) if other >= value]
        result.append(max(least, min([1.0, *(other * tests / rank for rank, other in worse)])))
    return result


def warm_up(age: float) -> float:
    fifth = age / 5
    if fifth < 120:
        return 120.0
    return 7200.0 if fifth > 7200 else fifth


def whole_median(values: Sequence[float]) -> float:
    return math.nan if any(math.isnan(v) for v in values) else median(values)


def look(y: Sequence[float]) -> tuple[float, float, float, float]:
    """Level at first and last, growth over level and greatest movement over level of one series' cells."""
    few = max(2, len(y) // 4)
    first, last, middle = whole_median(y[:few]), whole_median(y[-few:]), whole_median(y[:: max(len(y) // 8, 1)])
    known = [v for v in y if not math.isnan(v)]
    moved = max(known, default=math.nan) - min(known, default=math.nan)
    relative = (last - first) / first if first > 0 else 0.0 if first == last else math.nan
    return first, last, relative, moved / middle if middle else math.nan


def jumps(t: Sequence[float], y: Sequence[float], factor: float, fewest: int, most: float, gap: float) -> list[float]:
    known = [v for v in y if not math.isnan(v)]
    times = [when for when, v in zip(t, y, strict=True) if not math.isnan(v)]
    if len(known) < fewest:
        return []
    smooth = []
    for k in range(len(known)):
        around = [known[min(max(j, 0), len(known) - 1)] for j in range(k - 2, k + 3)]
        smooth.append(median(around))
    changes = [b - a for a, b in pairwise(smooth)]
    usual = median([abs(change) for change in changes])
    least = min([abs(b - a) for a, b in pairwise(known) if a != b], default=0.0)
    limit = max(factor * usual, min(2 * least, most))
    apart = [b - a for a, b in pairwise(times)]
    near = [seconds < gap * median(apart) for seconds in apart]
    return [change if abs(change) > limit and close else 0.0 for change, close in zip(changes, near, strict=True)]


def straightened(y: Sequence[float]) -> list[float]:
    """y less its least-squares line over evenly spaced instants."""
    t = [2 * k - (len(y) - 1) for k in range(len(y))]
    mean, power = sum(y) / len(y), sum(a * a for a in t)
    slope = sum(a * b for a, b in zip(t, y, strict=True)) / power if power else 0.0
    return [b - mean - slope * a for a, b in zip(t, y, strict=True)]


def curve(cells: Mapping[int, float]) -> dict[int, float]:
    """What one node's series does besides a line, in shares of its level; what is not wholly known stands still."""
    y = list(cells.values())
    mean = sum(map(abs, y)) / len(y) if y else 0.0
    if not mean or math.isnan(mean):
        return dict.fromkeys(cells, 0.0)
    return dict(zip(cells, [b / mean for b in straightened(y)], strict=True))


def without_shared(own: Mapping[int, float], others: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """One node's cells by number, less as much as it follows of the curve that the others have in common."""
    curves = [curve(cells) for cells in others]
    known = [[one[cell] for one in curves if cell in one] for cell in own]
    common = straightened([median(values) if len(values) >= 2 else 0.0 for values in known])
    y = list(own.values())
    power = sum(c * c for c in common)
    if not power or any(map(math.isnan, y)):
        return dict(own)
    share = sum(a * c for a, c in zip(straightened(y), common, strict=True)) / power
    level = min(y) if min(y) > 0 else sum(map(abs, y)) / len(y)
    share = min(max(share, 0.0), 8 * level)
    return {cell: b - share * c for (cell, b), c in zip(own.items(), common, strict=True)}


def upward_bend(t: Sequence[float], y: Sequence[float]) -> list[float]:
    """What a parabola through y at t has beyond its straight line, by Gram and Schmidt; 0 where it bends down."""
    x = centred([a - t[0] for a in t])
    square = centred([a * a for a in x])
    along = sum(a * b for a, b in zip(x, square, strict=True)) / sum(a * a for a in x)
    parabola = [b - along * a for a, b in zip(x, square, strict=True)]
    much = sum(a * b for a, b in zip(parabola, y, strict=True)) / sum(a * a for a in parabola)
    return [max(much, 0.0) * a for a in parabola]


def centred(y: Sequence[float]) -> list[float]:
    """y less its mean."""
    return [b - sum(y) / len(y) for b in y]


def keeps(raw: list[float], cleaned: list[float], lost: float) -> bool:
    """Whether the floor rises by four of the least changes or more, and never falls by more than that share of it."""
    rise = floor_rise(cleaned)
    known = [v for v in cleaned if not math.isnan(v)]
    fall = max(max(known[: k + 1]) - v for k, v in enumerate(known))
    steps = [abs(b - a) for a, b in pairwise(raw) if abs(b - a) > 0]
    return rise > 0 and fall <= lost * rise and rise >= 4 * min(steps, default=0.0)
