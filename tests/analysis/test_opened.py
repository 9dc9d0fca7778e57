"""A window read in whole buckets: the one that its start cuts is there whole or, without anything later, not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pytest

from server.analysis.caches import list_caches
from server.analysis.judge import judge
from server.analysis.opened import opened
from server.analysis.types import AnalysisSettings, Judgement
from server.buckets import NodeSeries
from tests.analysis.series import MIB, START, ArraySource, Node, level, rising
from tests.analysis.series import fleet as make_fleet

HOUR, DAY = 3600.0, 86400.0
MINUTE = 60.0
FROM = START + 17 * MINUTE


def node(name: str, first: float, last: float, group: str = "lvs") -> Node:
    """Snapshots a minute apart, from and to minutes after START."""
    time = START + np.arange(first, last + 1) * MINUTE
    return Node(name, time, {"still": level(time, 40 * MIB)}, group=group)


def times(*nodes: Node) -> dict[str, list[float]]:
    """Minutes after START at which the buckets of a day from FROM on end, by node."""
    found = opened(ArraySource(nodes), FROM, FROM + DAY, group=None)
    return {one.node: [(at - START) / MINUTE for boot in one.boots for at in boot.time.tolist()] for one in found}


def test_the_bucket_that_the_start_cuts_is_there_with_all_of_its_snapshots() -> None:
    (one,) = opened(ArraySource([node("n1", -90, 200)]), FROM, FROM + DAY, group=None)
    assert [boot.samples.tolist() for boot in one.boots] == [[60, 60, 60, 21]]
    assert times(node("n1", -90, 200)) == {"n1": [59, 119, 179, 200]}


def test_what_lies_before_the_start_alone_is_left_out() -> None:
    assert times(node("gone", 0, 16), node("just", 0, 17), node("later", 80, 90)) == {"just": [17], "later": [90]}
    back = [node("back", 0, 5), node("back", 300, 310)]
    back[1].boot = "boot-2"
    assert times(*back) == {"back": [310]}
    hours = np.concatenate([np.arange(0, 6), np.arange(300, 311)]) * MINUTE + START
    assert times(Node("away", hours, {"still": level(hours, MIB)})) == {"away": [310]}


def judged(nodes: list[Node]) -> Judgement:
    return judge(ArraySource(nodes), start=FROM, end=FROM + DAY, group=None, settings=AnalysisSettings())


def test_a_node_or_a_group_that_ended_before_the_window_is_not_in_the_report() -> None:
    nodes = make_fleet(5)
    expected = judged(nodes)
    gone = [*nodes, node("n6", 0, 12), node("old", 0, 12, "old")]
    assert judged(gone) == expected
    listed = {
        cache.nodes
        for cache in list_caches(ArraySource(gone), start=FROM, end=FROM + DAY, group=None, judgement=expected)
    }
    assert listed == {5}


@pytest.mark.parametrize("boot", ["boot-0", "boot-1"])
def test_a_snapshot_before_the_window_makes_a_young_group_no_older(boot: str) -> None:
    nodes = [node(f"n{number}", 20 * 60, 24 * 60) for number in range(4)]
    expected = judged(nodes)
    assert expected.begins == {"lvs": START + 20 * HOUR}
    before = node("n1", 5, 5)
    before.boot = boot
    assert judged([*nodes, before]).begins == expected.begins


class Asked(ArraySource):
    """Keeps from when on, and how finely, it was asked for."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        super().__init__(nodes)
        self.asked: list[tuple[float, int]] = []

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        self.asked.append((start, width))
        return super().window(start, end, width, group=group, caches=caches)


@pytest.mark.parametrize("cut", [1.0, 1500.0, 3599.0])
def test_the_bucket_that_the_start_cuts_is_judged_whole_so_that_no_single_snapshots_are_read_for_it(cut: float) -> None:
    nodes = make_fleet(5)
    nodes[2].caches = {**nodes[2].caches, "churn-4": nodes[2].caches["churn-4"] + rising(nodes[2].time, 2 * MIB)}
    source = Asked(nodes)
    found = judge(source, start=START + cut, end=START + DAY + cut, group=None, settings=AnalysisSettings())
    assert (found.start, found.end) == (START + cut, START + DAY + cut)
    assert [(one.node, one.cache, one.since_open) for one in found.findings] == [("n3", "churn-4", True)]
    assert min(source.asked) == (START, HOUR)
    assert all(start % width == 0 for start, width in source.asked)
