"""Medians of many series equal those of each."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.analysis.medians import medians
from tests.analysis import naive
from tests.analysis.series import Floats

ELEMENTS = st.one_of(st.integers(-9, 9).map(float), st.just(math.nan))


@settings(deadline=None, derandomize=True)
@given(arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(0, 7)), elements=ELEMENTS))
def test_medians_equal_their_naive_version(values: Floats) -> None:
    before = values.copy()
    assert medians(values).tolist() == pytest.approx([naive.known_median(row) for row in values.tolist()], nan_ok=True)
    np.testing.assert_array_equal(values, before)
