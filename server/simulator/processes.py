"""The random processes a simulated node is made of: wandering levels, bursts, tenants that come and go, the day."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["bursts", "day", "episodes", "generator", "hold", "wander"]

Floats = NDArray[np.float64]
HOUR = 3600.0
DAY = 86400.0


def generator(seed: int, *key: str | int) -> np.random.Generator:
    """A generator of its own for every key: what one node or cache draws never changes what another does."""
    words = [part if isinstance(part, int) else zlib.crc32(part.encode()) for part in key]
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, *words])))


def wander(noise: Floats, time: Floats, tau: Floats | float) -> Floats:
    """Ornstein-Uhlenbeck paths with unit variance from unit normals [T, ...]; `tau` is their memory in seconds."""
    path = np.empty_like(noise)
    path[:1] = noise[:1]
    gaps = np.diff(time).reshape(-1, *([1] * (noise.ndim - 1)))
    decay = np.exp(-gaps / tau)
    kick = np.sqrt(1 - decay**2) * noise[1:]
    for at in range(len(time) - 1):
        path[at + 1] = path[at] * decay[at] + kick[at]
    return path


def day(time: Floats, *, phase_hours: float, depth: float, weekend: float) -> Floats:
    """Relative load over the day (mean about 1, highest at 15:00 UTC plus phase) and the week.

    `depth` 0.4 makes the peak 1.4 times the mean; `weekend` is the level of Saturday and Sunday.
    """
    hours = time / HOUR - phase_hours
    curve = np.cos((hours - 15) * np.pi / 12) * 0.85 + np.cos((hours - 20) * np.pi / 6) * 0.15
    weekday = (time / DAY + 3) % 7  # 1970-01-01 was a Thursday; 0 is Monday's midnight
    midnight = weekend + (1 - weekend) / 3
    week = np.interp(weekday, [0, 0.2, 4.9, 5.2, 6.9, 7], [midnight, 1, 1, weekend, weekend, midnight])
    return (1 + depth * curve) * week


def bursts(rng: np.random.Generator, time: Floats, *, per_day: float, height: float, minutes: float) -> Floats:
    """Load on top: steep rises that decay, their height and length log-normal about the given ones."""
    total = np.zeros_like(time)
    lead = 6 * HOUR
    span = time[-1] - time[0] + lead
    for _ in range(rng.poisson(per_day * span / DAY)):
        at = time[0] - lead + rng.uniform(0, span)
        tall = height * rng.lognormal(0, 0.7)
        tau = minutes * 60 * rng.lognormal(0, 0.7)
        since = time - at
        total += np.where(since >= 0, tall * np.exp(-np.maximum(since, 0) / tau), 0.0)
    return total


def episodes(rng: np.random.Generator, time: Floats, *, per_day: float, hours: float, size: float) -> Floats:
    """Tenants that come and go: each adds a level (log-normal about `size`) for as long as it stays.

    Stays are log-normal about `hours`, so that some last for days; the lead-in makes the start stationary.
    """
    total = np.zeros_like(time)
    lead = hours * 8 * HOUR
    span = time[-1] - time[0] + lead
    for _ in range(rng.poisson(per_day * span / DAY)):
        at = time[0] - lead + rng.uniform(0, span)
        stay = hours * HOUR * rng.lognormal(0, 1.0)
        total += size * rng.lognormal(0, 0.6) * ((time >= at) & (time < at + stay))
    return total


def hold(need: Floats, time: Floats, tau: Floats) -> Floats:
    """A level that rises with `need` [T, C] at once and falls with the memory `tau` [C] (seconds) at most."""
    with np.errstate(divide="ignore"):
        lifted = np.log(need) + (time - time[0])[:, None] / tau
    held: Floats = np.exp(np.maximum.accumulate(lifted, axis=0) - (time - time[0])[:, None] / tau)
    return np.maximum(held, need)
