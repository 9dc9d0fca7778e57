"""A clock that was set within a boot: how long things took is told by the uptime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.analysis.clock import SET, by_uptime
from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings
from server.buckets import BootSeries, NodeSeries
from tests.analysis.series import MIB, START, ArraySource, Node, fleet, rising

HOUR, DAY = 3600.0, 86400.0


def boot(time: list[float], uptime: list[float]) -> BootSeries:
    """Buckets in the order of their times whose counts say in which order they came to be."""
    t, up = np.array(time), np.array(uptime)
    order = np.argsort(t, kind="stable")
    counts = np.arange(len(t), dtype=np.float64)[:, None]
    memory = np.full((len(t), 4), np.nan)
    samples = np.ones(len(t), dtype=np.int64)
    return BootSeries("b", t[order], up[order], memory, samples, (), counts[order], counts[order])


@given(st.lists(st.floats(1, 4000), min_size=2, max_size=20), st.integers(0, 19), st.floats(-5e4, 5e4))
def test_times_are_as_far_apart_as_uptimes(gaps: list[float], at: int, step: float) -> None:
    uptime = np.cumsum(gaps)
    time = START + uptime + np.where(np.arange(len(gaps)) >= at, step, 0.0)
    found = by_uptime(boot(time.tolist(), uptime.tolist()))
    if abs(step) > SET + 1 and 0 < at < len(gaps) and time[-1] == time.max():
        np.testing.assert_allclose(found.time, time[-1] - uptime[-1] + uptime, atol=1e-3)
        assert found.num_min[:, 0].tolist() == list(range(len(gaps)))
    else:
        assert found.time.tolist() == sorted(time.tolist())


def test_what_no_uptime_tells_stays_by_the_clock() -> None:
    set_back = boot([100.0, 200, 50, 150], [10.0, 110, 210, 310])
    assert by_uptime(set_back) is set_back  # 200 is the newest by the clock
    anew = boot([100.0, 200, 300, 400], [1000.0, 1100, 10, 110])  # a container's own uptime
    assert by_uptime(anew) is anew
    unknown = boot([100.0, 200, 9000], [10.0, np.nan, 210])
    assert by_uptime(unknown) is unknown
    late = boot([100.0, 259, 301], [10.0, 110, 210])  # delivery, where the server says when
    assert by_uptime(late) is late


class ClockSet(ArraySource):
    """One node's clock is put forward (or back) within the window."""

    def __init__(self, nodes: list[Node], name: str, at: float, seconds: float) -> None:
        super().__init__(nodes)
        self._name, self._at, self._seconds = name, at, seconds

    def window(self, *args: object, **more: object) -> list[NodeSeries]:
        return [self._set(node) for node in super().window(*args, **more)]  # type: ignore[arg-type] # handed on

    def _set(self, node: NodeSeries) -> NodeSeries:
        if node.node != self._name:
            return node
        (one,) = node.boots
        time = np.where(one.time >= self._at, one.time + self._seconds, one.time)
        order = np.argsort(time, kind="stable")
        arrays = {name: getattr(one, name)[order] for name in ("uptime", "memory", "samples", "num_min", "active_min")}
        return replace(node, boots=(replace(one, time=time[order], **arrays),))


@pytest.mark.parametrize("seconds", [-2 * HOUR, 0.0, 2 * HOUR])
def test_a_clock_that_is_set_changes_no_rate(seconds: float) -> None:
    nodes = fleet(6)
    leaking = nodes[2]
    leaking.caches = {**leaking.caches, "constant-0": leaking.caches["constant-0"] + rising(leaking.time, 2 * MIB)}
    source = ClockSet(nodes, "n3", START + 12 * HOUR, seconds)
    found = judge(source, start=START, end=START + DAY, group=None, settings=AnalysisSettings())
    (one,) = found.findings
    assert (one.node, one.cache) == ("n3", "constant-0")
    assert one.bytes_per_hour == pytest.approx(2 * MIB, rel=0.02)
