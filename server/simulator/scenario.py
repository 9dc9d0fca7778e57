"""A scenario: a fleet to simulate, and the truth about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.simulator.fleet import FleetSpec
from server.simulator.node import Leak, LeakShape, NodeSpec
from server.simulator.processes import HOUR, generator

__all__ = ["Family", "Scenario", "Terms", "Truth"]


@dataclass(frozen=True, slots=True)
class Truth:
    """One leak that a report ought to name."""

    nodes: tuple[str, ...]
    caches: tuple[str, ...]
    """The leaking cache, then those in lockstep with it; by canonical name (`kmalloc-N` for its random copies)."""
    onset: float
    """Epoch seconds; may lie before the data."""
    bytes_per_hour: float
    """Of the first cache, mean while it leaks."""
    shape: LeakShape | str
    """`stopped` where it ended by itself."""
    lost_bytes: float
    """Of the first cache on one node, by the end of the data and within the last boot."""
    fleet: bool = False
    """Every node leaks: a fleet finding, not an outlier."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One fleet of one family."""

    family: str
    spec: FleetSpec
    truths: tuple[Truth, ...] = ()
    """Empty: nothing leaks, and nothing may be reported."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a scenario is asked for; families take their own randomness from `seed`."""

    seed: int
    hours: float = 24.0
    interval: float = 300.0
    """Seconds."""
    nodes: int = 6
    strength: float = 1.0
    """Multiplies the leak."""


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of fleet that a detector must judge right."""

    name: str
    about: str
    leaks: bool
    hard: bool
    build: Callable[[Terms], Scenario]
    least_hours: float = 0.0
    """Shorter windows cannot show it."""


def like_nodes(terms: Terms, *, count: int | None = None) -> tuple[NodeSpec, ...]:
    """Nodes that ought to behave alike, each a little different; `terms` says how many unless `count` does."""
    rng = generator(terms.seed, "nodes")
    return tuple(
        NodeSpec(
            f"lvs{i}",
            "lvs",
            size=1.0,
            busy=float(rng.lognormal(0, 0.12)),
            depth=float(rng.uniform(0.3, 0.5)),
            phase_hours=float(rng.normal(0, 0.4)),
            uptime_hours=float(rng.uniform(200, 2000)),
            pressure_per_day=float(rng.uniform(0.3, 3.0)),
        )
        for i in range(1, (terms.nodes if count is None else count) + 1)
    )


def truth_of(spec: FleetSpec, leak: Leak, size: int, *, reboot_hours: float = 0.0, fleet: bool = False) -> Truth:
    """The truth a leak makes; `size` bytes an object of the first cache, `reboot_hours` when its node last booted."""
    end = spec.hours if leak.until is None else min(leak.until, spec.hours)
    held = max(0.0, end - max(leak.at, reboot_hours))
    if leak.shape == "accelerating":  # the rate grows from nothing, so that what is lost goes with the square
        span = max((spec.hours if leak.until is None else leak.until) - leak.at, 1e-9)
        held = (end - leak.at) ** 2 / span - max(0.0, reboot_hours - leak.at) ** 2 / span
    return Truth(
        leak.nodes,
        (leak.cache, *(name for name, _ in leak.also)),
        spec.start + leak.at * HOUR,
        leak.bytes_per_hour,
        "stopped" if leak.until is not None and leak.until < spec.hours else leak.shape,
        float(int(leak.bytes_per_hour * held / size) * size),
        fleet,
    )
