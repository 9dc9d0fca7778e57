"""From boots of a node to one track a cache."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.analysis.tracks import cells, make_tracks, settled, warm_up_seconds
from server.buckets import BootSeries, CacheRow, NodeSeries
from tests.analysis import naive
from tests.analysis.series import START, ArraySource, Floats, Node, level, ramp, rising


@given(st.floats(0, 1e7))
def test_warm_up(age: float) -> None:
    assert warm_up_seconds(age) == pytest.approx(naive.warm_up(age))


def boot(rows: tuple[CacheRow, ...], counts: Floats, uptime: float = 1e6) -> BootSeries:
    time = START + 60.0 * ramp(len(counts))
    up = uptime + 60.0 * ramp(len(counts))
    memory, samples = np.full((len(counts), 4), np.nan), np.ones(len(counts), dtype=np.int64)
    return BootSeries("b", time, up, memory, samples, rows, counts, counts)


def test_rows_of_one_cache_are_summed_and_missing_is_never_zero() -> None:
    rows = (CacheRow("kmalloc-rnd-01-64", 64, 0), CacheRow("kmalloc-64", 64, 0), CacheRow("filp", 256, 0))
    counts = np.array([[1, 2, 5], [np.nan, 3, np.nan], [np.nan, np.nan, 7.0]])
    (track,) = make_tracks([NodeSeries("n", boots=(boot(rows, counts),))])
    assert track.names == ("filp", "kmalloc-64")
    np.testing.assert_array_equal(track.allocated, [[1280, 192], [np.nan, 192], [1792, np.nan]])
    assert track.facts[1].members == ("kmalloc-64", "kmalloc-rnd-01-64")


def test_duplicate_rows_are_summed() -> None:
    rows = (CacheRow("mlx5_fs_ftes", 576, 0), CacheRow("mlx5_fs_ftes", 576, 1))
    (track,) = make_tracks([NodeSeries("n", boots=(boot(rows, np.array([[1.0, 2], [3, 4]])),))])
    assert track.allocated[:, 0].tolist() == [3 * 576, 7 * 576]


def test_the_order_of_rows_is_irrelevant() -> None:
    rows = (CacheRow("a", 8, 0), CacheRow("b", 16, 0), CacheRow("c", 32, 0))
    counts = np.arange(9.0).reshape(3, 3)
    one = make_tracks([NodeSeries("n", boots=(boot(rows, counts),))])[0]
    other = make_tracks([NodeSeries("n", boots=(boot(rows[::-1], counts[:, ::-1]),))])[0]
    assert one.names == other.names
    np.testing.assert_array_equal(one.allocated, other.allocated)


def test_warm_up_is_cut_off_by_uptime() -> None:
    rows = (CacheRow("a", 8, 0),)
    series = boot(rows, np.ones((60, 1)), uptime=0.0)
    (track,) = make_tracks([NodeSeries("n", boots=(series,))])
    assert len(track.time) == 60
    assert settled(track).uptime[0] >= warm_up_seconds(59 * 60.0)


def test_a_second_boot_without_uptime_warms_up_from_its_first_snapshot() -> None:
    rows = (CacheRow("a", 8, 0),)
    unknown = replace(boot(rows, np.ones((60, 1))), uptime=np.full(60, np.nan))
    both = NodeSeries("n", boots=(unknown, replace(unknown, time=unknown.time + 1e5)))
    first, second = (settled(track) for track in make_tracks([both]))
    assert len(first.time) == 60
    assert len(second.time) == 60 - 12


def test_flags_beat_the_table_of_assumed_caches() -> None:
    rows = (CacheRow("dentry", 192, 0, False), CacheRow("inode_cache", 600, 0), CacheRow("filp", 256, 0, True))
    (track,) = make_tracks([NodeSeries("n", boots=(boot(rows, np.ones((3, 3))),))])
    found = {name: (f.reclaimable, f.assumed) for name, f in zip(track.names, track.facts, strict=True)}
    assert found == {"dentry": (False, False), "filp": (True, False), "inode_cache": (True, True)}


def test_cells_are_floors_on_the_epoch_grid() -> None:
    time = START + np.arange(0, 7200.0, 60)
    node = Node("n", time, {"a": 512 * 100 + rising(time, 512 * 60), "b": level(time, 5120)})
    (series,) = ArraySource([node]).window(START, START + 7200, 60)
    (track,) = make_tracks([series])
    part = cells(track, START, START + 7199, 1200.0)
    assert len(part.time) == 6
    for number, at in enumerate(range(0, 120, 20)):
        assert part.allocated[number].tolist() == track.allocated[at : at + 20].min(axis=0).tolist()
    assert part.samples.tolist() == [20] * 6
