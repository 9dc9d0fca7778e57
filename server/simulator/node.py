"""What a simulated node is, and what happens to it; hours count from the fleet's start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from server.simulator.catalogue import Factor

__all__ = ["Change", "Gap", "Leak", "LeakShape", "NodeSpec", "PageLeak", "Reboot", "Shift"]

LeakShape = Literal["steady", "stairs", "accelerating", "load"]


@dataclass(frozen=True, slots=True)
class Reboot:
    """The node goes down at `at` and comes up `minutes` later, on another kernel if one is named."""

    at: float
    minutes: float = 3.0
    kernel: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Caches of a node get another level for good or for a while: a burst that stays, a deploy, a setting, a job."""

    caches: tuple[str, ...]
    at: float
    ratio: float = 1.0
    """The level's multiple afterwards."""
    objects: float = 0.0
    """Objects on top afterwards."""
    over: float = 0.05
    """Hours the change takes."""
    until: float | None = None
    saturating: bool = False
    """Fast first, then ever slower, as a cache fills to its limit; else in a straight line."""
    with_load: bool = False
    """`over` counts hours of ordinary network work, so that it goes faster by day."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A factor of the node's load gets another level: traffic moved there, a backup job."""

    factor: Factor
    at: float
    ratio: float
    over: float = 0.1
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """No snapshots from `at` on: the agent was away. `late`: they arrive when it is back."""

    at: float
    until: float
    late: bool = False


@dataclass(frozen=True, slots=True)
class PageLeak:
    """Pages that are never given back and belong to no cache; /proc/meminfo alone shows them."""

    at: float
    bytes_per_hour: float
    in_slab: bool = False
    """Counted as unreclaimable slab, as kmalloc of more than two pages is; else as nothing."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One simulated node."""

    name: str
    group: str = "default"
    labels: tuple[tuple[str, str], ...] = ()
    size: float = 1.0
    """How much bigger it is than 8 GiB and 4 CPUs."""
    busy: float = 1.0
    """How much busier: multiplies network, I/O and file work."""
    kernel: str = "6.1"
    """A key of catalogue.KERNELS."""
    depth: float = 0.45
    """Of the day's rhythm."""
    phase_hours: float = 0.0
    weekend: float = 0.75
    uptime_hours: float = 900.0
    """At the fleet's start; less than nothing: it boots that much later, and is not heard of before."""
    pressure_per_day: float = 1.5
    """How often memory gets short and the kernel reclaims."""
    restless: float = 1.0
    """Multiplies how far levels wander."""
    jitter: float = 0.5
    """Seconds by which snapshots miss their instant."""
    dropped: float = 0.0
    """Share of snapshots that never come."""
    clock_steps: tuple[tuple[float, float], ...] = ()
    """(hour, seconds the clock is put forward)."""
    reboots: tuple[Reboot, ...] = ()
    changes: tuple[Change, ...] = ()
    shifts: tuple[Shift, ...] = ()
    gaps: tuple[Gap, ...] = field(default=())
    page_leaks: tuple[PageLeak, ...] = ()

    @property
    def cpus(self) -> int:
        return max(1, round(4 * self.size))

    @property
    def memory(self) -> int:
        """Bytes."""
        return int(8 * self.size * 2**30)


@dataclass(frozen=True, slots=True)
class Leak:
    """Objects that are never freed. What is lost is gone with the boot; the leak itself goes on after it."""

    nodes: tuple[str, ...]
    cache: str
    """By the name it has where it is not merged; a `kmalloc-N` goes into one of its random copies."""
    bytes_per_hour: float
    """Mean over the time from `at` to the end (or `until`)."""
    at: float = 0.0
    """Hour it starts; may lie before the fleet's start."""
    until: float | None = None
    shape: LeakShape = "steady"
    every: float = 2.0
    """`stairs`: hours between two runs of the job that leaks."""
    also: tuple[tuple[str, float], ...] = ()
    """(cache, objects lost there for each one of the first): lockstep."""
    restart: float | None = None
    """Hour at which who loses them is restarted, which gives back all that was lost until then."""
