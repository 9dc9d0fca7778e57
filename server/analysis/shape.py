"""When a rise began, and what it looks like: steady, in stairs, accelerating, with the load, or stopped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.analysis.follow import follows
from server.analysis.medians import medians, midst
from server.analysis.trend import quantum, theil_sen
from server.analysis.types import Shape

__all__ = ["bend", "is_over", "leaks_again", "levels_off", "onset", "restarted", "shape_of", "slackens"]

Floats = NDArray[np.float64]

FASTER = 1.6
"""The last third of an accelerating rise is so many times as fast as its first."""
OVER = 0.3
LEVELLING = 2.7
"""See levels_off: between a straight line and a filling cache."""
HOUR = 3600.0
BENT, LEAST_BENT, LONG_BENT, BENT_HOURS, FEWEST_BENT, DOUBT = 0.05, 0.03, 0.2, 4.0, 6, 0.5
"""See slackens: the most bend of a leak, in a rise of four hours, in the shortest of an hour and more, and in the
longest, which the day's load and the stairs' next step bend; told from no fewer cells after the onset. Of the bend's
standard error so much counts against a rise that is an hour old and can be looked at again; in a shorter one all of it
counts for the rise."""
AT_ONCE, LITTLE = 0.6, 0.25
"""See restarted."""
FEWEST_AGAIN, LATE_CELLS, AS_FAST, NEARLY = 3, 8, 0.2, 0.1
"""See leaks_again: cells that tell what was before the restart, the most that are asked, how fast they rose beside
those after it (noise at rest does so by a few percent), and how near to the least, of all that was held."""
MOST, FLAT, VERY_FLAT = 0.55, 0.35, 0.6
"""Stairs: least share of the rise in a third of the increments, and of the increments that are next to nothing; beyond
the last also stairs of a slab or two."""


def onset(t: Floats, y: Floats) -> int:
    """The index of the cell from which y rises: the break of the best line that is flat before and sloped after.

    Least absolute deviations over all breaks; the flat part is the median of what lies before. 0 when the rise
    precedes the data. At least four cells lie after it.
    """
    after, places = t[None, :] - t[:, None], np.arange(len(t))
    bases = medians(np.where(places <= places[:, None], y, np.nan))
    bases[0] = y[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = medians(np.where(places > places[:, None], (y - bases[:, None]) / after, np.nan))
    rates[0] = theil_sen(t, y[:, None])[0]
    bases[0] = midst(y - rates[0] * after[0])
    before = y - bases[:, None]
    before, since = np.abs(before), np.abs(before - rates[:, None] * after)
    best, cost = 0, np.inf
    costs = np.where(places < places[:, None], before, since).sum(axis=1)
    for k, total in enumerate(costs[: max(len(t) - 3, 1)].tolist()):
        if total < cost * 0.98:
            best, cost = k, total
    return best


def shape_of(t: Floats, y: Floats, load: Floats | None = None) -> Shape:
    """The shape of a rise from its onset on: y [K] bytes at t [K] seconds; `load` [K] is follow.node_load's."""
    if len(t) < 8:
        return "steady"
    thirds = np.array_split(np.arange(len(t)), 3)
    rates = [float(theil_sen(t[p], y[p, None])[0]) for p in thirds]
    total = float(y[-1] - y[0])
    if total <= 0:
        return "steady"
    mean = total / float(t[-1] - t[0])
    if rates[2] < 0.1 * mean:
        return "stopped"
    if load is not None and follows(t, y, load):
        return "load"
    if rates[0] < rates[1] < rates[2] and rates[2] > FASTER * max(rates[0], 0.0):
        return "accelerating"
    return "stairs" if _in_stairs(y, total) else "steady"


