"""Every family can be simulated, and its truth holds in its own numbers."""

from __future__ import annotations

import pytest

from server.analysis.identity import fold
from server.simulator.families import FAMILIES, Terms
from server.simulator.fleet import Fleet
from server.simulator.scenario import Scenario, Truth


def named(truth: Truth, scenario: Scenario, at: int) -> int:
    """Objects of the truth's first cache (or what it is folded or merged into) on its first node, at an instant."""
    boot = Fleet(scenario.spec).record(truth.nodes[0])[-1]
    cache = truth.caches[0]
    rows = [i for i, m in enumerate(boot.models) if fold(m.name) == cache or cache in m.aliases]
    assert rows
    return int(sum(boot.num[at, i] * boot.models[i].size for i in rows))


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_family_is_what_it_says(name: str) -> None:
    family = FAMILIES[name]
    scenario = family.build(Terms(seed=11, interval=600.0))
    assert scenario.family == family.name == name
    assert bool(scenario.truths) == family.leaks == bool(scenario.spec.leaks)
    known = {node.name for node in scenario.spec.nodes}
    assert all(set(truth.nodes) <= known for truth in scenario.truths)
    assert next(Fleet(scenario.spec).snapshots(scenario.spec.nodes[0].name)).caches.name


@pytest.mark.parametrize("name", sorted(name for name, family in FAMILIES.items() if family.leaks))
def test_what_is_lost_is_in_the_numbers(name: str) -> None:
    (truth, *_), scenario = (made := FAMILIES[name].build(Terms(seed=12, interval=600.0))).truths, made
    assert truth.lost_bytes > 0
    assert named(truth, scenario, -1) >= 0.8 * truth.lost_bytes


def test_strength_scales_a_leak() -> None:
    weak, strong = (FAMILIES["plain"].build(Terms(seed=3, strength=s)).truths[0] for s in (1.0, 3.0))
    assert strong.bytes_per_hour == pytest.approx(3 * weak.bytes_per_hour)
