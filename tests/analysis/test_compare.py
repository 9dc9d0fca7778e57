"""One cache on every node side by side: rates, peers, who stands out."""

from __future__ import annotations

import numpy as np
import pytest

from server.analysis.caches import CacheSummary, list_caches
from server.analysis.compare import FEW, Comparison, compare
from server.analysis.judge import judge
from server.analysis.peers import compare_to_peers, scales_to
from server.analysis.study import study
from server.analysis.tracks import make_tracks
from server.analysis.trend import fit
from server.analysis.types import AnalysisSettings
from tests.analysis.series import MIB, START, ArraySource, Node, fleet, level, rising

END = START + 86400.0


def compared(
    nodes: list[Node], cache: str, points: int = 300, most: int | None = None, **settings: float
) -> Comparison:
    source = ArraySource(nodes)
    studied = study(source, start=START, end=END, group=None, settings=AnalysisSettings(**settings))
    return compare(source, cache, start=START, end=END, group=None, points=points, most=most, studied=studied)


def listed(nodes: list[Node]) -> dict[str, CacheSummary]:
    source = ArraySource(nodes)
    judgement = judge(source, start=START, end=END, group=None, settings=AnalysisSettings())
    found = list_caches(source, start=START, end=END, group=None, judgement=judgement)
    return {one.cache: one for one in found}


def leaking() -> list[Node]:
    nodes = fleet(5)
    node = nodes[3]
    node.caches = {**node.caches, "churn-4": node.caches["churn-4"] + rising(node.time, 2 * MIB)}
    return nodes


def test_the_outstanding_come_first() -> None:
    found = compared(leaking(), "churn-4", points=50)
    assert found.nodes[0].node == "n4"
    assert [row.stands_out for row in found.nodes] == [True, False, False, False, False]
    assert found.nodes[0].bytes_per_hour == pytest.approx(2 * MIB, rel=0.1)
    assert found.nodes[0].score is not None
    assert found.nodes[0].score > 6
    assert found.median == pytest.approx(0, abs=0.05 * MIB)
    assert found.spread is not None
    assert found.spread > 0
    assert all(0 < len(row.series) <= 50 for row in found.nodes)
    assert found.nodes[0].series[0][0] == pytest.approx(START, abs=3600)


def test_each_node_is_measured_by_all_others() -> None:
    """Three leak, each at a pace of its own, one of them from late on: as many cells less."""
    nodes = fleet(70)
    for number, node in enumerate(nodes[:3], 1):
        node.caches = {**node.caches, "churn-4": node.caches["churn-4"] + rising(node.time, number * MIB)}
    late = nodes[1]
    late.caches = {**late.caches, "churn-4": np.where(late.time < START + 8 * 3600, np.nan, late.caches["churn-4"])}
    found = compared(nodes, "churn-4", most=4)
    assert [len(row.series) > 0 for row in found.nodes] == [True] * 4 + [False] * 66
    rates: dict[str, tuple[float, float, float, float]] = {}
    for track in make_tracks(list(ArraySource(nodes).window(START, END, 3600))):
        y = track.allocated[:, track.index["churn-4"]]
        t, y = track.time[np.isfinite(y)], y[np.isfinite(y)]
        trend, hours = fit(t, y[:, None]), float(t[-1] - t[0]) / 3600
        error = max(float(trend.error[0]), 1.0) / hours
        rates[track.node] = (float(trend.growth[0]) / hours, error, float(y[0]), float(trend.noise[0]))
    for row in found.nodes:
        rate, error, level, noise = rates[row.node]
        others = np.array([one for name, one in rates.items() if name != row.node])
        scales = scales_to(level, noise, others[:, 2], others[:, 3], np.ones(len(others)))
        peers = compare_to_peers(others[:, 0], others[:, 1], scales)
        assert row.bytes_per_hour == pytest.approx(rate)
        assert row.score == pytest.approx((rate - peers.median) / float(np.hypot(error, peers.spread)))


