"""Columns of many rows unpacked at once are those unpacked one by one."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from server.storage import codec, together

quick = settings(deadline=None, max_examples=60, derandomize=True)
int64 = st.one_of(st.integers(-130, 130), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**33))
sizes = st.one_of(st.integers(-1, 0), st.integers(0, 2**50).map(lambda v: v * 4096), st.integers(0, 2**63 - 1))
figures = st.one_of(st.just(np.nan), st.integers(0, 10**6).map(lambda v: v / 100), st.floats(0, 1e300))


@quick
@given(st.lists(npst.arrays(np.int64, st.integers(0, 20), elements=int64)))
def test_ints(columns: list[Any]) -> None:
    found = together.ints_together([codec.pack_ints(c) for c in columns], [len(c) for c in columns])
    assert found.tolist() == [value for column in columns for value in column.tolist()]


@quick
@given(st.integers(1, 9).flatmap(lambda n: st.lists(npst.arrays(np.float64, n, elements=figures), min_size=1)))
def test_floats(columns: list[Any]) -> None:
    packed = [codec.pack_floats(column) for column in columns]
    np.testing.assert_array_equal(together.floats_together(packed, len(columns[0])), np.array(columns))


@quick
@given(st.integers(1, 9).flatmap(lambda n: st.lists(npst.arrays(np.int64, n, elements=sizes), min_size=1)))
def test_sizes(columns: list[Any]) -> None:
    packed = [codec.pack_sizes(column) for column in columns]
    assert together.sizes_together(packed, len(columns[0])).tolist() == np.array(columns).tolist()


@pytest.mark.parametrize("damaged", [b"\x01\x02\x03", b"\xff\x02", b"\xff\x02\x00", b"\xff\xff\x01\x01\x01", b"\x01"])
def test_what_was_not_packed_so_is_told(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"larger values|buffer"):
        together.small_together([b"\x01\x02", damaged], [2, 2])
