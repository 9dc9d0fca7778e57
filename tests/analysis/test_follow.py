"""Shape `load`: a growth that follows what its node does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from server.analysis.follow import by_load, follows, node_load
from server.analysis.judge import judge
from server.analysis.shape import shape_of
from server.analysis.types import AnalysisSettings, Finding
from server.simulator.families import FAMILIES, Terms
from server.simulator.fleet import Fleet, FleetSpec
from server.simulator.node import Change, Leak
from server.simulator.scenario import like_nodes
from tests.analysis.series import Floats, ramp

T = ramp(28) * 3000.0
DAY_CURVE = 1 + 0.5 * np.sin(2 * np.pi * T / 86400 + 1)


def caches(curve: Floats, count: int = 12) -> Floats:
    """So many caches that follow a curve, as many that do not, and one that grows, in the first column."""
    rng = np.random.default_rng(3)
    noise = 1 + 0.05 * rng.standard_normal((len(curve), 2 * count))
    return np.hstack([ramp(len(curve))[:, None] + 5, noise[:, :count] * curve[:, None], noise[:, count:]]) * 1e6


def grown(rate: Floats) -> Floats:
    return np.asarray(np.cumsum(np.r_[0.0, (rate[1:] + rate[:-1]) / 2]) * 1e6)


def test_the_load_of_a_node_is_what_its_caches_have_in_common() -> None:
    load = node_load(caches(DAY_CURVE), 0)
    assert load is not None
    assert np.corrcoef(load, DAY_CURVE)[0, 1] > 0.98


def test_caches_that_have_nothing_in_common_tell_of_no_load() -> None:
    assert node_load(caches(np.ones(28)), 0) is None
    assert node_load(caches(DAY_CURVE, 2), 0) is None
    assert node_load(caches(DAY_CURVE)[:8], 0) is None


def test_a_gap_or_an_empty_cache_is_left_out() -> None:
    active = caches(DAY_CURVE)
    active[3, 1], active[:, 2] = np.nan, 0.0
    load = node_load(active, 0)
    assert load is not None
    assert np.isfinite(load).all()


@pytest.mark.parametrize("depth", [1.0, 2.0])
def test_what_grows_with_the_load_follows_it(depth: float) -> None:
    rate = np.maximum(1 + depth * (DAY_CURVE - 1), 0.0)
    assert follows(T, grown(rate), DAY_CURVE)
    assert shape_of(T, grown(rate), DAY_CURVE) == "load"


@pytest.mark.parametrize(
    ("rate", "shape"),
    [
        (np.ones(28), "steady"),
        (1 + 0.2 * np.random.default_rng(1).standard_normal(28), "steady"),
        (2 - DAY_CURVE, "steady"),
        (ramp(28), "accelerating"),
        (np.where(ramp(28) % 4 == 0, 1.0, 0.02), "stairs"),
        (1.0 * (ramp(28) < 16), "stopped"),
    ],
)
def test_what_does_not_is_called_something_else(rate: Floats, shape: str) -> None:
    assert not follows(T, grown(rate), DAY_CURVE)
    assert shape_of(T, grown(rate), DAY_CURVE) == shape


def test_what_gets_faster_while_the_load_rises_does_not_follow_it() -> None:
    rising: Floats = 1 + ramp(28) / 28 + 0.05 * np.random.default_rng(2).standard_normal(28)
    assert not follows(T, grown(ramp(28) / 28), rising)


def test_a_leak_that_ends_in_the_evening_is_not_the_loads() -> None:
    evening: Floats = np.where(ramp(28) < 18, 1.2, 0.8)
    assert not follows(T, grown((ramp(28) < 18).astype(np.float64)), evening)


def noisy(y: Floats) -> Floats:
    return np.asarray(y + 3e-3 * y[-1] * np.random.default_rng(4).standard_normal(len(y)))


@pytest.mark.parametrize("phase", range(6))
@pytest.mark.parametrize("depth", [0.5, 0.7, 0.9])
def test_a_leak_by_the_load_is_straight_but_for_it_and_a_cache_that_fills_is_not(depth: float, phase: float) -> None:
    """Half of what the node's caches hold follows the load, the rest stands still."""
    load = 1 + depth * np.sin(2 * np.pi * T / 86400 + phase)
    assert by_load(T, noisy(grown(load)), 0.5 + 0.5 * load)
    for constants in (1.5, 2.0, 3.0):
        by_clock, by_work = (1 - np.exp(-constants * y / y[-1]) for y in (T, grown(load)))
        assert not by_load(T, noisy(by_clock), 0.5 + 0.5 * load)
        assert not by_load(T, noisy(by_work), 0.5 + 0.5 * load)


def test_what_goes_against_the_load_or_falls_by_night_does_not_rise_by_it() -> None:
    assert by_load(T, grown(DAY_CURVE), DAY_CURVE)
    assert not by_load(T, grown(2 - DAY_CURVE), DAY_CURVE)
    assert not by_load(T, grown(DAY_CURVE - 0.8), DAY_CURVE)
    assert not by_load(T, grown(ramp(28) / 28), DAY_CURVE)


def test_half_a_day_is_the_least() -> None:
    assert not follows(T / 4, grown(DAY_CURVE), DAY_CURVE)
    assert not by_load(T / 4, grown(DAY_CURVE), DAY_CURVE)
    assert not by_load(T[:10] * 3, grown(DAY_CURVE[:10]), DAY_CURVE[:10])


def found(family: str, seed: int) -> list[Finding]:
    spec = FAMILIES[family].build(Terms(seed, hours=24, interval=600, nodes=4)).spec
    judged = judge(Fleet(spec), start=spec.start, end=spec.start + 86400, group=None, settings=AnalysisSettings())
    return list(judged.findings)


@pytest.mark.parametrize(
    ("family", "shape"),
    [("load", "load"), ("plain", "steady"), ("stairs", "stairs"), ("accelerating", "accelerating")],
)
def test_simulated_leaks_are_called_what_they_are(family: str, shape: str) -> None:
    shapes = [one.shape for seed in (31124, 31224, 31324) for one in found(family, seed)]
    assert shapes.count(shape) >= 2  # type: ignore[arg-type] # a name
    assert set(shapes) <= {shape, "steady"}


def in_the_morning(*, leaks: bool) -> list[str]:
    """What a report over 24 h names at ten, after a deep night: a leak by the load, or a cache that it fills."""
    nodes = tuple(replace(node, depth=0.85) for node in like_nodes(Terms(1, nodes=4)))
    leak = Leak((nodes[1].name,), "scsi_cmd_cache", 4e5, at=-5.0, shape="load")
    fill = Change(("scsi_cmd_cache",), -2.0, objects=6e4, over=30.0, saturating=True, with_load=True)
    filling = tuple(replace(node, changes=(fill,)) if node is nodes[1] else node for node in nodes)
    spec = FleetSpec(1, nodes if leaks else filling, (leak,) if leaks else (), 72.0, 600.0)
    end = spec.start + 34 * 3600
    judged = judge(Fleet(spec), start=end - 86400, end=end, group=None, settings=AnalysisSettings())
    return [one.cache for one in judged.findings]


def test_in_the_morning_a_leak_by_the_load_is_named_and_a_cache_that_fills_by_it_is_not() -> None:
    assert in_the_morning(leaks=True) == ["scsi_cmd_cache"]
    assert in_the_morning(leaks=False) == []
