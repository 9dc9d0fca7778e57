"""What a report got right and wrong, given the truth; and rates with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from server.analysis.identity import fold
from server.simulator.boot import BootRecord
from server.simulator.fleet import Fleet
from server.simulator.scenario import Scenario, Truth

__all__ = ["Claim", "Marks", "Rate", "Target", "floor_spread", "mark", "targets"]

Floats = NDArray[np.float64]
PARTS = 24
"""Equal parts of the window whose least values make its floor."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One finding of any method. `node` is None for the whole fleet."""

    node: str | None
    cache: str
    score: float
    q_value: float = math.nan
    names: tuple[str, ...] = ()
    """Other names that the finding gives: members and aliases."""


@dataclass(frozen=True, slots=True)
class Target:
    """One leak to be found: on one node, or on all of them."""

    node: str | None
    caches: frozenset[str]
    """Names that fit, as that node's kernel lists them, folded."""
    lost: float
    """Allocated bytes beside the healthy twin's, by the end, gained within the data and the last boot."""
    spread: float
    """Bytes, see floor_spread."""
    material: bool
    """Fast enough to matter; slower ones need not be found."""

    @property
    def size(self) -> float:
        """How often the lost bytes contain the spread."""
        return self.lost / self.spread


@dataclass(frozen=True, slots=True)
class Marks:
    """One report's marks."""

    ranks: tuple[int | None, ...]
    """Of every target: the place of its first claim in the report, None when missed."""
    false: tuple[Claim, ...]
    extra: int
    """Claims beyond the first for one leak."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` of `n`."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else math.nan

    def interval(self) -> tuple[float, float]:
        """Wilson's score interval (1927) of 95 %; (0, 1) when n is 0."""
        if not self.n:
            return 0.0, 1.0
        p, n, z = self.hits / self.n, self.n, 1.959964
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


def mark(claims: Sequence[Claim], wanted: Sequence[Target], *, immaterial: Iterable[Target] = ()) -> Marks:
    """Sets claims (the first one first) against the truth. A claim for a leaking node within a leak everywhere fits.

    Leaks too slow to matter, `immaterial`, may be named or not.
    """
    ranks: list[int | None] = [None] * len(wanted)
    false: list[Claim] = []
    extra = 0
    for place, claim in enumerate(claims, 1):
        fitting = [k for k, target in enumerate(wanted) if _fits(claim, target)]
        fresh = [k for k in fitting if ranks[k] is None and _whole(claim, wanted[k])]
        if fresh:
            ranks[fresh[0]] = place
        elif fitting:
            extra += 1
        elif not any(_fits(claim, target) for target in immaterial):
            false.append(claim)
    return Marks(tuple(ranks), tuple(false), extra)


def _whole(claim: Claim, target: Target) -> bool:
    """A leak on all nodes is found only when it is said of all of them."""
    return target.node is not None or claim.node is None


def _fits(claim: Claim, target: Target) -> bool:
    if claim.node != target.node and target.node is not None:
        return False
    return bool({fold(name) for name in (claim.cache, *claim.names)} & target.caches)


def targets(scenario: Scenario, fleet: Fleet, twin: Fleet, material: float) -> list[Target]:
    """The leaks of a scenario by node. `material` is the slowest rate that matters as a share of memory a second."""
    found = []
    for truth in scenario.truths:
        measured = [(node, *_measured(truth, fleet.record(node), twin.record(node))) for node in truth.nodes]
        matters = truth.bytes_per_hour / 3600 >= material * min(
            node.memory for node in scenario.spec.nodes if node.name in truth.nodes
        )
        if truth.fleet:
            lost, spread = (float(np.median([one[k] for one in measured])) for k in (1, 2))
            names = frozenset(name for node in truth.nodes for name in _listed(truth, fleet.record(node)[-1]))
            found.append(Target(None, names, lost, spread, matters))
        else:
            found += [
                Target(node, _listed(truth, fleet.record(node)[-1]), lost, spread, matters)
                for node, lost, spread in measured
            ]
    return found


def _listed(truth: Truth, boot: BootRecord) -> frozenset[str]:
    rows = {model.name for model in boot.models if set(truth.caches) & {model.name, fold(model.name), *model.aliases}}
    return frozenset(map(fold, rows | set(truth.caches)))


def _measured(truth: Truth, leaking: Sequence[BootRecord], healthy: Sequence[BootRecord]) -> tuple[float, float]:
    """(lost bytes, floor spread) of the truth's first cache in the last boot."""
    boot, twin = leaking[-1], healthy[-1]
    rows = [
        k for k, model in enumerate(boot.models) if truth.caches[0] in {model.name, fold(model.name), *model.aliases}
    ]
    sizes = np.array([boot.models[k].size for k in rows], dtype=np.float64)
    slab = float(max(boot.pages_per_slab[k] for k in rows) * 4096)
    more = (boot.num[:, rows] - twin.num[:, rows]) @ sizes
    few = min(3, len(more))
    return float(np.median(more[-few:]) - np.median(more[:few])), floor_spread(twin.num[:, rows] @ sizes, slab)


def floor_spread(y: Floats, slab: float) -> float:
    """The standard deviation of a healthy series' floor [T] about its Theil-Sen line, at least one slab's bytes."""
    edges = np.unique(np.linspace(0, len(y), min(PARTS, len(y)) + 1).round().astype(int))
    floor = np.array([y[a:b].min() for a, b in pairwise(edges)])
    if len(floor) < 3:
        return slab
    t = np.arange(len(floor), dtype=np.float64)
    i, j = np.triu_indices(len(floor), 1)
    line = float(np.median((floor[j] - floor[i]) / (t[j] - t[i])))
    left = floor - line * t
    return max(float(np.std(left - np.median(left))), slab)
