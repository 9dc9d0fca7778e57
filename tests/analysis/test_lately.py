"""What the last day has a finding for, a report over more than a day has, too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from server.analysis.judge import judge
from server.analysis.lately import passes_its_past, with_last_day
from server.analysis.types import AnalysisSettings, Finding, Judgement
from tests.analysis.rows import row
from tests.analysis.series import MIB, START, ArraySource, Node, churn, level, rising

HOUR, DAY = 3600.0, 86400.0


def new(_: Finding) -> bool:
    return True


def test_a_leak_that_began_three_hours_ago_is_named_over_a_week_as_over_a_day() -> None:
    nodes, time = [], START + np.arange(-6 * DAY, DAY + 1, 600.0)
    for number in range(4):
        rng = np.random.default_rng(number)
        caches = {f"churn-{index}": churn(rng, time, (index + 1) * MIB, 0.05) for index in range(5)}
        caches["still"] = level(time, MIB)
        nodes.append(Node(f"n{number}", time, caches))
    nodes[2].caches["churn-1"] += rising(time, 3 * MIB, START + 21 * HOUR)
    for days in (1, 1.1, 2, 7):
        end = START + DAY
        found = judge(ArraySource(nodes), start=end - days * DAY, end=end, group=None, settings=AnalysisSettings())
        assert [(one.node, one.cache) for one in found.findings] == [("n2", "churn-1")], days
        assert not [one for one in found.watch if (one.node, one.cache) == ("n2", "churn-1")]
        assert abs(found.findings[0].since - (START + 21 * HOUR)) < HOUR


def rises_again(earlier: float) -> list[Node]:
    """Three nodes over a week, one of which rises through its last day; its connections had all come before, too."""
    nodes, time = [], START + np.arange(-6 * DAY, DAY + 1, 600.0)
    for number in range(3):
        rng = np.random.default_rng(number)
        caches = {f"churn-{index}": churn(rng, time, (index + 1) * MIB, 0.05) for index in range(5)}
        caches["still"] = level(time, 40 * MIB)
        nodes.append(Node(f"n{number}", time, caches))
    fell = START - 0.05 * DAY
    nodes[1].caches["still"] += np.where(time < fell, earlier * MIB, rising(time, MIB, fell))
    return nodes


@pytest.mark.parametrize(("earlier", "named"), [(5.0, 1), (30.0, 0)])
def test_what_was_as_large_before_the_last_day_is_no_leak_of_it(earlier: float, named: int) -> None:
    source = ArraySource(rises_again(earlier))
    days = [
        judge(source, start=START + (1 - days) * DAY, end=START + DAY, group=None, settings=AnalysisSettings())
        for days in (1, 3)
    ]
    (alone,) = days[0].findings
    assert (alone.node, alone.cache) == ("n1", "still")
    assert passes_its_past(source, alone, START - 2 * DAY, START + DAY) == bool(named)
    assert passes_its_past(source, replace(alone, node=None), START - 2 * DAY, START + DAY)
    assert [(one.node, one.cache) for one in days[1].findings] == [("n1", "still")] * named


def test_what_fills_for_days_is_no_leak_of_its_last_day() -> None:
    nodes, time = rises_again(0.0), START + np.arange(-6 * DAY, DAY + 1, 600.0)
    filled = 200 * MIB * (1 - np.exp(-(time - time[0]) / (2 * DAY)))
    nodes[1].caches = {**nodes[1].caches, "still": level(time, 40 * MIB) + filled}
    source, end = ArraySource(nodes), START + DAY
    days = [
        judge(source, start=end - days * DAY, end=end, group=None, settings=AnalysisSettings()).findings
        for days in (1, 7)
    ]
    assert [len(found) for found in days] == [1, 0]  # its bend shows over the week


def test_what_both_name_is_one_finding_with_what_the_longer_past_tells() -> None:
    found = Judgement(0.0, 3 * DAY, findings=(row("a", "b", score=20.0),))
    assert with_last_day(found, Judgement(0.0, 1.0, findings=(row("b", "c", score=9.0),)), new) == found


def test_what_the_longer_past_only_watches_is_a_finding_of_the_last_day() -> None:
    watched, other, day = row("a", failed="bends"), row("c"), row("b", "a", score=9.0)
    merged = with_last_day(Judgement(0.0, 3 * DAY, watch=(watched, other)), Judgement(0.0, 1.0, findings=(day,)), new)
    assert (merged.findings, merged.watch) == ((day,), (other,))


def test_what_is_not_new_is_none() -> None:
    seen = Judgement(0.0, 3 * DAY, watch=(row("a", failed="load"),))
    assert (
        with_last_day(seen, Judgement(0.0, 1.0, findings=(row("a", score=9.0),)), lambda row: row.cache != "a") == seen
    )


def test_nodes_and_the_fleet_are_told_apart() -> None:
    found = Judgement(0.0, 3 * DAY, findings=(row("a"), row("b", node=None)))
    day = Judgement(0.0, 1.0, findings=(row("a", node="n2"), row("a", node=None), row("b", node=None)))
    assert with_last_day(found, day, new).findings == (*found.findings, *day.findings[:2])
