"""Steps of a level: told from what it moves all the time, and what a rise in steps is measured against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.analysis.judge import judge
from server.analysis.panel import make_panel
from server.analysis.past import FEWEST_CELLS, GAP, STEP, TWO_SLABS, Past, by_chance, jumps
from server.analysis.scan import scan
from server.analysis.tracks import Track, cells, make_tracks
from server.analysis.types import AnalysisSettings, Judgement
from server.analysis.windows import Span
from tests.analysis import naive
from tests.analysis.series import MIB, START, ArraySource, Floats, Node, fleet, rising

DAY, HOUR = 86400.0, 3600.0
CACHE = "constant-0"
LEVELS = st.one_of(st.integers(0, 40).map(lambda v: v * 4096.0), st.just(math.nan))


def hours(y: Sequence[float] | Floats) -> Floats:
    return np.asarray(np.arange(float(len(y))) * HOUR)


@given(st.lists(LEVELS, max_size=30))
def test_jumps_equal_the_oracle(y: list[float]) -> None:
    t = hours(y)
    assert jumps(t, np.array(y)).tolist() == naive.jumps(t.tolist(), y, STEP, FEWEST_CELLS, TWO_SLABS, GAP)


def test_a_burst_and_a_slope_are_no_jumps() -> None:
    level = np.full(24, 1e6)
    level[10:12] = 9e6
    up = np.r_[np.full(12, 1e5), np.full(12, 5e5)]
    assert not jumps(hours(level), level).any()
    assert not jumps(hours(level), np.arange(24.0) * 1e6).any()
    assert not jumps(hours(level), np.r_[np.full(12, 0.0), np.full(12, 8192.0)]).any()
    assert jumps(hours(up), up).sum() == 4e5


def test_what_rose_while_nothing_was_known_is_no_jump() -> None:
    """An agent that was away, on a node with a leak: its peers would be said to step as far."""
    t = np.arange(24.0) * HOUR
    y = 2e6 * np.arange(24.0)
    known = (t < 6 * HOUR) | (t > 15 * HOUR)
    assert not jumps(t[known], y[known]).any()
    assert not jumps(t, np.where(known, y, np.nan)).any()
    assert jumps(hours(y[known]), y[known]).any()


def stepped(node: Node, steps: dict[float, float]) -> None:
    """`steps`: by how many bytes from which hour on."""
    rise = sum(size * (node.time >= START + hour * HOUR) for hour, size in steps.items())
    node.caches = {**node.caches, CACHE: node.caches[CACHE] + rise}


def judged(nodes: list[Node]) -> Judgement:
    return judge(ArraySource(nodes), start=START, end=START + DAY, group=None, settings=AnalysisSettings())


UP: dict[float, float] = dict.fromkeys((2, 5, 9, 12, 16, 20), 1.5 * MIB)


def test_steps_up_are_a_leak_where_the_others_stand_still() -> None:
    nodes = fleet(6)
    stepped(nodes[2], UP)
    assert [(one.node, one.cache) for one in judged(nodes).findings] == [("n3", CACHE)]


def test_a_few_steps_up_are_watched_until_chance_would_hardly_make_them() -> None:
    nodes = fleet(6)
    stepped(nodes[2], dict.fromkeys((2, 7, 12, 17), 1.5 * MIB))
    found = judged(nodes)
    assert not found.findings
    assert [(one.node, one.cache, one.evidence["not_passed"]) for one in found.watch] == [("n3", CACHE, "step")]


def test_over_a_day_a_rise_of_which_one_sixth_makes_half_may_be_a_step() -> None:
    for share, failed in ((0.55, True), (0.4, False)):
        nodes = fleet(6)
        time = nodes[2].time
        edges = np.array([0, 8, 12, 24]) * HOUR
        wide = np.interp(time, START + edges, np.array([0, 1 - share, 1 + share, 2]) * 8 * MIB)
        nodes[2].caches = {**nodes[2].caches, CACHE: nodes[2].caches[CACHE] + wide}
        tracks = make_tracks(list(ArraySource(nodes).window(START, START + DAY, 3600)))
        span = Span(START, START + DAY, 3600.0, whole=True)
        (sign,) = [
            sign
            for sign in scan(make_panel(tracks, span.width, AnalysisSettings()), span, Past(tracks, 3600.0)).signs
            if (sign.track.node, sign.cache) == ("n3", CACHE)
        ]
        assert sign.score > 6
        assert ("step" in sign.failed) == failed


def level_of(*steps: float) -> Floats:
    """Four cells at each level."""
    return np.repeat(np.cumsum([4e6, *steps]), 4)


def chance(y: Floats) -> bool:
    return by_chance(hours(y), y)


def test_a_rise_of_some_steps_may_be_chance() -> None:
    up, down = 1e6, -1e6
    assert chance(level_of(up, up, up, up))
    assert chance(level_of(up, up, down, up, up, up, up))
    assert chance(level_of(up, down, up, up))
    assert not chance(level_of(up, up, up, up, up))
    assert not chance(level_of(up, up, up, up, down, up, up, up))
    assert not chance(level_of(down, down, down))  # no rise
    assert not chance(level_of(8192.0, 8192.0, 8192.0))  # slabs
    assert not chance(level_of(up, up, up) + np.arange(16.0) * 2e5)  # more than half of it goes on in between
    assert not chance(np.arange(24.0) * 1e6)
    assert not chance(np.r_[np.zeros(8), np.arange(6.0)] * up)  # goes on rising
    assert not chance(np.full(24, math.nan))


def test_and_chance_where_some_others_step_up_and_down() -> None:
    nodes = fleet(6)
    stepped(nodes[2], UP)
    stepped(nodes[0], {3: 4 * MIB, 15: -4 * MIB})
    stepped(nodes[4], {7: -2 * MIB, 11: 2 * MIB, 18: -3 * MIB})
    found = judged(nodes)
    assert not found.findings


def tracks(nodes: list[Node]) -> list[Track]:
    made = make_tracks(list(ArraySource(nodes).window(START, START + DAY, 3600)))
    return [cells(track, START, START + DAY, HOUR) for track in made]


def test_what_the_peers_steps_add_up_to() -> None:
    nodes = fleet(4)
    stepped(nodes[0], UP)
    stepped(nodes[1], {6: 3 * MIB, 16: -4 * MIB})
    past = Past(tracks(nodes))
    expected = math.sqrt((3**2 + 4**2) / 3) * MIB
    keys = [("n1", "boot-1", cache) for cache in (CACHE, "no such cache")]
    assert past.stepped(keys, np.array([DAY, DAY])) == pytest.approx([expected, 0.0])


def test_a_straight_rise_is_not_made_of_steps() -> None:
    nodes = fleet(4)
    straight: Floats = (nodes[0].time - START) * 100.0
    nodes[0].caches = {**nodes[0].caches, CACHE: nodes[0].caches[CACHE] + straight}
    stepped(nodes[1], {6: 3 * MIB, 16: -4 * MIB})
    assert Past(tracks(nodes)).stepped([("n1", "boot-1", CACHE)], np.array([DAY])) == [0.0]


def moving(path: Callable[[np.random.Generator, int], Floats]) -> Past:
    nodes = fleet(12)
    for number, node in enumerate(nodes):
        rng = np.random.default_rng(number)
        hours = ((node.time - START) // HOUR).astype(int)
        node.caches = {**node.caches, CACHE: 100 * MIB + MIB * path(rng, 25)[hours]}
    return Past(tracks(nodes))


def test_a_level_that_jitters_goes_nowhere_and_a_random_walk_does() -> None:
    jitter = moving(lambda rng, count: rng.standard_normal(count))
    walk = moving(lambda rng, count: np.cumsum(rng.standard_normal(count)))
    assert jitter.usual(["n1"], [CACHE], np.array([8 * HOUR]))[0] < 0.8 * MIB
    assert walk.usual(["n1"], [CACHE], np.array([8 * HOUR]))[0] == pytest.approx(math.sqrt(8) * MIB, rel=0.35)


def test_an_agent_that_was_away_hides_no_leak_of_another_node() -> None:
    nodes = fleet(12)
    for number, since in ((2, 0.0), (7, 14.0)):
        node = nodes[number]
        node.caches = {**node.caches, CACHE: node.caches[CACHE] + rising(node.time, 2.4 * MIB, START + since * HOUR)}
    expected = [("n3", CACHE), ("n8", CACHE)]
    assert sorted((one.node or "", one.cache) for one in judged(nodes).findings) == expected
    away = (nodes[2].time > START + 8 * HOUR) & (nodes[2].time < START + 16 * HOUR)
    caches = {name: y[~away] for name, y in nodes[2].caches.items()}
    nodes[2] = replace(nodes[2], time=nodes[2].time[~away], caches=caches)
    assert sorted((one.node or "", one.cache) for one in judged(nodes).findings) == expected
