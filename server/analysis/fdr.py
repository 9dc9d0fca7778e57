"""How many of so many tests would look like this by chance: a measured tail and Benjamini-Hochberg q-values."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["chance", "q_values", "q_values_apart"]

LONG, SHORT = (1e-7, 2.0), (1e-6, 1.3)
"""(share of healthy series at score 6, fall of its logarithm for each unit of score), see `chance`."""
LEAST = 1e-4
"""No q-value is given below this: the null series that the scores were calibrated on can show no less."""


def chance(score: float, *, short: bool) -> float:
    """The share of healthy series that reach this score and pass every gate: an exponential fitted to simulated ones.

    `short`: over a span that holds no whole day, where load and wander are harder to tell from a leak. The fits and
    their figures stand in docs/analysis.md.
    """
    at_six, fall = SHORT if short else LONG
    return min(1.0, at_six * math.exp(-fall * (max(score, -20.0) - 6.0)))


def q_values(p: Sequence[float], tests: int, least: float = LEAST) -> list[float]:
    """Benjamini-Hochberg q-values, in the order of `p`, when `tests` were made and the others were far from it."""
    order = sorted(range(len(p)), key=p.__getitem__)
    tests = max(tests, len(p))
    q = [1.0] * len(p)
    running = 1.0
    for rank in range(len(order), 0, -1):
        index = order[rank - 1]
        running = min(running, p[index] * tests / rank)
        q[index] = max(running, least)
    return q


def q_values_apart(p: Sequence[float], apart: Sequence[bool], tests: int) -> list[float]:
    """The same of two kinds of signs, those set `apart` and the others, neither of which counts for the other."""
    q = [1.0] * len(p)
    for kind in (False, True):
        own = [number for number, of_kind in enumerate(apart) if of_kind == kind]
        for number, value in zip(own, q_values([p[number] for number in own], tests), strict=True):
            q[number] = value
    return q
