"""The reduction of many series at once, against that of each alone."""

from __future__ import annotations

import numpy as np
import pytest

from server.assemble import assemble_boots, assemble_nodes
from server.buckets import ARRAYS, Block, CacheRow, coarsen, coarsen_apart, raw_block
from server.coarsen import Snapshots, coarsen_alike, coarsen_all


def block(rng: np.random.Generator, times: np.ndarray, *, boot: str = "b", layout: str = "l", width: int = 3) -> Block:
    counts = rng.integers(0, 99, (len(times), width))
    memory = rng.integers(0, 9, (len(times), 4)).astype(np.float64)
    return raw_block(boot, layout, times.astype(np.float64), times + 5.5, memory, counts, counts // 2)


def equal(found: Block, expected: Block) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.boot, found.layout) == (expected.boot, expected.layout)


@pytest.mark.parametrize("seed", range(20))
def test_snapshots_of_many_series(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = [block(rng, np.sort(rng.choice(2000, rng.integers(0, 30), replace=False)), boot=str(n)) for n in range(5)]
    which = np.repeat(np.arange(5), [len(b.time) for b in blocks])
    arrays = [np.concatenate([getattr(b, name) for b in blocks]) for name in ARRAYS]
    time, uptime, memory, _, num, active = arrays
    found = Snapshots([(b.boot, b.layout) for b in blocks], which, time, uptime, memory, num, active)
    for single in (-np.inf, 700.0):
        for own, got in zip(blocks, coarsen_all(found, 300, single), strict=True):
            alone = coarsen([own], 300) if single < 0 or not len(own.time) else None
            if alone is not None:
                equal(got, alone)
                continue
            late = own.time >= single
            assert got.time[got.time < single].tolist() == own.time[~late].tolist()
            assert int(got.samples.sum()) == len(own.time)
            if late.any():
                rest = block(rng, own.time[late], boot=own.boot)
                counts = own.num_min[late], own.active_min[late]
                rest = raw_block(own.boot, "l", own.time[late], own.uptime[late], rest.memory, *counts)
                after = got.time >= single
                np.testing.assert_array_equal(got.num_min[after], coarsen([rest], 300).num_min)


@pytest.mark.parametrize("seed", range(20))
def test_blocks_of_many_nodes(seed: int) -> None:
    """Most nodes have the same buckets; some have another layout, too, or blocks that lie within each other."""
    rng = np.random.default_rng(seed)
    found: dict[int, list[Block]] = {}
    for node in range(12):
        steps = [np.arange(0, 300, 60), np.arange(300, 7200, 300), np.arange(7200, 7380, 60)]
        own = [block(rng, 3600 * 5 + step + node, width=3) for step in steps]
        if node % 4 == 1:
            own.append(block(rng, np.array([3600 * 5 + 7.25])))
        if node % 4 == 2:
            own.append(block(rng, np.array([3600 * 9 + 7.25]), layout="other", width=2))
        if node % 5 == 3:
            own.append(block(rng, np.zeros(0)))
        rng.shuffle(own)
        found[node] = own
    groups, others = coarsen_alike(found, 3600)
    coarse = {key: blocks for group in groups for key, blocks in group.items()}
    assert sorted([*coarse, *others]) == list(found)
    assert {node for node in found if node % 4 == 2} <= set(others)
    for node, blocks in coarse.items():
        for got, alone in zip(blocks, coarsen_apart(found[node], 3600), strict=True):
            equal(got, alone)
    assert [len(b.time) for b in coarse[0]] == [2, 1]
    rows = {
        layout: [CacheRow(f"{layout}{i}", 8, 0) for i in range(width)] for layout, width in (("l", 3), ("other", 2))
    }
    for node, boots in assemble_nodes(found, rows, 3600).items():
        for mine, by_itself in zip(boots, assemble_boots(found[node], rows, 3600), strict=True):
            for name in ("boot", "rows", *ARRAYS):
                np.testing.assert_array_equal(getattr(mine, name), getattr(by_itself, name))
