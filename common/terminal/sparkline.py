"""A series as one line of text; where nothing is known there is a blank."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from math import ceil, isfinite

__all__ = ["sparkline"]

_BLOCKS, _PLAIN = "▁▂▃▄▅▆▇█", "_.,-~=*#"

Point = tuple[float, float | None]


def sparkline(
    points: Sequence[Point],
    width: int,
    *,
    start: float | None = None,
    end: float | None = None,
    span: float = 0.0,
    unicode: bool = True,
) -> str:
    """The (time, value) points in `width` characters, left to right in time; empty when there is no value.

    `start` and `end` (default: the points' own) are the times at the two edges. The lowest value is the bottom; the
    top lies `span` above it, or at the highest value where that is more: give several lines one span to compare them.
    """
    known = [(time, value) for time, value in points if value is not None and isfinite(value)]
    if not known or width < 1:
        return ""
    first = known[0][0] if start is None else start
    last = known[-1][0] if end is None else end
    length = last - first

    def place(time: float) -> int:
        return min(int(min(max((time - first) / length, 0.0), 1.0) * width), width - 1) if length > 0 else 0

    slots: list[list[float]] = [[] for _ in range(width)]
    for time, value in known:
        slots[place(time)].append(value)
    means = [sum(slot) / len(slot) if slot else None for slot in slots]
    missing = {place(time) for time, value in points if value is None}
    _bridge(means, _most_empty(known, length, width), missing)
    shown = [value for value in means if value is not None]
    low = min(shown)
    height = max(span, max(shown) - low)
    levels = _BLOCKS if unicode else _PLAIN
    return "".join(" " if value is None else levels[_level(value - low, height, len(levels))] for value in means)


def _level(above: float, height: float, levels: int) -> int:
    return min(int(above / height * levels), levels - 1) if height > 0 else 0


def _most_empty(known: Sequence[tuple[float, float]], length: float, width: int) -> int:
    """Empty characters between two neighbouring points that are no gap: one point may be left out, as thinning does."""
    steps = sorted(after[0] - before[0] for before, after in pairwise(known))
    return ceil(min(2 * steps[len(steps) // 2] / length, 1.0) * width) - 1 if steps and length > 0 else 0


def _bridge(means: list[float | None], most: int, missing: AbstractSet[int]) -> None:
    """Holds a value over characters that are empty only because points lie so far apart; a real gap stays."""
    at = 0
    while at < len(means):
        if means[at] is not None:
            at += 1
            continue
        stop = next((i for i in range(at, len(means)) if means[i] is not None), len(means))
        if at > 0 and stop < len(means) and stop - at <= most and missing.isdisjoint(range(at, stop)):
            means[at:stop] = [means[at - 1]] * (stop - at)
        at = stop