def _in_stairs(y: Floats, total: float) -> bool:
    """Whether most of the rise lies in a third of the increments, and many of the others are nothing.

    A slow leak takes a new slab now and then: where the greatest increment is but a slab or two, more must be nothing.
    """
    change = np.diff(y)
    order = np.sort(change)[::-1]
    few = max(2, len(change) // 3)
    flat = (np.abs(change) < 0.1 * order[0]).mean()
    tall = order[0] > 3 * quantum(y[:, None])[0] or flat > VERY_FLAT
    return bool(order[:few].sum() > MOST * total and flat > FLAT and tall)


def is_over(t: Floats, y: Floats) -> bool:
    """Whether the rise of y [K] at t [K] is over before they end: so far, a burst that stays, as a task makes.

    Since its onset, its last third then grew at less than 0.3 of the mean rate.
    """
    known = np.isfinite(y)
    t, y = t[known], y[known]
    begin = onset(t, y)
    t, y = t[begin:], y[begin:]
    third = len(t) - len(t) // 3 - 1
    if len(t) < 8 or y[-1] <= y[0]:
        return False
    return bool((y[-1] - y[third]) / (t[-1] - t[third]) < OVER * (y[-1] - y[0]) / (t[-1] - t[0]))


def slackens(t: Floats, y: Floats, doubt: float = DOUBT) -> float:
    """How much the rise of y [K] bytes at t [K] seconds slows, as that of a filling cache; from 1 on it is no leak's.

    The rise's bend (see `bend`) from a twentieth of it to nineteen twentieths (what is flat from then on
    may have stopped), over the most that a leak shows. 0 where there are too few cells to tell.
    """
    known = np.isfinite(y)
    t, y = t[known], y[known]
    if len(y) < FEWEST_BENT:
        return 0.0
    stop = int(np.searchsorted(np.maximum.accumulate(y), y.min() + 0.95 * (midst(y[-2:]) - y.min()))) + 1
    t, y = t[:stop], y[:stop]
    begin = onset(t, y)
    # The best break lies early where a rise slows at once: what is flat before it would straighten the curve.
    first = int(np.argmax(y[begin:] > y[begin] + 0.05 * (y[-1] - y[begin])))
    t, y = t[begin + max(first - 1, 0) :], y[begin + max(first - 1, 0) :]
    if len(y) < FEWEST_BENT:
        return 0.0
    most, error = bend(t, y)
    hours = float(t[-1] - t[0]) / HOUR
    if hours < 1.0:
        return (most - error) / BENT
    return (most + doubt * error) / min(max(LEAST_BENT, BENT * hours / BENT_HOURS), LONG_BENT)


def bend(t: Floats, y: Floats) -> tuple[float, float]:
    """How much of the rise of y [K] at t [K] is done half-way, beyond one half, by a parabola; and its standard error.

    0 for a straight line, 0.12 for 1 - exp(-t) after one time constant, 0.24 after two; negative for what accelerates.
    Least squares; of K even samples that stray by s from it the parabola's sagitta errs by s sqrt(180 / K) / 4.
    """
    share = (t - t[0]) / (t[-1] - t[0])
    square, slope, base = np.polyfit(share, y, 2)
    rise = square + slope
    if rise <= 0:
        return 0.0, 0.0
    strays = float(np.sqrt(np.sum((y - base - slope * share - square * share**2) ** 2) / max(len(y) - 3, 1)))
    return float(-0.25 * square / rise), strays * float(np.sqrt(180.0 / len(y))) / 4 / float(rise)


def restarted(y: Floats) -> int:
    """The cell of y [K] from which a leaker that was restarted began anew; 0 if none was.

    Within two cells it gave back AT_ONCE of what it held above its least level, and LITTLE of what it ever did.
    """
    if len(y) < 3:
        return 0
    least, most = np.minimum.accumulate(y), np.maximum.accumulate(y)
    fell = np.maximum(y[1:-1], y[:-2]) - y[2:]
    deep = (fell > AT_ONCE * (most - least)[2:]) & ((most - least)[2:] > LITTLE * (most - least)[-1])
    found = np.flatnonzero(deep) + 2
    last = found[found > found[-1] - 2] if len(found) else found
    return int(last[np.argmin(y[last])]) if len(last) else 0


def leaks_again(y: Floats) -> int:
    """The cell of y [K] from which a leak runs again that a restart gave back; 0 if it is no such.

    It fell once so deep (see `restarted`), to about the least it had held, and rose before, where that is known, and at
    once after that: what filled up rests before it is given back, and a job gives back again and again, or waits for
    its next turn.
    """
    anew = restarted(y)
    before, since = y[: max(anew - 1, 0)], y[anew:]
    quarter = len(since) // 4
    if not len(before) or not quarter:
        return 0
    least, held = float(before.min()), float(before.max() - min(before.min(), since.min()))
    fell = y[:-1] - y[1:] > LITTLE * held
    once = not (fell[: anew - 2].any() or fell[anew:].any())
    at_once = since[quarter] - since[0] > AT_ONCE * quarter / len(since) * np.ptp(since)
    rose = len(before) < FEWEST_AGAIN or _pace(before[-LATE_CELLS:]) > AS_FAST * _pace(since)
    return anew if once and rose and at_once and float(since.min()) <= least + NEARLY * held else 0


def _pace(y: Floats) -> float:
    """By how much y [K] rises from cell to cell."""
    return float(theil_sen(np.arange(len(y), dtype=np.float64), y[:, None])[0])


def levels_off(t: Floats, y: Floats, *, rests: bool = True) -> bool:
    """Whether a rise of y [K] at t [K] slowed on the way: it fills, or filled and did not just stop.

    `rests`: it has come to rest, so that its last quarter tells the level that it reached.

    The time from a tenth of the rise to nine tenths, over that to its half: 2 in a straight line, 3.4 for 1 - exp(-3 t)
    up to its limit.
    """
    few = max(2, len(y) // 4) if rests else 2
    top, peak = midst(y[-few:]), np.maximum.accumulate(y)
    base = float(y.min())
    if top <= base:
        return False
    tenth, half, most = (float(np.interp(base + share * (top - base), peak, t)) for share in (0.1, 0.5, 0.9))
    return most - tenth > LEVELLING * (half - tenth)
