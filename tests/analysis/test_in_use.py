"""Slabs that stay half empty hide what the peers' objects in use do."""

from __future__ import annotations

import numpy as np
import pytest

from server.analysis.bench import Bench
from server.analysis.candidates import candidates_of
from server.analysis.in_use import beside_peers
from server.analysis.judge import judge
from server.analysis.panel import make_panel
from server.analysis.survey import survey
from server.analysis.tracks import make_tracks
from server.analysis.trend import fit, floors
from server.analysis.types import AnalysisSettings, Judgement
from server.analysis.windows import Span
from tests.analysis.naive import known_median
from tests.analysis.series import MIB, START, ArraySource, Node, fleet, rising

SECONDS, SLAB = 900.0, 8192.0
PEERS = (0.9, -0.6, 0.5, -1.1, 0.7)
"""MiB by which the peers' objects in use drift in a quarter of an hour."""


def drifting(peers: tuple[float, ...] = PEERS, own: float = 1.0) -> list[Node]:
    """Six nodes with 8 MiB of sessions; allocated is the most that was in use, which only n1 passes in the window."""
    nodes = fleet(1 + len(peers), hours=SECONDS / 3600, interval=8.0)
    for node, drift in zip(nodes, (own, *peers), strict=True):
        used = 8 * MIB + rising(node.time, 4 * drift * MIB)
        highest = 8 * MIB if node is nodes[0] else 10 * MIB
        held = np.ceil(np.maximum(np.maximum.accumulate(used), highest) / SLAB) * SLAB
        node.caches, node.active = {**node.caches, "sessions": held}, {"sessions": used}
    return nodes


def judged(nodes: list[Node]) -> Judgement:
    return judge(ArraySource(nodes), start=START, end=START + SECONDS, group=None, settings=AnalysisSettings())


def test_where_only_one_node_passes_what_it_ever_held_the_peers_use_moves_as_much() -> None:
    found = judged(drifting())
    assert found.findings == ()
    (row,) = [row for row in found.watch if row.cache == "sessions"]
    assert (row.node, row.evidence["not_passed"]) == ("n1", "in use")
    assert isinstance(beside := row.evidence["in_use"], float)
    assert 0 < beside < 2


@pytest.mark.parametrize("peers", [(0.0,) * 5, (0.02, -0.05, 0.01, -0.02, 0.0)])
def test_where_the_peers_use_stands_still_it_is_a_leak(peers: tuple[float, ...]) -> None:
    found = judged(drifting(peers))
    assert [(row.node, row.cache) for row in found.findings] == [("n1", "sessions")]


def test_what_all_use_more_of_is_expected_here_too() -> None:
    found = judged(drifting((0.95, 1.0, 1.05, 1.0, 0.98), own=1.01))
    assert "sessions" not in {row.cache for row in found.findings}


@pytest.mark.parametrize("minutes", [24, 45, 90])
def test_a_swing_that_all_share_hides_no_leak(minutes: int) -> None:
    nodes = fleet(6, hours=minutes / 60, interval=10.0)
    for number, node in enumerate(nodes):
        swing = 0.2 * np.sin(2 * np.pi * ((node.time - START) / (minutes * 60) + 0.3))
        noise = 0.01 * np.random.default_rng(number).standard_normal((3, len(node.time)))
        loads = {f"sessions-{k}": (k + 1) * 8 * MIB * (1 + swing) * (1 + noise[k]) for k in range(3)}
        if number == 1:
            loads["sessions-1"] += rising(node.time, 12 * MIB * 60 / minutes)
        node.caches = {**node.caches, **loads}
    found = judge(ArraySource(nodes), start=START, end=START + minutes * 60, group=None, settings=AnalysisSettings())
    assert [(row.node, row.cache) for row in found.findings] == [("n2", "sessions-1")]


def test_the_peers_use_is_what_asking_one_by_one_gives() -> None:
    nodes = drifting()
    nodes[3].caches = {name: y for name, y in nodes[3].caches.items() if name != "sessions"}
    span = Span(START, START + SECONDS, 30.0, whole=True)
    tracks = make_tracks(list(ArraySource(nodes).window(span.start, span.end, 5)))
    panel = make_panel(tracks, span.width, AnalysisSettings())
    surveyed = survey(panel, span)
    (column,) = [k for k, name in enumerate(panel.names) if name == "sessions"]
    bench = Bench(surveyed, np.array([column]))
    asked = np.arange(len(panel.names)) == column
    (found,) = candidates_of(surveyed, bench.promising(asked))
    kept, compared = bench.compare(found, np.ones(len(found.rows), dtype=bool))
    found = found.take(kept)
    assert [panel.tracks[row].node for row in found.rows.tolist()] == ["n1"]
    own, medians, spreads = beside_peers(surveyed, bench, found, compared)

    grown, errors = [], []
    for track in (track for track in tracks if track.node != "n1" and "sessions" in track.index):
        number = np.floor_divide(track.time, span.width)
        starts = np.flatnonzero(np.diff(number, prepend=np.nan))
        used = floors(track.active[:, [track.index["sessions"]]], starts)
        trend = fit(number[starts] * span.width, used)
        grown.append(float(trend.growth[0]))
        errors.append(float(trend.error[0]))
    middle = known_median(grown)
    spread = max(1.4826 * known_median([abs(one - middle) for one in grown]), known_median(errors))
    assert len(grown) == 4
    assert own.growth[0] == pytest.approx(MIB, rel=0.05)
    assert medians[0] == pytest.approx(middle * compared.scale[0], rel=0.01)
    assert spreads[0] == pytest.approx(1.36 * spread * compared.scale[0], rel=0.01)
