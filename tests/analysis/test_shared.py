"""What all nodes do is taken off and nothing else: a trend, a leak, a node that goes its own way stay what they are."""

from __future__ import annotations

import numpy as np
import pytest

from server.analysis.shared import Block, Shared, detrended
from tests.analysis import naive
from tests.analysis.series import Floats, ramp

K = 28
NUMBER = ramp(K) + 1000.0
DAY = np.sin(2 * np.pi * ramp(K) / K)


def block(*series: Floats, number: Floats = NUMBER, rows: list[int] | None = None) -> Block:
    """One cache's series, a node each."""
    rows = rows if rows is not None else list(range(len(series)))
    return Block(number, np.stack(series, axis=1), np.array(rows), np.zeros(len(series), dtype=np.intp))


def cleaned(*series: Floats) -> Floats:
    """All nodes' series of a cache that all list, without what they share: [K, nodes]."""
    one = block(*series)
    return Shared([one], np.arange(len(series)), np.ones((len(series), 1), dtype=bool)).cleaned(one)


def day(level: float, depth: float) -> Floats:
    return level * (1 + depth * DAY)


@pytest.mark.parametrize("nodes", [3, 7, 9])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_a_slow_look_at_each_series_gives(nodes: int, seed: int) -> None:
    """Caches listed by all and by few, some still, some partly unknown; a node with holes; one that is not asked."""
    rng = np.random.default_rng([seed, nodes])
    caches = 12
    listed = rng.random((nodes + 1, caches)) < 0.8
    listed[:, :3] = True
    listed[2:, 3] = False
    listed[3:, 4] = False
    cells: list[list[dict[int, float]]] = []
    blocks = []
    for node in range(nodes + 1):
        mine = np.sort(rng.choice(K, rng.integers(12, K), replace=False)) if node % 3 == 1 else np.arange(K)
        y = rng.uniform(1, 50, caches) * (1 + 0.3 * DAY[mine, None] * rng.uniform(0, 2, caches))
        y += rng.normal(0, rng.uniform(0, 3, caches), y.shape) + ramp(len(mine))[:, None] * rng.uniform(-1, 1, caches)
        y[:, 5] = y[0, 5]
        y[: rng.integers(1, 9), 6] = np.nan if node % 2 else 3.0
        names = mine + 1000
        cells.append(
            [
                dict(zip(names.tolist(), y[:, cache].tolist(), strict=True)) if listed[node, cache] else {}
                for cache in range(caches)
            ]
        )
        varies = np.flatnonzero(listed[node] & (np.arange(caches) != 5))
        blocks.append(Block(names.astype(float), y[:, varies], np.full(len(varies), node), varies))
    shared = Shared(blocks[:-1], np.arange(nodes), listed[:-1])
    compared = 0
    for node, one in enumerate(blocks):
        got = shared.cleaned(one)
        for place, cache in enumerate(one.columns.tolist()):
            many = listed[:-1, cache].sum() >= 8  # then its own curve is left among them
            others = [cells[other][cache] for other in range(nodes) if other != node or many]
            expected = list(naive.without_shared(cells[node][cache], others).values())
            np.testing.assert_allclose(got[:, place], expected, rtol=1e-9, atol=1e-9)
            compared += not np.array_equal(got[:, place], one.y[:, place], equal_nan=True)
    assert compared > 2 * nodes


@pytest.mark.parametrize("nodes", [3, 7, 9])
def test_a_swing_that_all_share_goes_and_each_nodes_trend_stays(nodes: int) -> None:
    swings = [day(10.0 * (n + 1), 0.2 + 0.01 * n) for n in range(nodes)]
    trends = [0.3 * n * ramp(K) for n in range(nodes)]
    got = cleaned(*(a + b for a, b in zip(swings, trends, strict=True)))
    for n in range(nodes):
        swing = detrended(swings[n][:, None])[:, 0]
        np.testing.assert_allclose(got[:, n], swings[n] - swing + trends[n], rtol=1e-9)


