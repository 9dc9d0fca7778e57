"""Memory that grows and that slab does not explain: said in a note, on whom, and when it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings, Judgement
from server.simulator.families import FAMILIES, Terms
from server.simulator.fleet import Fleet
from tests.analysis.series import GIB, MIB, START, ArraySource, Floats, Node, daily, rising
from tests.analysis.series import fleet as make_fleet

DAY = 86400.0


def judged(nodes: list[Node], seconds: float = DAY) -> Judgement:
    end = START + DAY
    return judge(ArraySource(nodes), start=end - seconds, end=end, group=None, settings=AnalysisSettings())


def notes(nodes: list[Node], seconds: float = DAY) -> list[tuple[str | None, str]]:
    return [(one.node, one.note) for one in judged(nodes, seconds).notes]


def using(node: Node, other: Floats | float, unlisted: Floats | float = 0.0) -> Node:
    """The node with 1 GiB and `other` bytes in use outside slab, and slab that no cache lists; meminfo adds up."""
    held = sum(node.caches.values()) + unlisted
    wobble = 4 * MIB * np.random.default_rng(len(node.name) + int(node.name[1:])).standard_normal(len(node.time))
    return replace(node, available=7 * GIB - other - held + wobble, slab=(0.0, held))


def plain() -> list[Node]:
    return [using(node, 0.0) for node in make_fleet(5)]


def test_a_healthy_fleet_has_no_note() -> None:
    assert notes(plain()) == []


def test_memory_outside_slab_that_grows_on_one_node_is_said_of_that_node() -> None:
    nodes = plain()
    nodes[1] = using(nodes[1], rising(nodes[1].time, 30 * MIB))
    found = judged(nodes)
    assert found.findings == ()
    ((node, note),) = [(one.node, one.note) for one in found.notes]
    assert node == "n2"
    assert note.startswith("memory in use grows that slab does not explain, by 7")
    assert "its 4 peers by" in note
    assert "processes" in note


def test_on_all_nodes_it_is_one_note_for_the_group() -> None:
    nodes = [using(node, rising(node.time, 30 * MIB)) for node in make_fleet(5)]
    ((node, note),) = notes(nodes)
    assert node is None
    assert note.startswith(
        "group lvs: memory in use grows that slab does not explain on 5 of 5 nodes, in the median by"
    )


def test_on_one_node_alone_it_is_said_without_peers() -> None:
    nodes = [using(node, rising(node.time, 30 * MIB)) for node in make_fleet(1)]
    ((node, note),) = [one for one in notes(nodes) if one[0]]
    assert node == "n1"
    assert "peer" not in note


def test_what_a_cache_explains_is_a_finding_and_no_note() -> None:
    nodes = make_fleet(5)
    nodes[1].caches = {**nodes[1].caches, "constant-0": nodes[1].caches["constant-0"] + rising(nodes[1].time, 30 * MIB)}
    found = judged([using(node, 0.0) for node in nodes])
    assert [one.cache for one in found.findings] == ["constant-0"]
    assert found.notes == ()


def test_what_reclaimable_slab_explains_is_no_note() -> None:
    nodes = plain()
    node, grown = nodes[1], rising(nodes[1].time, 30 * MIB)
    caches = {**node.caches, "dentry": grown + MIB}
    # The kernel counts at least half of reclaimable slab as available (mm/show_mem.c, si_mem_available).
    nodes[1] = replace(node, caches=caches, available=node.available - 0.5 * grown, slab=(grown + MIB, node.slab[1]))
    assert notes(nodes) == []


def test_slab_that_no_cache_lists_is_said_with_its_own_cause() -> None:
    nodes = plain()
    nodes[1] = using(nodes[1], 0.0, rising(nodes[1].time, 30 * MIB))
    ((node, note),) = notes(nodes)
    assert node == "n2"
    assert note.startswith("slab grows in /proc/meminfo by more than its caches explain, by 7")
    assert "kmalloc" in note


def test_a_process_that_starts_is_no_growth() -> None:
    nodes = plain()
    nodes[1] = using(nodes[1], 800 * MIB * (nodes[1].time > START + DAY / 2).astype(np.float64))
    assert notes(nodes) == []


def test_a_days_rhythm_is_no_growth() -> None:
    nodes = [
        using(node, daily(node.time, GIB / 2, 0.6, phase_hours=5.0 * number))
        for number, node in enumerate(make_fleet(5))
    ]
    assert notes(nodes) == []


def test_what_does_not_matter_is_not_said() -> None:
    nodes = plain()
    nodes[1] = using(nodes[1], rising(nodes[1].time, 0.3 * MIB))
    assert notes(nodes) == []


def test_a_quarter_of_an_hour_is_too_short_to_say() -> None:
    nodes = [using(node, 0.0) for node in make_fleet(5, interval=10)]
    nodes[1] = using(nodes[1], rising(nodes[1].time, 3 * GIB, since=START + DAY - 1000))
    assert [note for _, note in notes(nodes, 900.0) if "memory" in note] == []


@pytest.mark.parametrize("missing", ["memory", "available", "slab"])
def test_what_the_kernel_does_not_say_is_not_guessed(missing: str) -> None:
    nodes = plain()
    nodes[1] = using(nodes[1], rising(nodes[1].time, 30 * MIB))
    unknown = {"memory": None, "available": np.nan, "slab": (np.nan, np.nan)}[missing]
    assert notes([replace(node, **{missing: unknown}) for node in nodes]) == []  # type: ignore[arg-type] # a Node's field


def test_a_node_with_gaps_is_judged_from_what_it_says() -> None:
    nodes = plain()
    nodes[1] = using(nodes[1], rising(nodes[1].time, 30 * MIB))
    nodes[1] = _cut(nodes[1], np.abs(nodes[1].time - START - DAY / 2) > 4000)
    nodes[2] = _cut(nodes[2], nodes[2].time > START + 5000)
    assert [node for node, _ in notes(nodes)] == ["n2"]


def test_a_boot_that_covers_half_of_the_window_is_left_out() -> None:
    nodes = plain()
    nodes[1] = using(nodes[1], rising(nodes[1].time, 30 * MIB))
    nodes[1] = _cut(nodes[1], nodes[1].time > START + DAY / 2)
    assert notes(nodes) == []


def _cut(node: Node, kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Node:
    assert isinstance(node.available, np.ndarray)
    return replace(
        node,
        time=node.time[kept],
        caches={name: y[kept] for name, y in node.caches.items()},
        available=node.available[kept],
        slab=(0.0, np.asarray(node.slab[1])[kept]),
    )


@pytest.mark.parametrize(
    ("family", "said"), [("pages", "memory in use grows"), ("large-kmalloc", "slab grows in /proc/meminfo")]
)
def test_simulated_pages_that_leak_are_noted_and_nothing_is_found(family: str, said: str) -> None:
    spec = FAMILIES[family].build(Terms(910, hours=24, interval=600, nodes=5)).spec
    found = judge(Fleet(spec), start=spec.start, end=spec.start + DAY, group=None, settings=AnalysisSettings())
    assert found.findings == ()
    (leaking,) = [node.name for node in spec.nodes if node.page_leaks]
    assert [one.node for one in found.notes] == [leaking]
    assert found.notes[0].note.startswith(said)
