"""Robust slopes with their uncertainty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.analysis.trend import block_floors, convex, fit, floor_rise, floors, is_straight, quantum, steps, theil_sen
from tests.analysis import naive
from tests.analysis.series import Floats, ramp

SERIES = arrays(np.float64, st.tuples(st.integers(4, 20), st.integers(1, 4)), elements=st.integers(0, 50).map(float))


@settings(max_examples=60)
@given(SERIES)
def test_statistics_equal_their_naive_versions(y: Floats) -> None:
    t = ramp(len(y)) * 60.0
    for column in range(y.shape[1]):
        own = y[:, column].tolist()
        assert theil_sen(t, y)[column] == pytest.approx(naive.theil_sen(t.tolist(), own))
        assert quantum(y)[column] == naive.quantum(own)
        assert floor_rise(y)[column] == pytest.approx(naive.floor_rise(own))


def test_series_with_times_of_their_own_are_fitted_as_each_alone() -> None:
    rng = np.random.default_rng(3)
    t = np.stack([ramp(20) * 60.0 + rng.uniform(0, 30, 20) for _ in range(5)], axis=1)
    y = np.cumsum(rng.normal(0.2, 1.0, (20, 5)), axis=0)
    together = fit(t, y)
    for column in range(5):
        alone = fit(t[:, column], y[:, [column]])
        for name in ("rate", "growth", "error", "noise", "memory"):
            assert getattr(together, name)[column] == pytest.approx(getattr(alone, name)[0])


def test_missing_values_are_left_out_and_never_zero() -> None:
    t = ramp(12) * 60.0
    whole = ramp(12) * 5.0 + 100
    holed = whole.copy()
    holed[[2, 7]] = np.nan
    slopes = theil_sen(t, np.stack([whole, holed, np.full(12, np.nan)], axis=1))
    assert slopes[0] == pytest.approx(slopes[1])
    assert slopes[1] == pytest.approx(naive.theil_sen(t.tolist(), holed.tolist()))
    assert np.isnan(slopes[2])


def test_a_line_has_its_own_growth_and_hardly_an_error() -> None:
    t = ramp(24) * 3600.0
    trend = fit(t, (1000 + 10.0 * ramp(24))[:, None])
    assert trend.growth[0] == pytest.approx(230)
    assert trend.error[0] < 10


def test_what_gets_faster_is_no_noise_and_what_slows_is() -> None:
    t = ramp(28) * 30.0
    faster = 4096.0 * np.floor(100 * (ramp(28) / 27) ** 3)
    slower = faster.max() - faster[::-1]
    trend = fit(t, np.stack([faster, slower], axis=1), faster=True)
    assert trend.growth[0] > 15 * trend.error[0]
    assert trend.growth[1] < 8 * trend.error[1]


def test_a_few_slabs_that_come_late_are_no_rise_that_gets_faster() -> None:
    t = ramp(28) * 30.0
    faster = 4096.0 * np.floor(20 * (ramp(28) / 27) ** 3)
    trend = fit(t, faster[:, None], faster=True)
    assert trend.growth[0] < 8 * trend.error[0]


def test_what_is_a_straight_line() -> None:
    quarter, hours, day = 900.0, 7200.0, 86400.0
    assert is_straight(quarter, 300.0, 10.0, 4.0, 0.3)
    assert is_straight(day, 300.0, 10.0, 4.0, 0.3)
    assert not is_straight(hours, 300.0, 10.0, 4.0, 0.3)  # so is a morning
    assert not is_straight(quarter, 300.0, 11.0, 4.0, 0.3)
    assert not is_straight(quarter, 300.0, 10.0, 13.0, 0.3)
    assert not is_straight(quarter, 300.0, 10.0, 4.0, 0.4)
    assert not is_straight(0.0, 0.0, 0.0, 0.0, 0.0)


@settings(max_examples=60)
@given(SERIES)
def test_the_upward_bend_is_that_of_a_fitted_parabola(y: Floats) -> None:
    t = ramp(len(y)) * 60.0
    for column in range(y.shape[1]):
        own = y[:, column] * 1000.0
        line = own - theil_sen(t, own[:, None])[0] * (t - t.mean())
        expected = naive.upward_bend(t.tolist(), (line - np.median(line)).tolist())
        np.testing.assert_allclose(convex(t, line[:, None])[:, 0], expected, atol=1e-6 * max(np.abs(own).max(), 1.0))


def test_a_day_that_comes_back_is_no_growth() -> None:
    t = ramp(24) * 3600.0
    hump = 100 + 50 * np.sin(np.pi * ramp(24) / 23) + 0.01 * ramp(24)
    assert abs(fit(t, hump[:, None]).growth[0]) < 1


def test_stairs_are_not_called_noise() -> None:
    t = ramp(24) * 3600.0
    stairs = 1000.0 * (ramp(24) // 6)
    assert fit(t, stairs[:, None]).error[0] < 2 * fit(t, 1000.0 * ramp(24)[:, None] / 6).error[0] + 1000


@settings(max_examples=40)
@given(SERIES, st.floats(0.1, 1e6))
def test_scaling_the_series_scales_growth_and_error(y: Floats, factor: float) -> None:
    t = ramp(len(y)) * 60.0
    one, other = fit(t, y), fit(t, y * factor)
    np.testing.assert_allclose(other.growth, one.growth * factor, rtol=1e-6, atol=1e-6 * factor)
    np.testing.assert_allclose(other.error, one.error * factor, rtol=1e-6, atol=1e-6 * factor)


def test_the_error_of_white_noise_is_about_right() -> None:
    rng = np.random.default_rng(3)
    t = ramp(24) * 3600.0
    trend = fit(t, rng.standard_normal((24, 4000)) + ramp(24)[:, None])
    wrong = trend.growth - 23
    assert 0.5 < np.median(trend.error) / wrong.std() < 2.0


def test_the_error_of_a_random_walk_knows_that_it_wanders() -> None:
    rng = np.random.default_rng(4)
    t = ramp(24) * 3600.0
    steps_ = rng.standard_normal((24, 2000))
    white, walk = fit(t, steps_), fit(t, np.cumsum(steps_, axis=0))
    assert np.median(walk.error) > 2 * np.median(white.error)


def test_one_step_is_told_from_a_steady_rise() -> None:
    t = ramp(24) * 3600.0
    step = np.where(ramp(24) < 11, 100.0, 200.0)
    steady = ramp(24) * 5.0
    found = steps(t, np.stack([step, steady], axis=1), 6)
    assert found.largest[0] == 1.0
    assert found.largest[1] < 0.25
    assert found.rising.tolist() == [0.2, 1.0]


def test_filling_slows_down() -> None:
    t = ramp(24) * 3600.0
    filling = 1 - np.exp(-ramp(24) / 6.0)
    assert steps(t, filling[:, None], 6).late[0] < 0.4


def test_drawdown_is_the_deepest_fall() -> None:
    t = np.arange(8.0)
    y = np.array([1, 5, 3, 6, 2, 7, 8, 8.0])
    assert steps(t, y[:, None], 4).drawdown[0] == 4.0


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    unknown=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_floors_are_the_least_of_each_run_whether_or_not_runs_are_equal(
    lengths: list[int], unknown: float, seed: int
) -> None:
    chances = np.random.default_rng(seed)
    y = chances.normal(size=(sum(lengths), 3))
    y[chances.random(y.shape) < unknown] = np.nan
    starts = np.cumsum([0, *lengths[:-1]])
    naive = [
        [np.nan if np.isnan(run).all() else np.nanmin(run) for run in y[a : a + length].T]
        for a, length in zip(starts, lengths, strict=True)
    ]
    assert np.array_equal(floors(y, starts), naive, equal_nan=True)


def test_block_floors_are_the_least_of_equal_parts() -> None:
    y = np.array([[3.0], [1.0], [4.0], [1.5], [9.0], [np.nan]])
    assert block_floors(y, 3)[:, 0].tolist() == [1.0, 1.5, 9.0]