@pytest.mark.parametrize("nodes", [3, 7, 9])
def test_trends_alone_are_left_untouched(nodes: int) -> None:
    series = [5.0 + n + 0.5 * n * ramp(K) for n in range(nodes)]
    np.testing.assert_allclose(cleaned(*series), np.stack(series, axis=1), rtol=1e-12)


@pytest.mark.parametrize("nodes", [3, 7, 9])
def test_what_one_node_does_is_not_shared(nodes: int) -> None:
    step = np.where(ramp(K) > 17, 30.0, 10.0)
    still = [np.full(K, 10.0)] * (nodes - 1)
    np.testing.assert_array_equal(cleaned(step, *still), np.stack([step, *still], axis=1))


def test_one_of_two_that_list_a_cache_among_many_nodes_keeps_its_step() -> None:
    """Among nine nodes too, its own curve is not taken for one that the two share."""
    step = np.where(ramp(K) > 17, 30.0, 10.0)
    one = block(step, np.full(K, 10.0))
    listed = np.zeros((9, 1), dtype=bool)
    listed[:2] = True
    np.testing.assert_array_equal(Shared([one], np.arange(9), listed).cleaned(one), one.y)


def test_what_a_leak_added_follows_no_load() -> None:
    """Half-way a leak has added a hundred times the level and stops: such a tent follows nearly any curve somewhat."""
    leak = np.clip(ramp(K) - 4, 0.0, 12.0) * 80.0
    noise = np.random.default_rng(5).normal(0, 0.1, (6, K))
    got = cleaned(10 + leak, *(10 + day(1.0, 0.1) * leak.max() / 1000 + one for one in noise))
    np.testing.assert_allclose(got[:, 0], 10 + leak, atol=16.0)  # of 960; eight times the level's share of the curve


def test_a_node_that_does_not_follow_is_left_alone() -> None:
    still = 40 + 3.0 * np.cos(4 * np.pi * ramp(K) / K)
    for own in (still, day(40.0, -0.2)):
        got = cleaned(own, *(day(10.0 * n, 0.2) for n in range(1, 6)))
        np.testing.assert_allclose(got[:, 0], own, atol=0.5)


def test_no_more_than_eight_times_the_share_by_level_is_put_down_to_the_others() -> None:
    others = [day(10.0, 0.1)] * 5
    for depth, left in ((0.4, 0.0), (0.5, 0.1)):  # of its least level, 6 and 5
        got = cleaned(day(10.0, depth), *others)[:, 0]
        assert np.ptp(detrended(got[:, None])) == pytest.approx(np.ptp(detrended(day(10.0, left)[:, None])), abs=1e-2)


def test_the_order_of_nodes_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    for nodes in (3, 7, 9):
        y = np.stack([day(10.0 * (n + 1), 0.2) + rng.normal(0, 0.5, K) for n in range(nodes)], axis=1)
        order = rng.permutation(nodes)
        np.testing.assert_allclose(cleaned(*y.T[order]), cleaned(*y.T)[:, order], rtol=1e-13)


@pytest.mark.parametrize("members", [0, 1, 2])
def test_too_few_nodes_have_nothing_in_common(members: int) -> None:
    one = block(*(day(10.0, 0.2) for _ in range(3)))
    few = Shared([block(*one.y.T[:members])] if members else [], np.arange(members), np.ones((members, 1), dtype=bool))
    np.testing.assert_array_equal(few.cleaned(one), one.y)


def test_cells_beyond_those_of_the_others_are_left_alone() -> None:
    one = block(*(day(10.0, 0.2) for _ in range(4)))
    shared = Shared([one], np.arange(4), np.ones((4, 1), dtype=bool))
    for off in (-1.0, 1.0, 500.0):
        late = block(day(10.0, 0.2), number=NUMBER + off, rows=[9])
        np.testing.assert_array_equal(shared.cleaned(late), late.y)
    beside = block(day(10.0, 0.2), rows=[9])
    assert np.ptp(detrended(shared.cleaned(beside))) < 1e-9
