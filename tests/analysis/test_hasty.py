"""Parts of a window of a quarter of an hour: only what is strong, even and alone on its node counts there."""

from __future__ import annotations

import numpy as np
import pytest

from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings, Judgement
from server.analysis.windows import plan
from tests.analysis.series import MIB, START, ArraySource, Floats, Node, fleet, rising

SECONDS, SLAB = 900.0, 8192.0


def judged(nodes: list[Node]) -> Judgement:
    return judge(ArraySource(nodes), start=START, end=START + SECONDS, group=None, settings=AnalysisSettings())


def added(extra: Floats, caches: int = 1) -> list[Node]:
    """Five nodes, the second of which holds so much more, in whole slabs, in some of its constant caches."""
    nodes = fleet(5, hours=SECONDS / 3600, interval=8.0)
    node = nodes[1]
    names, slabs = [f"constant-{3 * number}" for number in range(caches)], extra // SLAB * SLAB
    node.caches = {**node.caches, **{name: node.caches[name] * (1 + slabs / MIB) for name in names}}
    return nodes


@pytest.fixture
def time() -> Floats:
    return fleet(1, hours=SECONDS / 3600, interval=8.0)[0].time - START


@pytest.mark.parametrize(("begin", "until"), [(60, 480), (100, 560), (30, 600)])
def test_a_leak_that_stopped_within_the_quarter_of_an_hour_is_found(time: Floats, begin: int, until: int) -> None:
    (found,) = judged(added(rising(time, 4 * MIB, begin, until))).findings
    assert (found.node, found.cache, found.shape) == ("n2", "constant-0", "stopped")
    assert found.exhausts_at is None
    assert found.score >= 16


@pytest.mark.parametrize("begin", [460, 500])
def test_a_leak_that_began_within_the_last_half_is_found(time: Floats, begin: int) -> None:
    (found,) = judged(added(rising(time, 4 * MIB, begin))).findings
    assert (found.node, found.cache) == ("n2", "constant-0")
    assert found.since == pytest.approx(START + begin, abs=60)


def test_what_rises_for_two_minutes_and_stays_is_no_leak(time: Floats) -> None:
    for begin in range(60, 800, 60):
        assert judged(added(rising(time, 12 * MIB, begin, begin + 120))).findings == ()


@pytest.mark.parametrize("tau", [60, 120, 180, 300])
def test_what_fills_and_rests_is_no_leak(time: Floats, tau: float) -> None:
    for begin in (60, 450):
        filled = 0.5 * MIB * (1 - np.exp(-np.maximum(time - begin, 0) / tau))
        assert judged(added(filled)).findings == ()


def test_what_rises_with_others_and_stops_is_a_task(time: Floats) -> None:
    assert judged(added(rising(time, 4 * MIB, 60, 480), caches=4)).findings == ()


def test_what_grew_too_little_for_so_short_a_part_is_no_leak(time: Floats) -> None:
    assert judged(added(rising(time, 0.5 * MIB, 60, 480))).findings == ()


def test_which_windows_have_hasty_parts() -> None:
    (short,), (quarter,), half = plan(0.0, 590.0), plan(0.0, SECONDS), plan(0.0, 1800.0)
    assert [span.hasty for span in short.spans] == [False]
    parts = [(span.start, span.end, span.ended) for span in quarter.spans if span.hasty]
    assert parts == [(450.0, 900.0, False), (0.0, 450.0, True), (0.0, 600.0, True)]
    assert not any(span.hasty for reading in half for span in reading.spans)
