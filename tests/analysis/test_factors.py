"""What moves many caches of a node together is told from what moves one."""

from __future__ import annotations

import numpy as np
import pytest

from server.analysis.factors import (
    MOST_COMPANIONS,
    Moving,
    companion_effect,
    node_effects,
    node_scales,
    others_greatest,
)
from server.analysis.lockstep import likeness
from tests.analysis import naive

ALL, NONE = np.ones((1, 20), dtype=bool), np.zeros((1, 20), dtype=bool)


def test_what_all_caches_do_is_the_nodes() -> None:
    assert node_effects(np.full((1, 20), 0.5), np.full((1, 20), 1.0), ALL, NONE) == pytest.approx(0.5)


def test_what_no_other_node_does_is_not_put_down_to_the_node() -> None:
    assert node_effects(np.full((1, 20), 5.0), np.full((1, 20), 0.01), ALL, NONE) == pytest.approx(0.01)


def test_a_few_varying_caches_say_nothing() -> None:
    varies = (np.arange(20) < 5)[None, :]
    assert node_effects(np.ones((1, 20)), np.ones((1, 20)), varies, NONE) == 0.0


def test_nodes_that_list_no_cache_have_no_effect() -> None:
    none = np.zeros((2, 0))
    assert node_effects(none, none, none.astype(bool), none.astype(bool)).tolist() == [0.0, 0.0]


def test_others_greatest_leaves_the_node_itself_out() -> None:
    nan = np.nan
    swings = np.array([[1.0, 5.0, 2.0], [3.0, nan, 2.0], [2.0, nan, 1.0]])
    np.testing.assert_array_equal(others_greatest(swings), [[3.0, nan, 2.0], [2.0, 5.0, 2.0], [3.0, 5.0, 2.0]])
    assert np.isnan(others_greatest(swings[:1])).all()


def test_companions_follow_the_same_load() -> None:
    rng = np.random.default_rng(2)
    load = rng.standard_normal(200)
    y = np.stack([load, 3 * load + 0.1 * rng.standard_normal(200), rng.standard_normal(200)], axis=1)
    alike = Moving(y).companions(0)
    assert alike[0] == 0
    assert alike[1] > 0.9
    assert abs(alike[2]) < 0.4


def test_load_is_removed_in_proportion_to_what_its_companions_rose() -> None:
    alike, swing = np.full(8, 0.9), np.full(8, 0.2)
    risen = np.stack([np.full(8, 0.4), np.zeros(8), np.where(np.arange(8) < 5, np.nan, 0.4)])
    assert companion_effect(alike, risen, swing, 0.5) == pytest.approx([1.0, 0.0, 0.0])
    assert not companion_effect(np.zeros(8), risen, swing, 0.5).any()


def test_a_leak_through_a_few_caches_leaves_most_companions_where_they_were() -> None:
    alike, swing = np.full(12, 0.9), np.full(12, 0.2)
    risen = np.where(np.arange(12) < 4, 10.0, 0.0)
    assert companion_effect(alike, risen[None], swing, 0.5) == [0.0]


def test_the_closest_companions_are_asked_of_those_that_are_known() -> None:
    alike = np.linspace(0.7, 0.9, 2 * MOST_COMPANIONS)
    risen = np.where(alike > 0.8, 3.0, 1.0)
    gaps = np.where(alike > 0.85, np.nan, risen)
    assert companion_effect(alike, np.stack([risen, gaps]), np.ones(len(alike)), 1.0).tolist() == [3.0, 2.0]


def test_a_big_node_is_known_by_all_its_caches() -> None:
    levels = np.ones((4, 30))
    levels[2] *= 8
    levels[1, 0] = 1e6
    scales = node_scales(levels)
    assert scales[2] == pytest.approx(np.log(8))
    assert scales[[0, 1, 3]] == pytest.approx(0)


def test_likeness_is_the_correlation() -> None:
    rng = np.random.default_rng(5)
    y = rng.standard_normal((20, 4))
    y[:, 3] = 7
    found = likeness(y, 1)
    for column in range(4):
        assert found[column] == pytest.approx(naive.correlation(y[:, column].tolist(), y[:, 1].tolist()))
