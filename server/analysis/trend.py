"""How fast a floor rises, and how sure that is: Theil-Sen slopes with an uncertainty that knows of autocorrelation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from server.analysis.medians import medians
from server.analysis.windows import BRIEF, DAY

__all__ = [
    "Steps",
    "Trend",
    "block_floors",
    "convex",
    "drawdown",
    "fit",
    "floor_rise",
    "floors",
    "is_line",
    "is_straight",
    "quantum",
    "spread_of",
    "steps",
    "theil_sen",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trend:
    """One slope for each of C series; rates per second, the rest in the series' own unit."""

    rate: Floats
    """growth over the span of the times."""
    growth: Floats
    """The lesser of what the slope and the rise of the floor say (see `fit`)."""
    error: Floats
    """Standard error of `growth`; never below the series' quantum."""
    noise: Floats
    """Robust standard deviation of what the line leaves."""
    memory: Floats
    """Lag-one autocorrelation of what the line leaves, 0 to 0.95."""

    def take(self, columns: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Trend:
        """The trends of some of the series."""
        return Trend(
            self.rate[columns], self.growth[columns], self.error[columns], self.noise[columns], self.memory[columns]
        )


@dataclass(frozen=True, slots=True)
class Steps:
    """How a rise is spread over the window, for each of C series."""

    rising: Floats
    """Share of the increments between blocks that are above the noise."""
    largest: Floats
    """The largest increment as a share of the sum of the positive ones; 1 for a single step."""
    late: Floats
    """Rate of the second half over that of the first; below 1 it slows."""
    drawdown: Floats
    """The deepest fall of the floor below an earlier level."""


TOGETHER = 128
"""Series whose slopes are sorted at once: of more they would not fit into a processor's cache."""
EVEN = 3.0
"""A rise that never falls errs by no less than a third of what its distance from a straight line suggests."""
MANY = 24.0
"""Slabs from which on a rise that bends upwards is one that gets faster; fewer may come late by chance."""
STRAIGHT, EVENLY = 30.0, 1 / 3
"""See is_straight."""


def quantum(y: Floats) -> Floats:
    """The least change that occurs in each column of [K, C] (one slab), 0 where nothing changes."""
    change = np.abs(np.diff(y, axis=0))
    change = np.where((change > 0) & np.isfinite(change), change, np.inf)
    least = change.min(axis=0) if len(change) else np.full(y.shape[1], np.inf)
    return np.where(np.isfinite(least), least, 0.0)


def theil_sen(t: Floats, y: Floats) -> Floats:
    """The median of all pairwise slopes of each column of y [K, C] against t [K] (Theil 1950, Sen 1968).

    NaN entries are left out; a column with fewer than two gives NaN. t may be [K, C], too, as in `fit`.
    """
    if len(t) < 2:
        return np.full(y.shape[1], np.nan)
    i, j = _pairs(len(t))
    apart = (t[j] - t[i]).T
    found = np.empty(y.shape[1])
    for begin in range(0, len(found), TOGETHER):
        part = slice(begin, begin + TOGETHER)
        series = np.ascontiguousarray(y[:, part].T)
        slopes = series.take(j, axis=1)
        slopes -= series.take(i, axis=1)
        slopes /= apart[part] if t.ndim == 2 else apart
        found[part] = medians(slopes)
    return found


@lru_cache(maxsize=64)
def _pairs(length: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every place in so long a series, and every later one."""
    i, j = np.triu_indices(length, 1)
    return i, j


def floor_rise(y: Floats) -> Floats:
    """What each column of y [K, C] rose from the floor of its first third to that of its last, carried to the whole."""
    few = max(len(y) // 3, 1)
    first, last = np.fmin.reduce(y[:few], axis=0), np.fmin.reduce(y[-few:], axis=0)
    rise: Floats = (last - first) * (len(y) / (len(y) - few) if len(y) > few else 0.0)
    return rise


def fit(t: Floats, y: Floats, slab: Floats | None = None, *, faster: bool = False) -> Trend:
    """Growth and its uncertainty for each column of y [K, C] at t [K], or [K, C] where each has times of its own.

    The growth is the lesser of two measures, zero where they disagree in sign: Theil-Sen slope times span, and the
    rise of the floor from the first third to the last. A leak shows in both; what swings (a day's load) shows a slope
    for the part of the swing that the window happens to hold, but its floor comes back.

    The error of the growth over the span is noise x sqrt(12 / n) for n independent residuals; n is reduced to
    n (1 - r) / (1 + r) for residuals with lag-one autocorrelation r, itself corrected for the bias that detrending
    causes (Kendall 1954). A rise that is no straight line (stairs, a leak that began midway) would be called noise
    by that, so the error is no more than how far the series falls short of a monotone one, but at least a third.
    `slab` [C] is the least change of each series where y does not show it any more, see quantum. `faster` takes an
    upward bend over MANY slabs for a rise that gets faster, not for noise: not over hours, as a day's swing bends.
    """
    slope = theil_sen(t, y)
    span = t[-1] - t[0] if len(t) > 1 else np.float64(0.0)
    by_slope, by_floor = slope * span, floor_rise(y)
    growth = np.where(by_slope * by_floor > 0, np.sign(by_slope) * np.minimum(np.abs(by_slope), np.abs(by_floor)), 0.0)
    growth = np.where(np.isnan(by_slope) | np.isnan(by_floor), np.nan, growth)
    residual = y - slope * (t - t.mean(axis=0) if t.ndim == 2 else (t - t.mean())[:, None])
    slab = quantum(y) if slab is None else slab
    if faster:
        with np.errstate(invalid="ignore"):
            residual -= np.where(growth >= MANY * slab, convex(t, residual), 0.0)
    residual -= medians(residual.T)
    n = np.maximum(np.isfinite(residual).sum(axis=0), 1)
    noise = 1.4826 * medians(np.abs(residual).T)
    clipped = np.clip(np.nan_to_num(residual), -4 * noise, 4 * noise)
    power = (clipped**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        lag = np.where(power > 0, (clipped[1:] * clipped[:-1]).sum(axis=0) / power, 0.0)
    lag = np.clip(lag + (2 + 4 * np.maximum(lag, 0.0)) / n, 0.0, 0.95)
    least = 0.29 * slab
    noise = np.maximum(noise, least)
    effective = np.maximum(n * (1 - lag) / (1 + lag), 2.0)
    error = noise * np.sqrt(12.0 / effective)
    uneven = _unevenness(y)
    error, noise = (
        np.minimum(error, np.maximum(uneven, np.maximum(error / EVEN, least * np.sqrt(12.0 / n)))),
        np.minimum(noise, uneven + least),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(span > 0, growth / span, np.nan)
    return Trend(rate, growth, error, noise, lag)


def convex(t: Floats, y: Floats) -> Floats:
    """The upward bend of each column of y [K, C], which has no slope: by a parabola, 0 if it bends down."""
    x = t - t.mean(axis=0)
    bend = x**2
    bend -= bend.mean(axis=0)
    power = (x**2).sum(axis=0)
    bend -= x * ((x * bend).sum(axis=0) / np.where(power > 0, power, 1.0))
    bend = bend if bend.ndim == 2 else bend[:, None]
    size = (bend**2).sum(axis=0)
    much = np.nansum((y - medians(y.T)) * bend, axis=0) / np.where(size > 0, size, 1.0)
    return np.asarray(np.maximum(much, 0.0) * bend)


def _unevenness(y: Floats) -> Floats:
    """Root mean square distance of the highest so far from the lowest yet to come: 0 for what never falls."""
    highest = np.fmax.accumulate(y, axis=0)
    lowest = np.fmin.accumulate(y[::-1], axis=0)[::-1]
    return np.asarray(np.sqrt(np.mean((highest - lowest) ** 2, axis=0)))


def floors(y: Floats, starts: NDArray[np.intp]) -> Floats:
    """The least of each column of [K, C] in the runs of rows that begin at `starts`; as reduceat, many times faster.

    Consecutive runs of equal length are reduced at once: all but the first and the last of what comes regularly.
    """
    lengths = np.diff(starts, append=len(y))
    ends = [*(np.flatnonzero(np.diff(lengths)) + 1).tolist(), len(starts)]
    least = np.empty((len(starts), y.shape[1]))
    first = 0
    for last in ends:
        rows = y[starts[first] : starts[first] + lengths[first] * (last - first)]
        np.fmin.reduce(rows.reshape(last - first, lengths[first], -1), axis=1, out=least[first:last])
        first = last
    return least


def block_floors(y: Floats, blocks: int) -> Floats:
    """[blocks, C] the least value of each column in consecutive, equally long parts of [K, C]."""
    ends = np.linspace(0, len(y), blocks + 1).round().astype(int)
    return floors(y, ends[:-1])


def spread_of(floors: Floats) -> tuple[Floats, Floats]:
    """How a rise is spread over [blocks, C] floors: see Steps.largest and Steps.rising."""
    change = np.diff(floors, axis=0)
    up = np.maximum(change, 0.0)
    total = up.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = np.where(total > 0, up.max(axis=0) / total, 1.0)
    return largest, (change > 0.1 * total / max(len(floors) - 1, 1)).mean(axis=0)


def is_straight(length: float, growth: float, error: float, slab: float, largest: float) -> bool:
    """Whether a rise is a straight line, as what runs by itself makes and what many small causes make does not.

    `growth` over `length` seconds, its `error` and the least change `slab` in bytes: STRAIGHT times its error and MANY
    slabs at least, and no increment between its parts over EVENLY of it (see Steps.largest). Between an hour and a day
    there is no telling, as the day's load itself is straight for hours.
    """
    told = 0.0 < length < BRIEF or length >= DAY
    return told and is_line(growth, error, slab, largest)


def is_line(growth: float, error: float, slab: float, largest: float) -> bool:
    """The same of any length."""
    return growth >= max(STRAIGHT * error, MANY * slab) and largest <= EVENLY


def steps(t: Floats, y: Floats, blocks: int) -> Steps:
    """How the rise of each column of y [K, C] is spread over `blocks` equal parts."""
    largest, rising = spread_of(block_floors(y, blocks))
    half = len(t) // 2
    early, late = theil_sen(t[: half + 1], y[: half + 1]), theil_sen(t[half:], y[half:])
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(early > 0, late / early, np.where(late > 0, np.inf, 0.0))
    return Steps(rising, largest, ratio, drawdown(y))


def drawdown(y: Floats) -> Floats:
    """The deepest fall of each column of y [K, C] below an earlier level."""
    peak = np.maximum.accumulate(np.where(np.isnan(y), -np.inf, y), axis=0)
    drop = np.where(np.isnan(y), 0.0, peak - np.where(np.isnan(y), peak, y))
    return np.asarray(drop.max(axis=0))
