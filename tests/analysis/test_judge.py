"""The judgement as a whole: what is a finding, what is watched, what is left alone."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings, Judgement, Note
from tests.analysis.series import GIB, MIB, START, ArraySource, Node, level, rising
from tests.analysis.series import fleet as make_fleet

DAY = 86400.0
END = START + DAY


def judged(nodes: list[Node], end: float = END, seconds: float = DAY, group: str | None = None) -> Judgement:
    return judge(ArraySource(nodes), start=end - seconds, end=end, group=group, settings=AnalysisSettings())


def leaking(nodes: list[Node], number: int, cache: str, per_hour: float, since: float = -np.inf, **more: float) -> None:
    node = nodes[number]
    node.caches = {**node.caches, cache: node.caches[cache] + rising(node.time, per_hour, since, **more)}


def test_a_healthy_fleet_has_no_findings() -> None:
    for seed in range(6):
        found = judged(make_fleet(5, seed))
        assert found.findings == ()
        assert [(group.group, group.nodes, group.series) for group in found.groups] == [("lvs", 5, 150)]


@pytest.mark.parametrize("cache", ["constant-0", "churn-1", "load-2"])
def test_a_leak_is_found_and_named(cache: str) -> None:
    nodes = make_fleet(5)
    leaking(nodes, 2, cache, 2 * MIB)
    (found,) = judged(nodes).findings
    assert (found.kind, found.node, found.group, found.cache) == ("outlier", "n3", "lvs", cache)
    assert found.members == (cache,)
    assert found.bytes_per_hour == pytest.approx(2 * MIB, rel=0.1)
    assert found.objects_per_hour == pytest.approx(2 * MIB / 512, rel=0.1)
    assert found.growth_bytes == pytest.approx(48 * MIB, rel=0.15)
    assert found.since_open
    assert found.shape == "steady"
    assert found.q_value <= 0.01
    assert found.exhausts_at == pytest.approx(END + 6 * GIB / (2 * MIB) * 3600, rel=0.1)
    assert found.summary.startswith(f"n3: {cache} has grown by 4")


def test_when_it_began() -> None:
    nodes = make_fleet(5)
    leaking(nodes, 0, "constant-0", 2 * MIB, START + 9 * 3600)
    (found,) = judged(nodes).findings
    assert found.since == pytest.approx(START + 9 * 3600, abs=2 * 3600)
    assert not found.since_open
    assert found.growth_bytes == pytest.approx(30 * MIB, rel=0.15)


@pytest.mark.parametrize("hours", [10, 11.5, 12.5, 14, 17])
def test_a_leak_that_began_within_the_window_is_not_said_to_precede_it(hours: float) -> None:
    nodes = make_fleet(5)
    leaking(nodes, 1, "churn-1", 3 * MIB, START + hours * 3600)
    (found,) = judged(nodes).findings
    assert found.since == pytest.approx(START + hours * 3600, abs=2 * 3600)
    assert not found.since_open


def test_a_fast_leak_since_two_hours_ago() -> None:
    nodes = make_fleet(5, interval=60)
    leaking(nodes, 1, "churn-1", 30 * MIB, END - 7200)
    (found,) = judged(nodes).findings
    assert found.node == "n2"
    assert found.since == pytest.approx(END - 7200, abs=1800)


def test_a_leak_that_stopped_is_still_a_finding() -> None:
    nodes = make_fleet(5)
    leaking(nodes, 1, "churn-1", 5 * MIB, START + 3 * 3600, until=START + 15 * 3600)
    (found,) = judged(nodes).findings
    assert found.shape == "stopped"
    assert found.exhausts_at is None


def test_a_rise_that_all_nodes_share_hides_no_leak_in_a_cache_that_stands_still_elsewhere() -> None:
    nodes = make_fleet(6)
    morning = 1 + 0.3 * (nodes[0].time - START) / DAY
    for node in nodes:
        rising_all = {name: y * morning for name, y in node.caches.items()}
        node.caches = {**rising_all, "constant-0": node.caches["constant-0"] + 59 * MIB}
    leaking(nodes, 2, "constant-0", 1.5 * MIB)
    for hours in (6, 24):
        found = judged(nodes, START + hours * 3600, hours * 3600)
        assert [(one.node, one.cache) for one in found.findings if one.kind == "outlier"] == [("n3", "constant-0")]


@pytest.mark.parametrize("hours", [3, 5, 8, 12])
def test_the_last_part_of_a_cache_that_fills_is_no_leak(hours: float) -> None:
    nodes = make_fleet(5)
    node = nodes[1]
    filling = 60 * MIB * (1 - np.exp(-(node.time - START) / (hours * 3600)))
    node.caches = {**node.caches, "constant-3": node.caches["constant-3"] + filling}
    assert judged(nodes).findings == ()


def test_a_step_that_stays_is_no_leak() -> None:
    nodes = make_fleet(5)
    node = nodes[1]
    node.caches = {**node.caches, "constant-3": node.caches["constant-3"] + 40 * MIB * (node.time > START + 40000)}
    assert judged(nodes).findings == ()


def test_a_cache_that_fills_is_no_leak() -> None:
    nodes = make_fleet(5)
    node = nodes[1]
    filling = 60 * MIB * (1 - np.exp(-(node.time - START) / (5 * 3600)))
    node.caches = {**node.caches, "constant-3": node.caches["constant-3"] + filling}
    assert judged(nodes).findings == ()


def test_fragmentation_is_no_leak() -> None:
    nodes = make_fleet(5)
    node = nodes[1]
    before = node.caches["churn-1"]
    node.active = {"churn-1": before}
    leaking(nodes, 1, "churn-1", 2 * MIB)
    assert judged(nodes).findings == ()


def test_what_does_not_matter_is_no_finding() -> None:
    nodes = make_fleet(5)
    leaking(nodes, 1, "constant-0", 0.02 * MIB)
    assert judged(nodes).findings == ()


def test_reclaimable_caches_need_more_proof() -> None:
    nodes = make_fleet(5)
    leaking(nodes, 1, "constant-0", 2 * MIB)
    nodes[1].reclaimable = {"constant-0": True}
    found = judged(nodes)
    assert found.findings == ()
    assert [one.cache for one in found.watch] == ["constant-0"]
    assert found.watch[0].evidence["not_passed"] == "reclaimable"


def test_lockstep_caches_are_one_leak() -> None:
    nodes = make_fleet(5)
    for cache, per_hour in (("constant-0", 1.0), ("constant-3", 3.0), ("constant-6", 2.0)):
        leaking(nodes, 1, cache, per_hour * MIB)
    (found,) = judged(nodes).findings
    assert found.cache == "constant-3"
    assert [one.cache for one in found.also] == ["constant-6", "constant-0"]
    assert found.exhausts_at == pytest.approx(END + 6 * GIB / (6 * MIB) * 3600, rel=0.1)


def test_what_matters_only_with_its_lockstep_caches_is_one_leak() -> None:
    """8 GiB in 24 h: 30 KB/h matter."""
    nodes = make_fleet(5)
    leaking(nodes, 1, "constant-0", 0.015 * MIB)
    assert judged(nodes).findings == ()
    for cache in ("constant-3", "constant-6"):
        leaking(nodes, 1, cache, 0.014 * MIB)
    (found,) = judged(nodes).findings
    assert (found.cache, [one.cache for one in found.also]) == ("constant-0", ["constant-3", "constant-6"])
    nodes[1].reclaimable = {"constant-3": True, "constant-6": True}
    assert judged(nodes).findings == ()


def test_the_last_hours_of_what_fills_are_no_leak_by_themselves() -> None:
    nodes = make_fleet(5, interval=60)
    passed = np.maximum(nodes[1].time - (END - 4 * 3600), 0.0) / 3600
    nodes[1].caches = {
        **nodes[1].caches,
        "constant-0": nodes[1].caches["constant-0"] + 30 * MIB * (1 - np.exp(-passed / 8)),
    }
    found = judged(nodes)
    assert found.findings == ()
    assert [(one.cache, one.evidence["not_passed"]) for one in found.watch] == [("constant-0", "bends")]


def test_all_nodes_growing_is_the_fleets_finding() -> None:
    nodes = make_fleet(5)
    for number in range(5):
        leaking(nodes, number, "churn-1", (1 + 0.1 * number) * MIB)
    (found,) = judged(nodes).findings
    assert (found.kind, found.node, found.cache) == ("fleet", None, "churn-1")
    assert found.bytes_per_hour == pytest.approx(1.2 * MIB, rel=0.1)
    assert found.summary.startswith("5 of 5 nodes of lvs: churn-1")


def test_what_has_stopped_on_all_nodes_will_not_exhaust_their_memory() -> None:
    nodes = make_fleet(5)
    for number in range(5):
        leaking(nodes, number, "constant-0", 8 * MIB, until=START + 17.5 * 3600)
    (found,) = judged(nodes).findings
    assert (found.kind, found.cache, found.shape, found.exhausts_at) == ("fleet", "constant-0", "stopped", None)
    assert "it has stopped growing" in found.summary


def test_a_cache_that_fills_on_all_nodes_is_watched() -> None:
    nodes = make_fleet(5)
    for node in nodes:
        filled = 30 * MIB * (1 - np.exp(-(node.time - START) / DAY * 3))
        node.caches = {**node.caches, "constant-0": node.caches["constant-0"] + filled}
    found = judged(nodes)
    assert found.findings == ()
    assert [(one.kind, one.cache, one.evidence["not_passed"]) for one in found.watch] == [
        ("fleet", "constant-0", "bends")
    ]


def test_what_does_not_matter_on_any_node_is_no_finding_of_the_fleet() -> None:
    nodes = make_fleet(5)
    for number in range(5):
        leaking(nodes, number, "constant-0", 0.02 * MIB)
    assert judged(nodes).findings == ()


def test_all_nodes_growing_since_the_week_was_half_over_is_the_fleets_finding() -> None:
    nodes = make_fleet(5, hours=168, interval=3600)
    for number in range(5):
        leaking(nodes, number, "constant-0", 0.2 * MIB, START + 75 * 3600)
    (found,) = judged(nodes, START + 7 * DAY, 7 * DAY).findings
    assert (found.kind, found.cache) == ("fleet", "constant-0")
    assert found.since == pytest.approx(START + 75 * 3600, abs=12 * 3600)


def test_a_fleet_of_one_yields_only_watch() -> None:
    nodes = make_fleet(1)
    leaking(nodes, 0, "constant-0", 2 * MIB)
    found = judged(nodes)
    assert found.findings == ()
    assert [(one.cache, one.peer_bytes_per_hour) for one in found.watch] == [("constant-0", None)]
    assert any("only one node" in note.note for note in found.notes)


def test_two_nodes_are_enough_for_a_plain_leak() -> None:
    nodes = make_fleet(2)
    leaking(nodes, 0, "churn-1", 2 * MIB)
    (found,) = judged(nodes).findings
    assert found.node == "n1"


def test_a_cache_that_only_one_node_lists_is_judged_by_itself() -> None:
    nodes = make_fleet(4)
    node = nodes[2]
    node.caches = {**node.caches, "ndpi_ctinfo": level(node.time, MIB) + rising(node.time, 2 * MIB)}
    (found,) = judged(nodes).findings
    assert (found.cache, found.peer_bytes_per_hour) == ("ndpi_ctinfo", None)


def test_a_cache_that_comes_into_being_is_no_growth_from_zero() -> None:
    nodes = make_fleet(4)
    node = nodes[2]
    late = np.where(node.time > START + 40000, 80 * MIB, np.nan)
    node.caches = {**node.caches, "nfsd_file": late}
    assert judged(nodes).findings == ()


def test_groups_are_judged_apart() -> None:
    nodes = make_fleet(4)
    others = [replace(node, name=f"web-{node.name}", group="web") for node in make_fleet(4, seed=9)]
    leaking(others, 0, "churn-1", 2 * MIB)
    both = judged([*nodes, *others])
    assert [group.group for group in both.groups] == ["lvs", "web"]
    assert [one.group for one in both.findings] == ["web"]
    assert judged([*nodes, *others], group="web").findings == both.findings
    assert judged([*nodes, *others], group="lvs").findings == ()


def test_the_order_of_nodes_and_caches_is_irrelevant() -> None:
    nodes = make_fleet(5)
    leaking(nodes, 2, "churn-4", 2 * MIB)
    expected = judged(nodes)
    shuffled = list(nodes)
    random.Random(4).shuffle(shuffled)
    for number, node in enumerate(shuffled):
        names = list(node.caches)
        random.Random(number).shuffle(names)
        shuffled[number] = replace(node, caches={name: node.caches[name] for name in names})
    assert judged(shuffled) == expected


def test_scaling_all_sizes_scales_the_rates() -> None:
    nodes = make_fleet(5)
    leaking(nodes, 2, "churn-4", 2 * MIB)
    small = judged(nodes).findings[0]
    bigger = [
        replace(
            node,
            caches={name: 8 * y for name, y in node.caches.items()},
            sizes=dict.fromkeys(node.caches, 8 * 512),
            memory=64 * GIB,
            available=48 * GIB,
        )
        for node in nodes
    ]
    big = judged(bigger).findings[0]
    assert big.bytes_per_hour == pytest.approx(8 * small.bytes_per_hour)
    assert big.score == pytest.approx(small.score, rel=1e-3)
    assert big.exhausts_at == pytest.approx(small.exhausts_at)


def test_a_healthy_node_more_does_not_unmake_a_finding() -> None:
    nodes = make_fleet(6)
    leaking(nodes, 2, "churn-4", 2 * MIB)
    assert [one.cache for one in judged(nodes[:5]).findings] == ["churn-4"]
    assert [one.cache for one in judged(nodes).findings] == ["churn-4"]


def test_who_was_left_out_is_said() -> None:
    nodes = make_fleet(4)
    node = nodes[0]
    late = slice(-3, None)
    nodes[0] = replace(
        node, time=node.time[late], caches={name: y[late] for name, y in node.caches.items()}, uptime=120.0
    )
    notes = {note.node: note.note for note in judged(nodes).notes}
    assert notes["n1"].startswith("left out: booted")


def test_a_window_wider_than_the_data_judges_the_data() -> None:
    nodes = make_fleet(5)
    leaking(nodes, 2, "churn-1", 2 * MIB)
    whole, wide = judged(nodes), judged(nodes, seconds=10 * DAY)
    assert wide.start == END - 10 * DAY
    assert (wide.findings, wide.watch, wide.groups) == (whole.findings, whole.watch, whole.groups)
    assert len(whole.findings) == 1
    assert [note for note in wide.notes if note not in whole.notes] == [
        Note(None, "group lvs: its data begin in the last 1d of the window; judged over that, not 10d")
    ]


def test_a_few_minutes_in_a_day_s_window_are_said_once() -> None:
    """Finer buckets show better where the data begin; what each of them showed was said, one against the other."""
    nodes = [replace(node, **_since(node, END - 1800)) for node in make_fleet(4, interval=60.0)]
    said = [note.note for note in judged(nodes).notes if "data begin" in note.note]
    assert said == ["group lvs: its data begin in the last 1h of the window; judged over that, not 1d"]


def test_a_young_group_is_judged_over_its_own_data_beside_an_old_one() -> None:
    young = [
        replace(node, name=f"y{node.name}", group="young", **_since(node, END - 4 * 3600)) for node in make_fleet(5, 3)
    ]
    leaking(young, 2, "constant-0", 8 * MIB)
    found = judged(make_fleet(5) + young)
    assert [group.group for group in found.groups] == ["lvs", "young"]
    assert [(one.group, one.node) for one in found.findings] == [("young", "yn3")]


def _since(node: Node, first: float) -> dict[str, Any]:
    kept = node.time >= first
    return {"time": node.time[kept], "caches": {name: y[kept] for name, y in node.caches.items()}}


def test_an_empty_source_gives_an_empty_judgement() -> None:
    found = judged([])
    assert (found.groups, found.findings, found.watch) == ((), (), ())
    assert [note.node for note in found.notes] == [None]


def test_a_single_snapshot_is_too_little_and_said_so() -> None:
    nodes = [
        replace(node, time=node.time[-1:], caches={name: y[-1:] for name, y in node.caches.items()})
        for node in make_fleet(3)
    ]
    found = judged(nodes)
    assert found.findings == ()
    assert {note.node for note in found.notes} >= {"n1", "n2", "n3"}
    assert not [note.note for note in found.notes if "judged over" in note.note]  # nothing was
