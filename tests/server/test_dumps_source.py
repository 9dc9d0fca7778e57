"""Dumps in memory give the analysis the same series as the buckets' own oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.snapshot import Caches, Memory, Snapshot
from server.buckets import WIDTHS
from server.dumps_source import MemorySource
from tests.server.test_buckets import LAYOUTS, Sample, naive, samples


def snapshot_of(sample: Sample, node: str = "lvs1", group: str = "lvs") -> Snapshot:
    layout = LAYOUTS[sample.layout]
    return Snapshot(
        node=node,
        group=group,
        taken_at=sample.time,
        boot_id=sample.boot,
        uptime_seconds=sample.uptime,
        memory=Memory(total=int(sample.time), slab_reclaimable=1),
        caches=Caches(layout.name, list(sample.active), list(sample.num), layout.obj_size),
    )


def source_of(*snapshots: Snapshot) -> MemorySource:
    source = MemorySource()
    for snapshot in snapshots:
        source.add(snapshot)
    return source


@given(samples(), st.sampled_from(WIDTHS), st.integers(0, 2000), st.integers(0, 2000))
def test_any_window_equals_the_oracle(picked: list[Sample], width: int, one: int, other: int) -> None:
    start, end = min(one, other), max(one, other)
    inside = [sample for sample in picked if start <= sample.time <= end]
    source = source_of(*map(snapshot_of, picked))
    nodes = list(source.window(start, end, width))
    assert len(nodes) == (1 if inside else 0)
    found: dict[object, object] = {}
    for boot in nodes[0].boots if nodes else ():
        for t, time in enumerate(boot.time):
            columns = (boot.num_min, boot.active_min)
            found[boot.boot, int(time // width)] = {
                (row.name, row.obj_size, row.ordinal): tuple(int(column[t, c]) for column in columns)
                for c, row in enumerate(boot.rows)
                if not np.isnan(boot.num_min[t, c])
            }
    assert found == naive(inside, width)


def many(count: int) -> list[Snapshot]:
    sizes = [("first", "two", float(t), t + 7.0, (t, 2**40 + t), (t, 1)) for t in range(count)]
    return [snapshot_of(Sample(*size)) for size in sizes]


def test_packed_chunks_give_every_count_back() -> None:
    source = source_of(*many(300))
    ((boot,),) = [node.boots for node in source.window(0, 1000, 1)]
    assert boot.num_min[:, 0].tolist() == list(range(300))
    assert boot.num_min[:, 1].tolist() == [2**40 + t for t in range(300)]
    ((part,),) = [node.boots for node in source.window(100, 102, 1)]
    assert part.num_min[:, 0].tolist() == [100, 101, 102]
    assert part.uptime.tolist() == [107, 108, 109]
    assert part.memory[:, 0].tolist() == [100, 101, 102]
    assert np.isnan(part.memory[:, 1]).all()


def test_the_first_of_two_duplicates_stays() -> None:
    first, second = many(2)
    second.taken_at = first.taken_at
    source = source_of(first, second)
    assert (source.snapshots, source.duplicates) == (1, 1)
    ((boot,),) = [node.boots for node in source.window(0, 10, 5)]
    assert boot.num_min[0, 0] == 0


def test_nodes_by_name_groups_and_the_newest_facts() -> None:
    sample = Sample("first", "two", 5.0, 12.0, (1, 2), (1, 2))
    later = Sample("first", "two", 9.0, 16.0, (1, 2), (1, 2))
    source = source_of(
        snapshot_of(sample, "web2", "web"),
        snapshot_of(later, "lvs1", "web"),
        snapshot_of(sample, "lvs1", "lvs"),
    )
    assert [(node.node, node.group) for node in source.window(0, 10, 5)] == [("lvs1", "web"), ("web2", "web")]
    assert [node.node for node in source.window(0, 10, 5, group="lvs")] == []
    assert [node.node for node in source.window(6, 10, 5)] == ["lvs1"]
    ((boot,),) = [node.boots for node in source.window(6, 10, 5, caches={"filp"})]
    assert [row.name for row in boot.rows] == ["filp"]
    assert (*source.span(), len(source)) == (5.0, 9.0, 0, 2)


def test_the_span_is_where_most_snapshots_are() -> None:
    def at(*times: float) -> MemorySource:
        return source_of(*(replace(snapshot, taken_at=time) for snapshot, time in zip(many(9), times, strict=False)))

    year = 365 * 86400.0
    assert at(5.0).span() == (5.0, 5.0, 0)
    assert at(5.0, 5.0 + year, 5.0 + 2 * year).span() == (5.0, 5.0 + 2 * year, 0)
    assert at(5.0, 30 * year, 30 * year + 60, 253402300799.0).span() == (30 * year, 30 * year + 60, 2)


def test_without_boot_id_the_uptime_tells_boots_apart() -> None:
    snapshots = many(3)
    for snapshot, uptime in zip(snapshots, (1000.0, 1001.0, 3.0), strict=True):
        snapshot.boot_id, snapshot.uptime_seconds = None, uptime
        snapshot.taken_at += 5000
    (node,) = source_of(*snapshots).window(0, 10000, 5)
    assert [len(boot.time) for boot in node.boots] == [1, 1]
    assert [int(boot.samples.sum()) for boot in node.boots] == [2, 1]
