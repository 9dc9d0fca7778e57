"""The fleet's growth in a window without a whole day: a morning moves many caches, a leak one."""

from __future__ import annotations

import numpy as np
import pytest

from server.analysis.judge import judge, judge_alone
from server.analysis.types import AnalysisSettings, Judgement
from tests.analysis.series import MIB, START, ArraySource, Node, daily, fleet, rising

HOURS = 10


def morning() -> list[Node]:
    """Ten hours in which the load rises on all nodes; each cache follows it by a share of its own."""
    nodes = fleet(4, hours=HOURS)
    for number, node in enumerate(nodes):
        rng = np.random.default_rng(number)
        depths = {f"load-{index}": 0.6 if index < 12 else 0.35 if index < 21 else 0.04 for index in range(2, 30, 3)}
        loads = {
            name: daily(node.time, 4 * MIB, depth, phase_hours=6.0) * (1 + 0.002 * rng.standard_normal(len(node.time)))
            for name, depth in depths.items()
        }
        node.caches = {**node.caches, **loads}
    return nodes


def judged(nodes: list[Node]) -> Judgement:
    end = START + HOURS * 3600
    return judge(ArraySource(nodes), start=START, end=end, group=None, settings=AnalysisSettings())


def test_the_mornings_rise_is_no_leak_of_the_fleet() -> None:
    assert not judged(morning()).findings


def test_a_cache_that_leaks_everywhere_is_found_in_the_morning_too() -> None:
    nodes = morning()
    for node in nodes:
        node.caches = {**node.caches, "constant-0": node.caches["constant-0"] + rising(node.time, 4 * MIB)}
    found = judged(nodes).findings
    assert [(one.kind, one.cache) for one in found] == [("fleet", "constant-0")]


def test_a_leak_of_all_nodes_is_the_fleets_though_one_of_them_shows_it_weakly() -> None:
    """Three of four are too few for the fleet's by themselves, and no cohort, as the fourth leaks as well."""
    for hides, count in ((60.0, 4.0), (10_000.0, 0.0)):
        nodes = fleet(4)
        for number, node in enumerate(nodes):
            noise = np.random.default_rng([5, number]).standard_normal(len(node.time)) * (hides if number == 3 else 1.0)
            y = 40 * MIB + rising(node.time, 0.5 * MIB) + noise * 0.02 * MIB
            node.caches = {**node.caches, "constant-0": y}
        end = START + 24 * 3600
        found = judge(ArraySource(nodes), start=START, end=end, group=None, settings=AnalysisSettings()).findings
        whole = [one for one in found if one.kind == "fleet" and one.cache == "constant-0"]
        assert sum(float(one.evidence["nodes_growing"] or 0.0) for one in whole) == count
        assert all(one.q_value == 0.0001 for one in whole)


def busier(hours: float, interval: float, requests: int) -> list[Node]:
    """On all nodes so many of 60 caches follow more and more requests, not those of processes and files."""
    nodes = fleet(6, hours=hours, interval=interval, caches=60)
    for number, node in enumerate(nodes):
        rng = np.random.default_rng([7, number])
        more = 1 + (0.5 + 0.1 * number) * (node.time - START) / (hours * 3600)
        for index in range(requests):
            noise = 1 + 0.005 * rng.standard_normal(len(node.time))
            node.caches = {**node.caches, f"request-{index}": (1 + index) * MIB * more * noise}
    return nodes


@pytest.mark.parametrize(("hours", "interval"), [(0.25, 8.0), (1.0, 10.0), (2.0, 20.0)])
def test_more_requests_for_all_nodes_are_no_leak_of_the_fleet(hours: float, interval: float) -> None:
    for requests in (5, 1):
        nodes = busier(hours, interval, requests)
        end = START + hours * 3600
        said = judge(ArraySource(nodes), start=START, end=end, group=None, settings=AnalysisSettings())
        if requests == 1:
            assert [(one.kind, one.cache) for one in said.findings] == [("fleet", "request-0")]
        else:
            assert said.findings == ()
            assert {one.evidence["not_passed"] for one in said.watch if one.kind == "fleet"} == {"load"}


def test_what_rises_along_on_each_node_by_chance_is_not_the_load_of_all() -> None:
    nodes = fleet(6, hours=0.25, interval=8.0, caches=60)
    for number, node in enumerate(nodes):
        passed, rng = (node.time - START) / 900, np.random.default_rng([9, number])
        others = {
            f"other-{index}": MIB * (1 + 0.3 * (index % 6 == number) * passed + 0.01 * rng.standard_normal(len(passed)))
            for index in range(36)
        }
        node.caches = {**node.caches, **others, "constant-0": node.caches["constant-0"] + 0.8 * MIB * passed}
    said = judge(ArraySource(nodes), start=START, end=START + 900, group=None, settings=AnalysisSettings())
    assert [one.cache for one in said.findings if one.kind == "fleet"] == ["constant-0"]


@pytest.mark.parametrize("count", [2, 4, 6])
def test_half_of_the_nodes_being_busier_does_not_hide_a_leak_of_all(count: int) -> None:
    nodes = fleet(count, hours=HOURS, caches=60)
    for number, node in enumerate(nodes):
        passed, rng = (node.time - START) / (HOURS * 3600), np.random.default_rng([10, number])
        busy = {f"other-{k}": 2 * MIB * (1 + 6 * (number % 2) * passed) for k in range(4)}
        busy = {name: y * (1 + 0.01 * rng.standard_normal(len(y))) for name, y in busy.items()}
        leak = (20 + 100 * passed) * MIB * (1 + 0.002 * rng.standard_normal(len(passed)))
        node.caches = {**node.caches, **busy, "constant-0": leak}
    assert [one.cache for one in judged(nodes).findings if one.kind == "fleet"] == ["constant-0"]


@pytest.mark.parametrize(("hours", "interval"), [(0.25, 8.0), (1.0, 10.0), (2.0, 20.0)])
def test_a_node_that_leaks_beside_more_requests_for_all_is_found(hours: float, interval: float) -> None:
    nodes = busier(hours, interval, 5)
    lost = 20 * MIB * (nodes[2].time - START) / (hours * 3600)
    nodes[2].caches = {**nodes[2].caches, "request-0": nodes[2].caches["request-0"] + lost}
    end = START + hours * 3600
    said = judge_alone(ArraySource(nodes), start=START, end=end, group=None, settings=AnalysisSettings())
    assert [(one.node, one.cache) for one in said.findings] == [("n3", "request-0")]


def test_a_day_in_which_many_caches_grow_everywhere_tells_less() -> None:
    scores = []
    for requests in (1, 5):
        nodes = fleet(6, caches=60)
        for number, node in enumerate(nodes):
            rng = np.random.default_rng([8, number])
            for index in range(requests):
                noise = 0.05 * rng.standard_normal(len(node.time))
                more = 1 + (node.time - START) / 86400 + noise
                node.caches = {**node.caches, f"request-{index}": 4 * MIB * more}
        said = judge(ArraySource(nodes), start=START, end=START + 86400, group=None, settings=AnalysisSettings())
        scores.append(max(one.score for one in (*said.findings, *said.watch) if one.cache == "request-0"))
    assert scores[1] == pytest.approx(scores[0] / 2, rel=0.2)