def test_any_spelling_finds_the_cache() -> None:
    nodes = fleet(3)
    for number, node in enumerate(nodes):
        node.caches = {**node.caches, f"kmalloc-rnd-0{number + 1}-1k": level(node.time, MIB)}
    for name in ("kmalloc-1k", "kmalloc-1024", "kmalloc-rnd-09-1k"):
        found = compared(nodes, name)
        assert found.cache == "kmalloc-1k"
        assert len(found.nodes) == 3
    assert found.members == ("kmalloc-rnd-01-1k", "kmalloc-rnd-02-1k", "kmalloc-rnd-03-1k")


def test_a_merged_cache_is_found_by_its_alias() -> None:
    nodes = fleet(3)
    for node in nodes:
        node.caches = {**node.caches, "PING": level(node.time, MIB)}
        node.aliases = {"PING": ("UNIX",)}
    found = compared(nodes, "UNIX")
    assert (found.cache, found.members, len(found.nodes)) == ("UNIX", ("PING",), 3)


def test_an_unknown_cache_is_on_no_node() -> None:
    found = compared(fleet(2), "nothing")
    assert found.nodes == ()
    assert found.median is None


def test_one_node_has_no_peers_to_be_compared_with() -> None:
    (row,) = compared(fleet(1), "load-2").nodes
    assert row.score is None
    assert row.bytes_per_hour is not None


def test_caches_are_listed_with_their_sums() -> None:
    found = listed(leaking())
    assert found["constant-0"].nodes == 5
    assert found["constant-0"].allocated_bytes == pytest.approx(5 * MIB, rel=0.01)
    assert found["constant-0"].bytes_per_hour == 0
    assert not found["churn-4"].fleet_growth


def test_fleet_growth_is_marked() -> None:
    nodes = fleet(4)
    for node in nodes:
        node.caches = {**node.caches, "churn-4": node.caches["churn-4"] + rising(node.time, 2 * MIB)}
    found = listed(nodes)
    assert found["churn-4"].fleet_growth
    assert found["churn-4"].bytes_per_hour == pytest.approx(2 * MIB, rel=0.1)


def test_who_stands_out_goes_by_the_settings() -> None:
    found = compared(leaking(), "churn-4", material_fraction=1.0, material_bytes_per_hour=1e12)
    assert found.nodes[0].node == "n4"
    assert not any(row.stands_out for row in found.nodes)


def test_the_names_looked_for_are_those_of_the_tracks() -> None:
    nodes = fleet(4)
    for node in nodes[:3]:
        node.caches = {**node.caches, "PING": level(node.time, MIB), "kmalloc-rnd-03-1k": level(node.time, MIB)}
        node.aliases = {"PING": ("UNIX", "dm_io")}
    nodes[3].caches = {**nodes[3].caches, "UNIX": level(nodes[3].time, MIB), "kmalloc-1024": level(nodes[3].time, MIB)}
    source = ArraySource(nodes)
    studied = study(source, start=START, end=END, group=None, settings=AnalysisSettings())
    tracks = make_tracks(sorted(source.window(START, END, 3600), key=lambda node: node.node))
    listed_names = {name for track in tracks for name in track.names}
    assert len(listed_names) > 5
    for cache in sorted(listed_names):
        assert studied.spellings(cache) >= {
            member for track in tracks if cache in track.index for member in track.facts[track.index[cache]].members
        }
    assert studied.spellings("dm_io") == {"PING"}
    assert studied.spellings("nothing") == set()


def test_of_many_nodes_the_series_are_as_coarse_as_the_judgement() -> None:
    found = compared(fleet(FEW + 1, hours=6.0), "churn-4")
    assert len(found.nodes) == FEW + 1
    assert all(len(row.series) <= 25 for row in found.nodes)
    assert all(row.score is not None for row in found.nodes)
