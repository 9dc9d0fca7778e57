"""The reduction to buckets against a slow oracle, and that coarser buckets do not depend on the way they were made."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.snapshot import Caches
from server.assemble import assemble_boots, layout_rows
from server.buckets import WIDTHS, Block, coarsen, raw_block

LAYOUTS = {
    "two": Caches(name=["dentry", "filp"], active_objs=[], num_objs=[], obj_size=[192, 256]),
    "three": Caches(name=["filp", "ext4", "dentry"], active_objs=[], num_objs=[], obj_size=[256, 1000, 192]),
    "twice": Caches(name=["dentry", "dentry"], active_objs=[], num_objs=[], obj_size=[192, 192]),
}
ROWS = {name: layout_rows(layout) for name, layout in LAYOUTS.items()}


@dataclass(frozen=True)
class Sample:
    """One snapshot as the oracle sees it."""

    boot: str
    layout: str
    time: float
    uptime: float
    num: tuple[int, ...]
    active: tuple[int, ...]


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    times = draw(st.lists(st.integers(0, 2000), min_size=1, max_size=40, unique=True))
    made = []
    for time in times:
        layout = draw(st.sampled_from(sorted(LAYOUTS)))
        counts = st.tuples(*[st.integers(0, 50)] * len(ROWS[layout]))
        boot = "first" if time < 900 else draw(st.sampled_from(["first", "second"]))
        made.append(Sample(boot, layout, float(time), float(time) + 7, draw(counts), draw(counts)))
    return made


def blocks_of(picked: list[Sample]) -> list[Block]:
    """Each run of samples of one boot and layout as a block of its own."""
    blocks = []
    for boot in ("first", "second"):
        for layout in LAYOUTS:
            same = [s for s in picked if (s.boot, s.layout) == (boot, layout)]
            if same:
                blocks.append(
                    raw_block(
                        boot,
                        layout,
                        np.array([s.time for s in same]),
                        np.array([s.uptime for s in same]),
                        np.array([[s.time, np.nan, 1.0, 2.0] for s in same]),
                        np.array([s.num for s in same], dtype=np.int64),
                        np.array([s.active for s in same], dtype=np.int64),
                    )
                )
    return blocks


def naive(picked: list[Sample], width: int) -> dict[tuple[str, int], dict[object, tuple[int, int]]]:
    """(boot, bucket) -> row -> (least num, least active), one snapshot after the other."""
    found: dict[tuple[str, int], dict[object, tuple[int, int]]] = {}
    for sample in sorted(picked, key=lambda s: s.time):
        bucket = found.setdefault((sample.boot, int(sample.time // width)), {})
        for row, num, active in zip(ROWS[sample.layout], sample.num, sample.active, strict=True):
            key = (row.name, row.obj_size, row.ordinal)
            before = bucket.get(key, (num, active))
            bucket[key] = (min(before[0], num), min(before[1], active))
    return found


def as_naive(blocks: list[Block], width: int) -> dict[tuple[str, int], dict[object, tuple[int, int]]]:
    found: dict[tuple[str, int], dict[object, tuple[int, int]]] = {}
    for boot in assemble_boots(blocks, ROWS, width):
        for t, time in enumerate(boot.time):
            bucket = found.setdefault((boot.boot, int(time // width)), {})
            for c, row in enumerate(boot.rows):
                if not np.isnan(boot.num_min[t, c]):
                    bucket[row.name, row.obj_size, row.ordinal] = (
                        int(boot.num_min[t, c]),
                        int(boot.active_min[t, c]),
                    )
    return found


@given(samples(), st.sampled_from(WIDTHS))
def test_assembled_series_equal_the_oracle(picked: list[Sample], width: int) -> None:
    assert as_naive(blocks_of(picked), width) == naive(picked, width)


@given(samples(), st.randoms(use_true_random=False))
def test_coarser_buckets_from_finer_ones_and_in_any_order(picked: list[Sample], random: object) -> None:
    shuffled = list(picked)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types its random as object
    fine = [coarsen([block], 15) for half in (shuffled[::2], shuffled[1::2]) for block in blocks_of(half)]
    assert as_naive(fine, 300) == naive(picked, 300)


def test_a_bucket_counts_its_snapshots_and_keeps_the_last_clock() -> None:
    block = raw_block(
        "b",
        "two",
        np.array([61.0, 59.0, 65.5]),
        np.array([1.0, 2.0, 3.0]),
        np.full((3, 4), np.nan),
        np.array([[5, 1], [6, 2], [4, 3]], dtype=np.int64),
        np.array([[1, 1], [1, 1], [1, 1]], dtype=np.int64),
    )
    minute = coarsen([block], 60)
    assert minute.time.tolist() == [59.0, 65.5]
    assert minute.samples.tolist() == [1, 2]
    assert minute.uptime.tolist() == [2.0, 3.0]
    assert minute.num_min.tolist() == [[6, 2], [4, 1]]


def test_only_the_caches_asked_for() -> None:
    block = raw_block(
        "b",
        "three",
        np.array([1.0]),
        np.array([1.0]),
        np.zeros((1, 4)),
        np.array([[5, 6, 7]], dtype=np.int64),
        np.array([[1, 2, 3]], dtype=np.int64),
    )
    (boot,) = assemble_boots([block], ROWS, 60, caches={"dentry"})
    assert [row.name for row in boot.rows] == ["dentry"]
    assert boot.num_min.tolist() == [[7.0]]


def test_widths_nest() -> None:
    assert all(wide % narrow == 0 for narrow, wide in pairwise(WIDTHS))
