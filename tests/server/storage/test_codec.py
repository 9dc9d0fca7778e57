"""Columns packed and back, exactly."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from server.buckets import ARRAYS, Block
from server.storage import codec, grids, samples
from server.storage.rollups import form_of, pack_block, unpack_block, unpack_blocks
from server.storage.samples import Counts, Samples, pack_counts, pack_samples, unpack_counts, unpack_samples

quick = settings(deadline=None, max_examples=60, derandomize=True)
int64 = st.one_of(st.integers(-130, 130), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**33))
small = st.integers(0, 6)


def ints(shape: Any) -> st.SearchStrategy[Any]:
    return npst.arrays(np.int64, shape, elements=int64)


@quick
@given(ints(st.integers(0, 20)))
def test_ints_come_back(values: Any) -> None:
    assert codec.unpack_ints(codec.pack_ints(values), len(values)).tolist() == values.tolist()


@quick
@given(npst.arrays(np.int64, st.integers(0, 20), elements=st.integers(-1, 2**63 - 1)))
def test_sizes_come_back(values: Any) -> None:
    assert codec.unpack_sizes(codec.pack_sizes(values), len(values)).tolist() == values.tolist()


@quick
@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False).map(lambda v: v + 0.0),
            st.just(math.nan),
            st.integers(0, 10**6).map(lambda v: v / 100),
        )
    )
)
def test_floats_come_back_to_the_bit(values: list[float]) -> None:
    back = codec.unpack_floats(codec.pack_floats(np.array(values, dtype=np.float64)), len(values))
    assert [None if math.isnan(v) else v for v in back] == [None if math.isnan(v) else v for v in values]


@quick
@given(st.data(), small, small)
def test_a_matrix_comes_back_whole_or_in_part(data: st.DataObject, times: int, width: int) -> None:
    matrix = data.draw(ints((times, width)))
    packed = codec.pack_matrix(matrix)
    assert codec.unpack_matrix(packed, times, width).tolist() == matrix.tolist()
    columns = np.array(data.draw(st.permutations(range(width)))[: width // 2], dtype=np.intp)
    assert codec.unpack_matrix(packed, times, width, columns).tolist() == matrix[:, columns].tolist()


@quick
@given(st.data(), small, small)
def test_a_grid_comes_back_whole_or_in_part(data: st.DataObject, times: int, width: int) -> None:
    columns = data.draw(st.lists(st.one_of(ints(times), npst.arrays(np.int64, times, fill=int64)), min_size=width))
    matrix = np.array(columns[:width], dtype=np.int64).reshape(width, times).T
    packed = grids.pack_grid(matrix)
    assert grids.unpack_grid(packed, times, width).tolist() == matrix.tolist()
    wanted = np.array(data.draw(st.permutations(range(width)))[: width // 2], dtype=np.intp)
    assert grids.unpack_grid(packed, times, width, wanted).tolist() == matrix[:, wanted].tolist()


def test_a_grid_keeps_each_column_the_shorter_way() -> None:
    rng = np.random.default_rng(1)
    still, drifting = np.full(60, 7_000_000), 1_000_000 + np.cumsum(rng.integers(-1, 2, 60))
    around_zero = np.where(rng.random(60) < 0.5, 0, rng.integers(0, 99, 60))
    sizes = [len(grids.pack_grid(np.stack([column] * 10, axis=1))) for column in (still, drifting, around_zero)]
    assert sizes[0] < 50
    assert sizes[1] < 10 * 60
    assert sizes[2] < 10 * 60 * 0.75


@pytest.mark.parametrize("sections", [4, 5])
def test_chunks_of_the_first_stores_are_read(sections: int) -> None:
    counts = Counts(*(np.array([[3, 400], [2, 500]]) + i for i in range(4)))
    per_slab = np.array([2, 16])
    packed = pack_counts(counts, per_slab)
    if sections == 4:
        foretold = [
            counts.num_slabs,
            counts.num_slabs - counts.active_slabs,
            counts.num_objs - counts.num_slabs * per_slab,
            counts.num_objs - counts.active_objs,
        ]
        packed = codec.join([codec.pack_matrix(m) for m in foretold], 9)
    assert len(codec.split(packed)) == sections
    now = codec.split(pack_counts(counts, per_slab))
    pairs = samples.unpack_objects([now, codec.split(packed)], 2, per_slab)
    assert [m.tolist() for m in pairs.dense()] == [
        [counts.num_objs.T.tolist()] * 2,
        [counts.active_objs.T.tolist()] * 2,
    ]
    back = unpack_counts(packed, 2, per_slab)
    assert (back.active_objs.tolist(), back.num_slabs.tolist()) == ([[3, 400], [2, 500]], [[6, 403], [5, 503]])


@quick
@given(st.data(), small, small)
def test_counts_come_back(data: st.DataObject, times: int, width: int) -> None:
    element = st.one_of(st.just(samples.UNKNOWN), st.integers(0, 2**63 - 1), st.integers(0, 5000))
    matrices = [data.draw(npst.arrays(np.int64, (times, width), elements=element)) for _ in range(4)]
    per_slab = data.draw(npst.arrays(np.int64, width, elements=st.integers(0, 2**31 - 1)))
    packed = pack_counts(Counts(*matrices), per_slab)
    back = unpack_counts(packed, times, per_slab)
    found = [back.active_objs, back.num_objs, back.active_slabs, back.num_slabs]
    assert [m.tolist() for m in found] == [m.tolist() for m in matrices]


@quick
@given(st.data(), st.integers(1, 5))
def test_samples_come_back(data: st.DataObject, count: int) -> None:
    def floats() -> Any:
        unknown = st.just(math.nan)
        centiseconds = st.integers(0, 10**9).map(lambda v: v / 100)
        return data.draw(npst.arrays(np.float64, count, elements=st.one_of(unknown, centiseconds, st.floats(0, 1e300))))

    times = st.integers(0, 253402300799999)
    given_samples = Samples(
        data.draw(npst.arrays(np.int64, count, elements=times)),
        data.draw(npst.arrays(np.int64, count, elements=times)),
        floats(),
        floats(),
        floats(),
        data.draw(npst.arrays(np.int64, (count, 4), elements=st.integers(-1, 2**63 - 1))),
        data.draw(st.lists(st.sampled_from(['{"group":"a"}', "{}"]), min_size=count, max_size=count)),
    )
    back = unpack_samples(pack_samples(given_samples))
    for name in ("taken", "received", "offset", "uptime", "read_seconds", "memory"):
        np.testing.assert_array_equal(getattr(back, name), getattr(given_samples, name))
    assert back.facts == given_samples.facts


@pytest.mark.parametrize("per_slab", [[0, 1, 21], [16, 16, 2**31 - 1]])
def test_a_block_comes_back(per_slab: list[int]) -> None:
    rng = np.random.default_rng(1)
    least = rng.integers(0, 2**40, (7, 3))
    least[3] = 2**63 - 1
    memory = rng.integers(0, 2**40, (7, 4)).astype(np.float64)
    memory[rng.random((7, 4)) < 0.3] = np.nan
    block = Block(
        "boot",
        "layout",
        np.arange(7, dtype=np.float64) * 300.5,
        np.array([1.25, np.nan, 3, 4, 5, 6, 7e300]),
        memory,
        rng.integers(1, 9, 7),
        least,
        least // 2 + 5,
    )
    each = np.array(per_slab)
    packed = pack_block(block, each)
    for columns in (None, np.array([2, 0])):
        back = unpack_block("boot", "layout", packed, each, columns)
        for name in ("time", "uptime", "memory", "samples"):
            np.testing.assert_array_equal(getattr(back, name), getattr(block, name))
        for name in ("num_min", "active_min"):
            expected = getattr(block, name)
            np.testing.assert_array_equal(getattr(back, name), expected if columns is None else expected[:, columns])


def test_blocks_of_one_layout_come_back_together_or_in_part() -> None:
    rng = np.random.default_rng(3)
    each, blocks = np.array([0, 1, 21, 16, 16]), []
    for start in (0, 2, 5):
        num = 10**6 * rng.integers(0, 2, 5) + np.cumsum(rng.integers(-2, 3, (9, 5)) * rng.integers(0, 2, 5), axis=0)
        time = 300 * (start + np.arange(9, dtype=np.float64))
        memory = np.where(rng.random((9, 4)) < 0.1, np.nan, rng.integers(0, 2**40, (9, 4)))
        blocks.append(Block(f"boot-{start}", "l", time, time + 0.25, memory, rng.integers(1, 9, 9), num, num - start))
    split = [codec.split(pack_block(block, each)) for block in blocks]
    names = [(block.boot, block.layout) for block in blocks]
    for columns, (first, until) in itertools.product((None, np.array([3, 0])), ((0, 10**9), (900_000, 1_500_000))):
        found = unpack_blocks(names, split, form_of(split[0]), each, columns, first, until)
        for block, back in zip(blocks, found, strict=True):
            inside = (block.time >= first / 1000) & (block.time < until / 1000)
            for name in ARRAYS:
                expected = getattr(block, name)[inside]
                chosen = expected if columns is None or not name.endswith("_min") else expected[:, columns]
                np.testing.assert_array_equal(getattr(back, name), chosen)
            assert (back.boot, back.layout) == (block.boot, block.layout)


@pytest.mark.parametrize("form", [b"grids", b""])
def test_roll_ups_that_kept_last_counts_too_are_read(form: bytes) -> None:
    rng = np.random.default_rng(2)
    each, times = np.array([1, 21, 16]), np.arange(5, dtype=np.float64)
    last, above, unused, unused_above = (rng.integers(0, 500, (5, 3)) for _ in range(4))
    pack = grids.pack_grid if form else codec.pack_matrix
    counts = [*divmod(last, each), *divmod(above, each), unused, unused_above]
    sections = [
        np.array([5, 3]).tobytes(),
        codec.pack_ints(np.arange(5) * 1000),
        *(codec.pack_floats(times) for _ in range(5)),
        codec.pack_ints(np.ones(5, dtype=np.int64)),
        *map(pack, counts),
        *([form] if form else []),
    ]
    block = unpack_block("boot", "layout", codec.join(sections, 3), each)
    assert block.time.tolist() == times.tolist()
    assert block.num_min.tolist() == (last - above).tolist()
    assert block.active_min.tolist() == (last - unused - (above - unused_above)).tolist()


def test_sections_of_any_length() -> None:
    sections = [b"", b"abc", b"\0" * 100_000]
    assert codec.split(codec.join(sections, 3)) == sections
