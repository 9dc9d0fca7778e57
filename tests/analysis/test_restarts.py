"""Leaks that a restart of their process gave back, and what is given back without being one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings, Judgement
from server.simulator.families import FAMILIES, Terms
from server.simulator.fleet import Fleet
from tests.analysis.series import MIB, START, ArraySource, Node, rising
from tests.analysis.series import fleet as make_fleet
from tests.analysis.test_judge import DAY, judged

HOUR = 3600.0


def adding(held: NDArray[np.float64], nodes: list[Node]) -> list[Node]:
    """The second node holds so much more of one cache."""
    nodes[1].caches = {**nodes[1].caches, "constant-0": nodes[1].caches["constant-0"] + held}
    return nodes


@pytest.mark.parametrize("held", [0.0, 100 * MIB])
@pytest.mark.parametrize("hour", [1, 10])
def test_a_leaker_that_was_restarted_within_the_day_is_found_though_it_held_more_before(hour: int, held: float) -> None:
    nodes, again = make_fleet(5), START + hour * HOUR
    time = nodes[1].time
    lost = np.where(time < again, held + rising(time, 6 * MIB) + 30 * MIB, rising(time, 2 * MIB, again))
    (found,) = judged(adding(lost, nodes)).findings
    assert (found.node, found.cache) == ("n2", "constant-0")
    assert found.bytes_per_hour == pytest.approx(2 * MIB, rel=0.1)
    assert found.since == pytest.approx(again, abs=2 * HOUR)
    assert str(found.evidence["restarted"]) >= "2026"


def test_a_leaker_that_holds_more_than_before_its_restart_does_not_look_as_what_fills() -> None:
    scenario = FAMILIES["restarted"].build(Terms(12, 24, 300, 6, 1))
    (truth,), spec = scenario.truths, scenario.spec
    source, end = Fleet(spec, cached=len(spec.nodes)), spec.start + DAY - 180.0
    (found,) = judge(source, start=end - DAY, end=end, group=None, settings=AnalysisSettings()).findings
    assert (found.node, found.cache) == (truth.nodes[0], truth.caches[0])


@pytest.mark.parametrize("hours", [1.0, 3.0, 8.0])
def test_traffic_that_was_away_and_comes_back_bit_by_bit_is_no_leak_of_the_day(hours: float) -> None:
    nodes = make_fleet(5)
    age = (nodes[1].time - START) / HOUR - 10.0
    held = np.where(age < 0, 1.0, 1 - np.exp(-np.maximum(age, 0) / hours)) * 60 * MIB
    assert judged(adding(held, nodes)).findings == ()


@pytest.mark.parametrize(("hours", "age"), [(6.0, 5.0), (12.0, 8.0), (24.0, 12.0)])
@pytest.mark.parametrize("noise", [0.003, 0.02])
def test_a_level_that_was_flushed_and_fills_again_in_a_straight_line_is_no_leak(
    hours: float, age: float, noise: float
) -> None:
    for seed in range(6):
        nodes, rng = make_fleet(5), np.random.default_rng(seed)
        since = (nodes[1].time - START) / HOUR - (24 - age)
        held = np.where(since < 0, 1.0, np.clip(since / hours, 0.0, 1.0)) * 60 * MIB
        held *= 1 + noise * rng.standard_normal(len(held))
        assert judged(adding(held, nodes)).findings == ()


@pytest.mark.parametrize(("hours", "every"), [(4, 6), (8, 10), (8, 16), (10, 12), (12, 18)])
def test_what_a_job_fills_and_gives_back_in_turns_is_no_leak_of_the_day(hours: int, every: int) -> None:
    for hour in range(0, every, 2):
        nodes = make_fleet(5)
        age = (nodes[1].time - START + hour * HOUR) % (every * HOUR) / HOUR
        held = np.where(age <= hours, age / hours, 0.0) * 60 * MIB
        assert judged(adding(held, nodes)).findings == ()


def of_days(restarts: tuple[float, ...], hour: float, per_hour: float = 2 * MIB) -> Judgement:
    """A day's report at that hour of the third day on what leaks and is restarted at those hours."""
    nodes = make_fleet(5, hours=72)
    since = np.max([np.where((nodes[1].time - START) / HOUR >= at, at, 0.0) for at in restarts], axis=0)
    held = ((nodes[1].time - START) / HOUR - since) * per_hour
    source, end = ArraySource(adding(held, nodes)), START + hour * HOUR
    return judge(source, start=end - DAY, end=end, group=None, settings=AnalysisSettings())


@pytest.mark.parametrize("hour", [54.0, 60.0, 66.0, 71.0])
def test_what_is_given_back_each_night_is_watched(hour: float) -> None:
    said = of_days((1.3, 25.3, 49.3), hour)
    assert said.findings == ()
    assert {row.evidence["not_passed"] for row in said.watch} <= {"seen before", "confirmed"}
    once = of_days((49.3,), hour).findings
    assert [(row.node, row.cache) for row in once] == [("n2", "constant-0")]


def test_what_leaks_faster_than_each_night_gives_back_is_found() -> None:
    nodes = make_fleet(5, hours=72)
    hours = (nodes[1].time - START) / HOUR
    held = np.where(hours < 25.3, hours, np.where(hours < 60, hours - 25.3, 4 * (hours - 60))) * 2 * MIB
    source, end = ArraySource(adding(held, nodes)), START + 70 * HOUR
    said = judge(source, start=end - DAY, end=end, group=None, settings=AnalysisSettings())
    assert [(row.node, row.cache, "restarted" in row.evidence) for row in said.findings] == [("n2", "constant-0", True)]


def test_load_that_falls_in_use_alone_does_not_make_a_leak_younger() -> None:
    nodes = make_fleet(5)
    time = nodes[1].time
    lost, load = rising(time, 3 * MIB) + 9 * MIB, np.where(time < START + 12 * HOUR, 60 * MIB, 0.0)
    nodes = adding(lost + 60 * MIB, nodes)
    active = nodes[1].caches["constant-0"] - 60 * MIB + load
    nodes[1].active = {**nodes[1].active, "constant-0": active}
    (found,) = judged(nodes).findings
    assert found.since_open
    assert found.bytes_per_hour == pytest.approx(3 * MIB, rel=0.1)
