"""Sealed hours of many nodes in buckets, against the reduction of each one alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from server.buckets import ARRAYS, Block, coarsen, raw_block
from server.storage.chunks import coarsen_chunks
from server.storage.codec import split
from server.storage.pieces import Grid
from server.storage.samples import Counts, Samples, pack_counts, pack_samples, unpack_objects, unpack_series

PER_SLAB = np.array([0, 1, 21, 16])


def hour(rng: np.random.Generator, times: int, phase: int) -> tuple[Samples, Counts]:
    taken = np.sort(rng.choice(60, times, replace=False)) * 60_000 + phase
    unknown = np.full(times, np.nan)
    memory = rng.integers(-1, 2**40, (times, 4))
    uptime = np.where(rng.random(times) < 0.1, np.nan, taken / 1000 + 7.25)
    samples = Samples(taken, taken, unknown, uptime, unknown, memory, ["{}"] * times)
    num = 1000 + np.cumsum(rng.integers(-3, 4, (times, 4)) * rng.integers(0, 2, 4), axis=0)
    return samples, Counts(num - rng.integers(0, 2, 4), num, num // 20, num // 20 + 1)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(1, 20),
    st.integers(-1, 61),
    st.integers(-1, 61),
    st.sampled_from([60, 300, 3600]),
    st.sampled_from([-1, 10 * 60_000 + 1]),
    st.sampled_from([None, [2, 0], []]),
)
def test_buckets_of_an_hour(
    seed: int, times: int, first: int, last: int, width: int, single: int, wanted: list[int] | None
) -> None:
    rng = np.random.default_rng(seed)
    hours = [hour(rng, times, int(phase)) for phase in rng.choice([0, 30_000, 59_999], 5)]
    low, high = first * 60_000 + 7, last * 60_000 + 31_000
    columns: Any = None if wanted is None else np.array(wanted, dtype=np.intp)
    taken, uptime, memory = unpack_series([split(pack_samples(samples)) for samples, _ in hours])
    pairs = unpack_objects([split(pack_counts(counts, PER_SLAB)) for _, counts in hours], times, PER_SLAB, columns)
    names = [(str(place), "layout") for place in range(5)]
    found = coarsen_chunks(names, taken, uptime, memory, pairs, Grid(low, high, width, single))
    for place, (samples, counts) in enumerate(hours):
        kept = (samples.taken >= low) & (samples.taken <= high)
        expected = []
        for own, wide in ((kept & (samples.taken < single), 1), (kept & (samples.taken >= single), width)):
            if own.any():
                amounts = np.where(samples.memory < 0, np.nan, samples.memory)[own]
                matrices = (
                    m[own] if columns is None else m[own][:, columns] for m in (counts.num_objs, counts.active_objs)
                )
                alone = raw_block("", "", samples.taken[own] / 1000, samples.uptime[own], amounts, *matrices)
                expected.append(coarsen([alone], wide))
        same(found[place], expected)
        assert (found[place].boot, found[place].layout) == names[place]


def same(found: Block, expected: list[Block]) -> None:
    for name in ARRAYS:
        parts = [getattr(block, name) for block in expected]
        assert len(getattr(found, name)) == sum(map(len, parts))
        if parts:
            np.testing.assert_array_equal(getattr(found, name), np.concatenate(parts))
    moves = (found.num_min != found.num_min[:1]).any(axis=0) if expected else np.zeros(0)
    assert found.moving is not None
    assert set(np.flatnonzero(moves).tolist()) <= set(found.moving.tolist())
