"""Medians of many series equal those of each."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.analysis.medians import WIDE, column_medians, medians, middle
from tests.analysis import naive
from tests.analysis.series import Floats

ELEMENTS = st.one_of(st.integers(-9, 9).map(float), st.just(math.nan))


@given(arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(0, 7)), elements=ELEMENTS))
def test_medians_equal_their_naive_version(values: Floats) -> None:
    before = values.copy()
    assert medians(values).tolist() == pytest.approx([naive.known_median(row) for row in values.tolist()], nan_ok=True)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("length", [WIDE, WIDE + 1, 2 * WIDE])
@pytest.mark.parametrize("gaps", [0, 1, WIDE - 1])
def test_medians_of_long_rows(length: int, gaps: int) -> None:
    values = np.random.default_rng(length).normal(size=(5, length)).round(1)
    values[2, :gaps] = np.nan
    assert medians(values).tolist() == [naive.known_median(row) for row in values.tolist()]


@given(arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(0, 5)), elements=ELEMENTS))
def test_medians_of_columns_equal_their_naive_version(y: Floats) -> None:
    before = y.copy()
    expected = [naive.whole_median(column) for column in y.T.tolist()]
    assert column_medians(y).tolist() == pytest.approx(expected, nan_ok=True)
    np.testing.assert_array_equal(y, before)


@given(arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=ELEMENTS), st.sampled_from([0, 1]))
def test_the_middle_is_what_numpy_says(y: Floats, axis: int) -> None:
    with np.errstate(invalid="ignore"):
        assert np.array_equal(middle(y, axis), np.median(y, axis=axis), equal_nan=True)
