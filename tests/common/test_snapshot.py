"""The snapshot's wire form and the hash of its layout."""

from __future__ import annotations

from dataclasses import replace

from common.snapshot import Caches, Memory, Snapshot, layout_hash, to_wire

CACHES = Caches(
    name=["dentry", "scsi_cmd_cache"],
    active_objs=[121970, 700],
    num_objs=[125454, 736],
    obj_size=[192, 512],
    objs_per_slab=[21, 16],
    pages_per_slab=[1, 2],
    active_slabs=[5974, 46],
    num_slabs=[5974, 46],
    reclaimable=[True, None],
    aliases=[[], ["biovec-16"]],
)


def test_the_contracts_example() -> None:
    snapshot = Snapshot(
        node="lvs1",
        group="lvs",
        labels={"rack": "r4"},
        taken_at=1795388400.125,
        caches=CACHES,
        memory=Memory(total=8589934592),
        boot_id="0b6f",
        cpus=8,
    )
    wire = to_wire(snapshot)
    assert wire["taken_at"] == "2026-11-22T23:00:00.125Z"
    assert wire["memory"] == {"total": 8589934592}
    assert wire["caches"]["aliases"] == [[], ["biovec-16"]]
    assert "uptime_seconds" not in wire
    assert list(wire["caches"]) == [
        "name",
        "obj_size",
        "objs_per_slab",
        "pages_per_slab",
        "reclaimable",
        "aliases",
        "active_objs",
        "num_objs",
        "active_slabs",
        "num_slabs",
    ]


def test_a_layout_hash_stands_in_place_of_the_layout_columns() -> None:
    digest = layout_hash(CACHES)
    wire = to_wire(Snapshot(node="a", taken_at=0.0, caches=CACHES), layout=digest)
    assert list(wire["caches"]) == ["layout", "active_objs", "num_objs", "active_slabs", "num_slabs"]


def test_the_layout_hash_is_that_of_its_documented_text() -> None:
    # sha256 of {"name":["é"],"obj_size":[8]} in UTF-8, computed with sha256sum
    caches = Caches(name=["é"], active_objs=[1], num_objs=[2], obj_size=[8])
    assert layout_hash(caches) == "f0630e38bbdeb63d89f9b16182aeb535"


def test_the_layout_hash_ignores_counts_and_sees_geometry() -> None:
    assert layout_hash(replace(CACHES, active_objs=[0, 0])) == layout_hash(CACHES)
    assert layout_hash(replace(CACHES, obj_size=[192, 640])) != layout_hash(CACHES)
    assert layout_hash(replace(CACHES, name=["dentry", "scsi_cmd_cachf"])) != layout_hash(CACHES)
    assert layout_hash(replace(CACHES, objs_per_slab=None)) != layout_hash(CACHES)
