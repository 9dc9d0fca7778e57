"""A leak on a good part of a group: the nodes that grow are compared with those that stand still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings, Judgement
from tests.analysis.series import MIB, START, ArraySource, Node, daily, fleet, rising

DAY = 86400.0
CACHE = "constant-0"


def judged(nodes: list[Node]) -> Judgement:
    return judge(ArraySource(nodes), start=START, end=START + DAY, group=None, settings=AnalysisSettings())


def leaking(count: int, growing: int, per_hour: float = 2 * MIB) -> list[Node]:
    nodes = fleet(count)
    for node in nodes[:growing]:
        node.caches = {**node.caches, CACHE: node.caches[CACHE] + rising(node.time, per_hour)}
    return nodes


def notes(found: Judgement) -> list[str]:
    return [note.note for note in found.notes if CACHE in note.note]


@pytest.mark.parametrize(("count", "growing"), [(3, 2), (4, 2), (6, 3), (6, 4), (10, 4), (10, 5), (10, 7), (20, 12)])
def test_every_node_of_the_part_that_leaks_is_named(count: int, growing: int) -> None:
    found = judged(leaking(count, growing))
    assert {one.node for one in found.findings} == {f"n{i + 1}" for i in range(growing)}
    assert {(one.kind, one.cache) for one in found.findings} == {("outlier", CACHE)}
    for one in found.findings:
        assert one.bytes_per_hour == pytest.approx(2 * MIB, rel=0.1)


def test_the_nodes_compared_with_are_those_that_stand_still() -> None:
    found = judged(leaking(10, 6))
    assert notes(found) == [f"group lvs: {CACHE}: 6 of 10 nodes grow, the others stand still"]
    for one in found.findings:
        assert one.evidence["peers"] == 4
        assert one.evidence["cohort"] == "6 of 10 nodes grow"
        assert abs(one.peer_bytes_per_hour or 0.0) < 0.1 * MIB


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kernel": "6.12"}, "kernel 6.12"),
        ({"labels": {"role": "standby", "rack": "a"}}, "label rack=a"),
        ({"memory": 24 * 2.0**30}, "24.0 GiB of memory or more"),
        ({"memory": 4 * 2.0**30}, "4.0 GiB of memory or less"),
    ],
)
def test_what_tells_the_part_from_the_rest_is_named(change: dict[str, object], named: str) -> None:
    nodes = leaking(8, 4)
    nodes[:4] = [replace(node, **change) for node in nodes[:4]]  # type: ignore[arg-type] # whichever field it is
    found = judged(nodes)
    assert notes(found) == [f"group lvs: {CACHE}: 4 of 8 nodes grow: those with {named}, the others stand still"]
    assert {one.evidence["cohort"] for one in found.findings} == {f"4 of 8 nodes grow: those with {named}"}


def test_what_only_most_of_them_have_is_not_named() -> None:
    nodes = leaking(8, 4)
    nodes[:5] = [replace(node, kernel="6.12", labels={"role": "standby"}) for node in nodes[:5]]
    assert notes(judged(nodes)) == [f"group lvs: {CACHE}: 4 of 8 nodes grow, the others stand still"]


def test_two_of_four_at_the_same_task_for_ten_minutes_are_no_cohort() -> None:
    nodes = fleet(4, hours=0.25, interval=8)
    for node in nodes[:2]:
        node.caches = {**node.caches, CACHE: node.caches[CACHE] + rising(node.time, 2 * MIB)}
    found = judge(ArraySource(nodes), start=START, end=START + 900, group=None, settings=AnalysisSettings())
    assert not [one for one in (*found.findings, *found.watch) if "cohort" in one.evidence]
    for node in nodes[2:3]:
        node.caches = {**node.caches, CACHE: node.caches[CACHE] + rising(node.time, 2 * MIB)}
    found = judge(ArraySource(nodes), start=START, end=START + 900, group=None, settings=AnalysisSettings())
    assert [one.evidence.get("cohort") for one in found.findings] == ["3 of 4 nodes grow"] * 3


def test_a_part_that_swings_with_the_day_is_no_leak() -> None:
    nodes = fleet(8)
    for node in nodes[:4]:
        node.caches = {**node.caches, CACHE: daily(node.time, 40 * MIB, 0.5)}
    found = judged(nodes)
    assert (found.findings, notes(found)) == ((), [])


def test_without_a_gap_between_the_two_nothing_is_found() -> None:
    nodes = fleet(8)
    for place, node in enumerate(nodes):
        grown = node.caches[CACHE] + rising(node.time, (1 + place) * 0.4 * MIB)
        node.caches = {**node.caches, CACHE: grown}
    found = judged(nodes)
    assert not [one for one in found.findings if "cohort" in one.evidence]


def test_the_order_of_nodes_does_not_matter() -> None:
    nodes = leaking(10, 5)
    expected = judged(nodes)
    order = np.random.default_rng(1).permutation(10)
    assert judged([nodes[k] for k in order]) == expected


def test_a_part_on_which_a_cache_fills_is_watched() -> None:
    nodes = fleet(8)
    for node in nodes[:5]:
        filled = 40 * MIB * (1 - np.exp(-(node.time - START) / (11 * 3600)))
        node.caches = {**node.caches, CACHE: node.caches[CACHE] + filled}
    found = judged(nodes)
    assert (found.findings, notes(found)) == ((), [])
    assert {one.node for one in found.watch if one.evidence["not_passed"] == "bends"} == {f"n{k}" for k in range(1, 6)}


@pytest.mark.parametrize(("hours", "interval"), [(0.25, 8.0), (2.0, 20.0)])
def test_a_part_that_has_more_work_is_watched(hours: float, interval: float) -> None:
    nodes = fleet(6, hours=hours, interval=interval, caches=60)
    for number, node in enumerate(nodes):
        rng, passed = np.random.default_rng(number), (node.time - START) / (hours * 3600)
        more = 1 + (0.6 * passed if number < 4 else 0.0 * passed)
        node.sizes = {**node.sizes, **{f"request-{k}": 128 * (1 + k) for k in range(10)}}
        held = {f"request-{k}": (10 + k) * MIB * more * (1 + 0.004 * rng.standard_normal(len(more))) for k in range(10)}
        node.caches = {**node.caches, **held}
    end = START + hours * 3600
    found = judge(ArraySource(nodes), start=START, end=end, group=None, settings=AnalysisSettings())
    assert found.findings == ()
    assert {one.node for one in found.watch if one.evidence["not_passed"] == "load"} == {"n1", "n2", "n3", "n4"}


@pytest.mark.parametrize(("hours", "interval"), [(0.25, 8.0), (1.0, 20.0), (6.0, 120.0)])
def test_file_caches_that_fill_after_the_boot_into_a_leaking_kernel_hide_nothing(hours: float, interval: float) -> None:
    nodes = fleet(8, hours=hours, interval=interval)
    names = ["dentry", "ext4_inode_cache", "buffer_head", "radix_tree_node"]
    for number, node in enumerate(nodes):
        passed = (node.time - START) / (hours * 3600) * (number < 4)
        leak = node.caches[CACHE] * (1 + passed)
        node.caches = {**node.caches, CACHE: leak, **dict.fromkeys(names, 8 * MIB + 6 * MIB * passed**0.8)}
        node.reclaimable = dict.fromkeys(names, True)
    end = START + hours * 3600
    found = judge(ArraySource(nodes), start=START, end=end, group=None, settings=AnalysisSettings())
    assert {(one.node, one.cache) for one in found.findings} == {(f"n{k}", CACHE) for k in range(1, 5)}


@pytest.mark.parametrize(("hours", "interval"), [(0.25, 8.0), (1.0, 20.0)])
def test_descriptors_that_half_of_the_nodes_leak_are_found(hours: float, interval: float) -> None:
    sizes = {"filp": 256, "sock_inode_cache": 832, "TCP": 2368, "eventpoll_epi": 128, "lsm_file_cache": 32}
    nodes = fleet(8, hours=hours, interval=interval)
    for number, node in enumerate(nodes):
        opened = 4000 + 3000 * (node.time - START) / (hours * 3600) * (number < 4)
        node.sizes = sizes
        node.caches = {**node.caches, **{name: size * opened for name, size in sizes.items()}}
    end = START + hours * 3600
    found = judge(ArraySource(nodes), start=START, end=end, group=None, settings=AnalysisSettings())
    assert {one.node for one in found.findings} == {"n1", "n2", "n3", "n4"}
