"""How many objects a leak has lost by an instant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.simulator.node import Leak
from server.simulator.processes import HOUR, generator

__all__ = ["lost_objects"]

Floats = NDArray[np.float64]


def lost_objects(  # noqa: PLR0913 - its one caller names every argument
    leak: Leak, size: int, time: Floats, load: Floats, *, start: float, end: float, booted: float, seed: int, node: str
) -> Floats:
    """[T] objects of `size` bytes lost in this boot. `start` and `end` (epoch) are the fleet's, `load` is [T]."""
    onset = start + leak.at * HOUR
    stop = end if leak.until is None else start + leak.until * HOUR
    rate = leak.bytes_per_hour / size / HOUR
    rng = generator(seed, node, "leak", leak.cache, int(booted))
    before = max(0.0, min(time[0], stop) - max(onset, booted)) * rate
    edges = np.concatenate([[time[0]], time])
    if leak.shape == "stairs":
        expected = _stairs(leak, edges, onset, stop, rate, rng)
    else:
        active = np.clip(edges, onset, max(onset, stop))
        if leak.shape == "accelerating":
            span = max(stop - onset, 1.0)
            expected = np.diff(rate * (active - onset) ** 2 / span)
        else:
            expected = rate * np.diff(active)
        if leak.shape == "load":
            expected = expected * load / max(float(load.mean()), 1e-9)
    lost = np.cumsum(rng.poisson(np.maximum(expected, 0.0))).astype(np.float64)
    lost += float(rng.poisson(before))
    if leak.restart is not None:
        again = int(np.searchsorted(time, start + leak.restart * HOUR))
        lost[again:] -= lost[again - 1] if again else 0.0
    return lost


def _stairs(leak: Leak, edges: Floats, onset: float, stop: float, rate: float, rng: np.random.Generator) -> Floats:
    """A job runs now and then for some minutes; all is lost in its runs."""
    expected = np.zeros(len(edges) - 1)
    period = leak.every * HOUR
    run = min(300.0, period / 8)
    at = onset + period * rng.uniform(0.2, 0.8)
    while at < min(stop, edges[-1]):
        begun = np.clip((edges - at) / run, 0.0, 1.0)
        expected += np.diff(begun) * rate * period
        at += period * rng.uniform(0.8, 1.2)
    return expected
