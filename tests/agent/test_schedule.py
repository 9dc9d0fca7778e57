"""A steady clock: no drift, no burst, a phase per node, longer steps when reading hurts."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from agent.schedule import FIRST_WITHIN, JITTER, MOST_STRETCHED, Schedule


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def schedule(clock: Clock, node: str = "lvs1", interval: float = 60.0, seed: int = 1) -> Schedule:
    return Schedule(interval, node, clock=clock, wall=lambda: clock.now + 1.7e9, random=Random(seed))


def instants(plan: Schedule, clock: Clock, count: int, *, late: float = 0.0) -> list[float]:
    found = []
    for _ in range(count):
        clock.now = plan.due + late
        found.append(clock.now)
        plan.advance(0.001)
    return found


def test_the_first_comes_soon_and_not_at_once_for_everybody() -> None:
    clock = Clock()
    firsts = [schedule(clock, seed=seed).due - clock.now for seed in range(50)]
    assert all(0 <= first <= FIRST_WITHIN for first in firsts)
    assert max(firsts) - min(firsts) > FIRST_WITHIN / 2


@pytest.mark.parametrize("late", [0.0, 0.4, 7.0])
def test_does_not_drift_however_late_it_wakes(late: float) -> None:
    clock = Clock()
    found = instants(schedule(clock), clock, 1001, late=late)
    assert (found[-1] - found[1]) / 999 == pytest.approx(60.0, abs=60 * JITTER / 900)


def test_gaps_stay_near_the_interval() -> None:
    clock = Clock()
    found = instants(schedule(clock), clock, 500)
    gaps = [later - earlier for earlier, later in pairwise(found[1:])]
    assert min(gaps) >= 60 * (1 - JITTER)
    assert max(gaps) <= 60 * (1 + JITTER)


def test_the_phase_is_the_nodes_own_and_outlasts_a_restart() -> None:
    def phase(node: str, started: float) -> float:
        clock = Clock(started)
        plan = schedule(clock, node)
        return instants(plan, clock, 2)[1] % 60

    assert phase("lvs1", 1000.0) == pytest.approx(phase("lvs1", 5000.3), abs=60 * JITTER)
    phases = sorted(phase(f"web{n}", 1000.0) for n in range(200))
    assert all(b - a < 6 for a, b in pairwise(phases))


@pytest.mark.parametrize("late", [0.0, 20.0, 40.0, 59.0])
def test_no_burst_after_a_long_stop(late: float) -> None:
    clock = Clock()
    plan = schedule(clock)
    instants(plan, clock, 3)
    clock.now += 8 * 3600 + late
    plan.advance(0.001)
    assert 30 <= plan.due - clock.now <= 60 * 1.5 + 60 * JITTER


def test_a_slow_read_stretches_the_interval_and_a_quick_one_ends_it() -> None:
    clock = Clock()
    plan = schedule(clock)
    for _ in range(5):
        clock.now = plan.due
        plan.advance(0.2)
    assert plan.interval == 240.0
    before = clock.now
    assert plan.due - before == pytest.approx(240, abs=60 * JITTER + 60 * JITTER)
    for _ in range(3):
        clock.now = plan.due
        plan.advance(0.001)
    assert plan.interval == 60.0


def test_one_hiccup_stretches_nothing() -> None:
    clock = Clock()
    plan = schedule(clock)
    instants(plan, clock, 4)
    clock.now = plan.due
    plan.advance(3.0)
    assert plan.interval == 60.0


def test_the_stretch_is_bounded() -> None:
    clock = Clock()
    plan = schedule(clock, interval=1.0)
    for _ in range(5):
        plan.advance(30.0)
    assert plan.interval == MOST_STRETCHED


def test_a_quick_read_is_never_slow_even_at_a_short_interval() -> None:
    clock = Clock()
    plan = schedule(clock, interval=1.0)
    for _ in range(5):
        plan.advance(0.004)
    assert plan.interval == 1.0


def test_a_failed_read_is_tried_again_at_the_next_instant() -> None:
    clock = Clock()
    plan = schedule(clock)
    clock.now = plan.due
    plan.advance()
    assert plan.due > clock.now
    assert plan.interval == 60.0
