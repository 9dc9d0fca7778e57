"""Holds the benchmark's known methods against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from bench.detection.baselines import (
    BASELINES,
    Panel,
    dbscan_noise,
    growth,
    mad_scores,
    mann_kendall,
    panel,
    slope,
)
from server.buckets import BootSeries, CacheRow, NodeSeries
from tests.bench import naive

SEEDS = range(8)


def ragged(seed: int, rows: int = 20) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Whole numbers with many ties, some missing."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 12, (rows, 6)).astype(np.float64)
    values[rng.random(values.shape) < 0.15] = np.nan
    return values


@pytest.mark.parametrize("seed", SEEDS)
def test_mann_kendall_is_the_sum_over_pairs(seed: int) -> None:
    values = ragged(seed)
    expected = [naive.mann_kendall(column) for column in values.T.tolist()]
    assert mann_kendall(values) == pytest.approx(expected)


def test_mann_kendall_of_a_known_series() -> None:
    # Ten rising values: S = 45, variance 125; (45 - 1) / sqrt(125).
    assert mann_kendall(np.arange(10.0)[:, None])[0] == pytest.approx(3.93548, abs=1e-5)
    assert mann_kendall(np.ones((10, 1)))[0] == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_mad_scores_are_robust_distances_from_the_median(seed: int) -> None:
    values = ragged(seed, rows=7)
    scores = mad_scores(values, 0.5)
    for column in range(values.shape[1]):
        known = np.flatnonzero(np.isfinite(values[:, column]))
        for at, node in enumerate(known):
            expected = naive.mad_score(values[known, column].tolist(), at, 0.5)
            assert scores[node, column] == pytest.approx(expected)


def test_mad_needs_three_nodes_and_bears_equal_ones() -> None:
    assert np.isnan(mad_scores(np.array([[1.0], [9.0]]), 1.0)).all()
    assert mad_scores(np.array([[5.0], [5.0], [5.0], [65.0]]), 10.0)[3, 0] == 6.0


@pytest.mark.parametrize("seed", SEEDS)
def test_dbscan_leaves_out_what_no_cluster_takes(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 3, 25).round(1)
    noise = dbscan_noise(values, 0.8, 4)
    assert set(np.flatnonzero(noise).tolist()) == naive.dbscan_noise(values.tolist(), 0.8, 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_slope_and_growth_use_the_known_points(seed: int) -> None:
    values = ragged(seed)
    data = Panel(("n",), tuple("abcdef"), np.arange(20.0) * 60, values[None], np.array([1e9]))
    for column in range(6):
        y = values[:, column].tolist()
        known = [one for one in y if not np.isnan(one)]
        assert slope(data)[0, column] == pytest.approx(naive.slope(data.time.tolist(), y))
        assert growth(data)[0, column] == known[-1] - known[0]


def boot(time: list[float], rows: tuple[CacheRow, ...], counts: list[list[float]]) -> BootSeries:
    held = np.array(counts, dtype=np.float64)
    memory = np.full((len(time), 4), 8e9)
    whole = np.ones(len(time), dtype=np.int64)
    return BootSeries("b", np.array(time), np.array(time), memory, whole, rows, held, held)


def test_a_panel_sums_rows_of_one_name_and_joins_boots() -> None:
    twice = (CacheRow("x", 10, 0), CacheRow("x", 10, 1))
    node = NodeSeries("n", boots=(boot([0, 60], twice, [[1, 2], [3, 4]]), boot([130], (CacheRow("y", 5, 0),), [[7]])))
    data = panel([node], 0.0, 180.0, 60)
    assert data.caches == ("x", "y")
    assert data.time.tolist() == [0, 60, 120]
    np.testing.assert_array_equal(data.held[0, :, 0], [30, 70, np.nan])
    np.testing.assert_array_equal(data.held[0, :, 1], [np.nan, np.nan, 35])


def test_every_baseline_names_a_glaring_leak_first_and_no_still_fleet() -> None:
    time = np.arange(30.0) * 3600
    still = np.full((6, 30, 4), 1e6) + np.arange(6)[:, None, None] * 1e5
    leaking = still.copy()
    leaking[4, :, 2] += time * 1e3
    names, caches, memory = tuple("abcdef"), tuple("wxyz"), np.full(6, 8e9)
    for method in BASELINES:
        found = method.judge(Panel(names, caches, time, leaking, memory), memory * 1e-9)
        assert found[0][:2] == ("e", "y"), method.name
        assert method.judge(Panel(names, caches, time, still, memory), memory * 1e-9) == []
