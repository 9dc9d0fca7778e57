"""One cache on every node side by side: rates, peers, who stands out."""

from __future__ import annotations

import pytest

from server.analysis.caches import CacheSummary, list_caches
from server.analysis.compare import FEW, Comparison, compare
from server.analysis.judge import judge
from server.analysis.study import study
from server.analysis.tracks import make_tracks
from server.analysis.types import AnalysisSettings
from tests.analysis.series import MIB, START, ArraySource, Node, fleet, level, rising

END = START + 86400.0


def compared(nodes: list[Node], cache: str, points: int = 300, **settings: float) -> Comparison:
    source = ArraySource(nodes)
    studied = study(source, start=START, end=END, group=None, settings=AnalysisSettings(**settings))
    return compare(source, cache, start=START, end=END, group=None, points=points, studied=studied)


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
