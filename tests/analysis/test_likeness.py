"""What only looks like a leak, and leaks that look like something else: filling, the day's swing, what is over."""

from __future__ import annotations

import numpy as np
import pytest

from server.analysis.judge import judge, judge_alone
from server.analysis.steady import SURE
from server.analysis.types import AnalysisSettings, Finding, Judgement
from server.simulator.families import FAMILIES, Terms
from server.simulator.fleet import Fleet
from tests.analysis.series import MIB, START, ArraySource, Floats, Node, churn, daily, fleet, level, rising

HOUR, DAY = 3600.0, 86400.0
SETTINGS = AnalysisSettings()


def judged(nodes: list[Node], hours: float = 24.0, end: float = START + DAY) -> Judgement:
    return judge(ArraySource(nodes), start=end - hours * HOUR, end=end, group=None, settings=SETTINGS)


def add(node: Node, cache: str, more: Floats) -> None:
    node.caches = {**node.caches, cache: node.caches.get(cache, level(node.time, 0.0)) + more}


def named(rows: tuple[Finding, ...]) -> set[tuple[str | None, str]]:
    return {(one.node, one.cache) for one in rows}


def test_a_cache_that_fills_is_found_at_no_hour_and_its_steady_twin_is() -> None:
    begin = START + 12 * HOUR
    nodes = fleet(6, hours=36)
    time = nodes[0].time
    add(nodes[1], "constant-3", 80 * MIB * (1 - np.exp(-np.clip(time - begin, 0.0, None) / (4 * HOUR))))
    add(nodes[4], "constant-6", rising(time, 3 * MIB, begin))
    for hour in range(13, 37):
        found = named(judged(nodes, end=START + hour * HOUR).findings)
        assert ("n2", "constant-3") not in found, hour
        assert found == {("n5", "constant-6")} or hour == 13, hour


def tidal(leak: float, phase: float) -> list[Node]:
    """Six nodes of which a cache swings by 60 MiB with the day; the third loses so many bytes an hour."""
    nodes = fleet(6)
    for number, node in enumerate(nodes):
        noise = 1 + 0.01 * np.random.default_rng([1, number]).standard_normal(len(node.time))
        add(node, "tide", daily(node.time, 60 * MIB, 0.5, phase) * noise)
    add(nodes[2], "tide", rising(nodes[0].time, leak))
    return nodes


@pytest.mark.parametrize("phase", [6.0, 12.0, 18.0])
def test_a_leak_is_found_beneath_a_swing_that_all_nodes_share(phase: float) -> None:
    """Of 12 MiB in a day, a fifth of the swing."""
    assert named(judged(tidal(0.5 * MIB, phase)).findings) == {("n3", "tide")}
    assert judged(tidal(0.0, phase)).findings == ()


def test_a_swing_that_is_one_nodes_own_hides_as_much() -> None:
    nodes = tidal(0.5 * MIB, 12.0)
    for node in nodes[:2] + nodes[3:]:
        node.caches = {**node.caches, "tide": level(node.time, 60 * MIB)}
    assert judged(nodes).findings == ()


def busy(hours: float) -> list[Node]:
    """Five nodes, of which the second begins to lose 4 MiB an hour a quarter of an hour before the end."""
    nodes = fleet(5, hours=hours, interval=10)
    add(nodes[1], "churn-1", rising(nodes[1].time, 4 * MIB, START + (hours - 0.25) * HOUR))
    return nodes


def test_a_brief_window_needs_no_second_instant() -> None:
    def never(start: float, end: float, group: str) -> Judgement:
        raise AssertionError((start, end, group))

    end = START + 0.25 * HOUR
    source = ArraySource(busy(0.25))
    found = judge(source, start=START, end=end, group=None, settings=SETTINGS, alone=never)
    assert named(found.findings) == {("n2", "churn-1")}
    assert found.findings[0].score < SURE
    assert found == judge_alone(source, start=START, end=end, group=None, settings=SETTINGS)
    longer = judged(busy(1.5), 1.5, START + 1.5 * HOUR)
    assert longer.findings == ()
    assert [(one.cache, one.evidence["not_passed"]) for one in longer.watch] == [("churn-1", "confirmed")]


def test_a_rise_that_is_over_needs_a_score_of_sixteen() -> None:
    scores = []
    for lost in (0.1, 0.15, 0.25, 0.4):
        nodes = fleet(5)
        for number, node in enumerate(nodes):
            node.caches = {**node.caches, "churn-1": churn(np.random.default_rng(number), node.time, 8 * MIB, 0.02)}
        add(nodes[1], "churn-1", rising(nodes[1].time, lost * MIB, START + 3 * HOUR, until=START + 15 * HOUR))
        found = judge_alone(ArraySource(nodes), start=START, end=START + DAY, group=None, settings=SETTINGS)
        (one,) = found.findings + found.watch
        assert (one.node, one.cache, one.shape) == ("n2", "churn-1", "stopped")
        assert (one.evidence["not_passed"] == "stopped") == (one in found.watch) == (one.score < 16)
        scores.append(one.score)
    assert scores == sorted(scores)
    assert 6 < scores[0] < scores[1] < 16 < scores[2] < scores[3]


def test_a_cache_that_one_node_lists_and_that_leaks_since_the_last_third() -> None:
    for lost, found in ((2.0, True), (0.2, False)):
        nodes = fleet(5)
        add(nodes[1], "own", level(nodes[1].time, 5 * MIB) + rising(nodes[1].time, lost * MIB, START + 16 * HOUR))
        said = judged(nodes)
        assert named(said.findings) == ({("n2", "own")} if found else set())
        (one,) = said.findings or said.watch
        assert one.peer_bytes_per_hour is None
        assert one.evidence["not_passed"] == (None if found else "peers")
        assert (one.score > 20) == found
        assert one.since == pytest.approx(START + 16 * HOUR, abs=2 * HOUR)


def test_a_leak_that_began_two_hours_ago_is_named_at_once() -> None:
    """In the last four hours its rise is uneven, in the last two it is not."""
    spec = FAMILIES["two-hours-ago"].build(Terms(22036, 24, 60, 6, 1.0)).spec
    end = spec.start + DAY
    found = judge(Fleet(spec, cached=6), start=spec.start, end=end, group=None, settings=SETTINGS).findings
    assert named(found) == {("lvs3", "file_lock_ctx")}
    assert found[0].since == pytest.approx(end - 2 * HOUR, abs=1000)


@pytest.mark.parametrize("phase", [6.0, 12.0, 18.0])
def test_a_leak_beside_a_falling_swing_has_not_stopped(phase: float) -> None:
    (found,) = judged(tidal(1.0 * MIB, phase)).findings
    assert found.shape != "stopped"
