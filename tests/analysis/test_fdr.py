"""The false discovery rate: q-values against a slow oracle, and their bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.analysis.fdr import chance, q_values, q_values_apart
from tests.analysis import naive


@given(st.lists(st.floats(0, 1), min_size=0, max_size=12), st.integers(0, 100))
def test_q_values_equal_their_naive_version(p: list[float], more: int) -> None:
    tests = len(p) + more
    assert q_values(p, tests, 1e-4) == pytest.approx(naive.benjamini_hochberg(p, tests, 1e-4))


def test_no_q_value_is_below_what_calibration_can_show() -> None:
    assert q_values([0.0], 1, 0.01) == [0.01]


def test_a_higher_score_is_less_likely_by_chance() -> None:
    for short in (False, True):
        chances = [chance(score / 2, short=short) for score in (-20_000, *range(-10, 60))]
        assert chances == sorted(chances, reverse=True)
        assert max(chances) <= 1
        assert min(chances) > 0


def test_short_spans_are_believed_less() -> None:
    assert all(chance(score, short=True) > chance(score, short=False) for score in (6.0, 8.0, 12.0))


def test_what_is_set_apart_makes_nothing_else_more_believed() -> None:
    weak, sure = 1e-5, [0.0] * 3
    (alone,) = q_values([weak], 1000)
    assert q_values([*sure, weak], 1000)[-1] < alone
    assert q_values_apart([sure[0], weak, *sure[1:]], [True, False, True, True], 1000) == [1e-4, alone, 1e-4, 1e-4]
