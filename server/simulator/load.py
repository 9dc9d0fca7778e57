"""What a simulated node has to do at every instant: the factors that move its caches, and when memory gets short."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.simulator.catalogue import Factor
from server.simulator.node import NodeSpec, Shift
from server.simulator.processes import DAY, HOUR, bursts, day, episodes, generator, wander

__all__ = ["NodeLoad", "node_load"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """One node's doings over all its instants."""

    factors: dict[Factor, Floats]
    """[T] each, about 1 on an ordinary node."""
    pressure: tuple[tuple[float, float], ...]
    """(epoch, share of the reclaimable objects that go), by time."""


def node_load(spec: NodeSpec, time: Floats, *, seed: int, start: float) -> NodeLoad:
    """`time` [T] are the node's instants, `start` the fleet's (epoch seconds)."""
    rng = generator(seed, spec.name, "load")
    noise = rng.standard_normal((len(time), 6))
    tau = np.array([1200.0, 6 * HOUR, 900.0, 5 * HOUR, 2400.0, 7 * HOUR])
    paths = wander(noise, time, tau) * spec.restless
    rhythm = day(time, phase_hours=spec.phase_hours, depth=spec.depth, weekend=spec.weekend)
    peaks = bursts(rng, time, per_day=4, height=0.5, minutes=10)
    net = rhythm * np.exp(0.12 * paths[:, 0] + 0.10 * paths[:, 1]) + peaks
    chores = bursts(rng, time, per_day=6, height=0.7, minutes=8)
    io = (0.4 + 0.6 * rhythm) * np.exp(0.18 * paths[:, 2] + 0.10 * paths[:, 3]) + 0.5 * peaks + chores
    walks = bursts(rng, time, per_day=5, height=6.0, minutes=6)
    file = (0.3 + 0.7 * rhythm) * np.exp(0.30 * paths[:, 4] + 0.20 * paths[:, 5]) + walks + _nightly(time, spec)
    tenants = episodes(rng, time, per_day=7, hours=2.5, size=0.03) * spec.restless
    proc = 0.92 + 0.08 * rhythm + tenants + 0.04 * peaks
    factors: dict[Factor, Floats] = {
        "none": np.ones_like(time),
        "net": net * spec.busy,
        "io": io * spec.busy,
        "file": file * spec.busy,
        "proc": proc * (0.7 + 0.3 * spec.busy),
    }
    for shift in spec.shifts:
        factors[shift.factor] = factors[shift.factor] * _shifted(time, shift, start)
    span = max((time[-1] - time[0]) / DAY, 0.0)
    moments = time[0] + np.sort(rng.uniform(0, time[-1] - time[0], rng.poisson(spec.pressure_per_day * span)))
    return NodeLoad(factors, tuple((float(at), float(rng.beta(2, 2.5))) for at in moments))


def _nightly(time: Floats, spec: NodeSpec) -> Floats:
    """The cron job that walks the file system at 06:25, half an hour long, a bit later on every node."""
    minute = (time / 60 - spec.phase_hours) % 1440
    return np.where((minute >= 385) & (minute < 415), 8.0, 0.0)


def _shifted(time: Floats, shift: Shift, start: float) -> Floats:
    done = np.clip((time - start - shift.at * HOUR) / (shift.over * HOUR), 0.0, 1.0)
    if shift.until is not None:
        done = done * np.clip(1 - (time - start - shift.until * HOUR) / (shift.over * HOUR), 0.0, 1.0)
    return 1 + (shift.ratio - 1) * done
