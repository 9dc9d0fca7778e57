"""How many of so many tests would look like this by chance: Student's t tail and Benjamini-Hochberg q-values."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["q_values", "t_tail"]

LEAST = 1e-4
"""No q-value is given below this: the null series that the scores were calibrated on can show no less."""


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    result = d
    for m in range(1, 300):
        for top in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + top * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + top / c
            c = c if abs(c) > tiny else tiny
            result *= c * d
        if abs(c * d - 1.0) < 1e-12:
            break
    return result


def t_tail(t: float, freedom: float) -> float:
    """P(T > t) for Student's t with `freedom` degrees of freedom."""
    if t <= 0:
        return 1.0 - t_tail(-t, freedom) if t < 0 else 0.5
    if math.isinf(t):
        return 0.0
    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    small = x < (a + 1) / (a + b + 2)
    beta = front * _fraction(a, b, x) / a if small else 1.0 - front * _fraction(b, a, 1.0 - x) / b
    return 0.5 * beta


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
