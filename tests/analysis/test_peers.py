"""Peers, leave-one-out: a spread that is never zero, few peers, no peer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.analysis.peers import (
    APART,
    ENOUGH,
    SCALE_UNKNOWN,
    WIDENED,
    compare_to_peers,
    robust_spread,
    robust_spreads,
    scales_to,
)
from tests.analysis import naive

VALUES = st.lists(st.integers(-100, 100).map(float), min_size=1, max_size=12)


@given(VALUES)
def test_spread_equals_its_naive_version(values: list[float]) -> None:
    errors = [1.0 + abs(v) / 50 for v in values]
    expected = naive.robust_spread(values, errors, WIDENED, ENOUGH, APART)
    assert robust_spread(np.array(values), np.array(errors)) == pytest.approx(expected)


@given(VALUES, st.randoms(use_true_random=False))
def test_order_of_the_peers_is_irrelevant(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    ones = np.ones(len(values))
    assert compare_to_peers(np.array(values), ones, ones) == compare_to_peers(np.array(shuffled), ones, ones)


@given(st.lists(st.tuples(VALUES, st.integers(0, 3)), min_size=1, max_size=4))
def test_many_spreads_at_once_equal_each_alone(rows: list[tuple[list[float], int]]) -> None:
    values, errors = np.full((len(rows), 15), np.nan), np.full((len(rows), 15), np.nan)
    for n, (own, first) in enumerate(rows):
        values[n, first : first + len(own)] = own
        errors[n, first : first + len(own)] = [1.0 + abs(v) / 50 for v in own]
    middle, spread = robust_spreads(values, errors)
    for n, (own, _) in enumerate(rows):
        assert (middle[n], spread[n]) == robust_spread(np.array(own), np.array([1.0 + abs(v) / 50 for v in own]))


def test_identical_peers_still_have_a_spread() -> None:
    peers = compare_to_peers(np.zeros(5), np.ones(5), np.ones(5))
    assert peers.spread > 0


def test_a_single_peer_spreads_by_its_own_growth() -> None:
    assert compare_to_peers(np.array([50.0]), np.array([1.0]), np.ones(1)).spread == 50.0


def test_no_peers_is_not_zero_peers_growth() -> None:
    none = compare_to_peers(np.zeros(0), np.zeros(0), np.zeros(0))
    assert none.count == 0
    assert np.isnan(none.median)


def test_one_leaking_peer_does_not_hide_another_leak() -> None:
    growth = np.array([0.0, 1, -1, 0.5, 1000])
    assert compare_to_peers(growth, np.ones(5), np.ones(5)).spread < 5


def test_a_leak_on_nearly_half_of_the_peers_does_not_hide_the_other_half_s() -> None:
    quiet = [0.0, 1, 2, 0, 1, 9]
    few, many = (np.array([*quiet, *[100.0] * leaking]) for leaking in (5, 6))
    peers = compare_to_peers(few, np.full(11, 0.1), np.ones(11))
    assert (peers.count, peers.rate, peers.median) == (11, 9.0, 1.0)
    assert peers.spread == pytest.approx(1.4826)
    assert compare_to_peers(many, np.full(12, 0.1), np.ones(12)).median > 50  # half of them: who leaks is not known


def test_peers_that_grow_by_their_load_are_not_apart() -> None:
    growth = np.array([1.0, 2, 4, 5, 7, 9, 12, 16, 22, 30])
    peers = compare_to_peers(growth, np.full(10, 0.1), np.ones(10))
    assert peers.median == 8.0
    assert peers.spread == pytest.approx(1.4826 * 5.0)


def test_a_bigger_node_that_wavers_more_is_measured_by_its_size() -> None:
    scales = scales_to(800.0, 80.0, np.full(3, 100.0), np.full(3, 10.0), np.ones(3))
    assert scales.tolist() == [8.0] * 3


def test_what_merely_holds_more_may_be_a_leak() -> None:
    scales = scales_to(800.0, 10.0, np.full(3, 100.0), np.full(3, 10.0), np.ones(3))
    assert scales.tolist() == [1.0] * 3


def test_a_node_of_fifty_times_the_connections_is_measured_by_them() -> None:
    scales = scales_to(5000.0, 500.0, np.full(3, 100.0), np.full(3, 10.0), np.full(3, 8.0))
    assert scales.tolist() == [50.0] * 3
    assert scales_to(5000.0, 10.0, np.full(3, 100.0), np.full(3, 10.0), np.full(3, 8.0)).tolist() == [8.0] * 3


def test_smaller_nodes_and_unknown_ratios_are_bounded() -> None:
    assert scales_to(1.0, 1.0, np.full(2, 100.0), np.full(2, 10.0), np.ones(2)).tolist() == [1.0, 1.0]
    assert scales_to(1e9, 1e9, np.zeros(1), np.zeros(1), np.ones(1)).tolist() == [SCALE_UNKNOWN]
