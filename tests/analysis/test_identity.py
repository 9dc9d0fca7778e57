"""Which kernel names are one cache."""

from __future__ import annotations

import pytest

from server.analysis.identity import assumed_reclaimable, canonical_names, fold, freed_late, kept_late
from server.analysis.tracks import make_tracks
from server.buckets import CacheRow
from tests.analysis.series import MIB, START, ArraySource, Node, level, ramp


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("dentry", "dentry"),
        ("kmalloc-rnd-05-64", "kmalloc-64"),
        ("kmalloc-rnd-15-1k", "kmalloc-1k"),
        ("kmalloc-1024", "kmalloc-1k"),
        ("kmalloc-192", "kmalloc-192"),
        ("kmalloc-4194304", "kmalloc-4M"),
        ("kmalloc-cg-1024", "kmalloc-cg-1k"),
        ("dma-kmalloc-2048", "dma-kmalloc-2k"),
        ("size-512", "kmalloc-512"),
        ("size-2048(DMA)", "dma-kmalloc-2k"),
        ("kmalloc-1024(1793:c8ed)", "kmalloc-1k"),
        ("dentry(33:init.scope)", "dentry"),
        ("nf_conntrack_ffffffff818b9000", "nf_conntrack"),
        ("nf_conntrack_c0a81234", "nf_conntrack"),
        ("biovec-(256)", "biovec-(256)"),
        ("raid5/md0", "raid5/md0"),
        ("eventpoll pwq", "eventpoll pwq"),
        ("ext4_inode_cache", "ext4_inode_cache"),
        ("(1:x)", "(1:x)"),
        ("cred", "cred_jar"),
        ("cred_jar", "cred_jar"),
    ],
)
def test_fold(name: str, folded: str) -> None:
    assert fold(name) == folded
    assert fold(folded) == folded


@pytest.mark.parametrize("cache", ["dentry", "ext4_inode_cache", "xfs_inode", "radix_tree_node", "buffer_head"])
def test_known_caches_are_assumed_reclaimable(cache: str) -> None:
    assert assumed_reclaimable(cache)


@pytest.mark.parametrize("cache", ["scsi_cmd_cache", "sock_inode_cache", "kmalloc-64", "filp", "task_struct"])
def test_others_are_not(cache: str) -> None:
    assert not assumed_reclaimable(cache)


@pytest.mark.parametrize("cache", ["lsm_inode_cache", "xfs_ili", "xfs_ifork", "iint_cache", "vmap_area", "iommu_iova"])
def test_what_is_freed_late_is_so_whatever_the_flag_says(cache: str) -> None:
    assert freed_late(cache)
    time = START + 60 * ramp(30)
    for flag in (False, True, None):  # None: not known
        node = Node("n1", time, {cache: level(time, MIB), "filp": level(time, MIB)}, reclaimable={cache: flag})
        (track,) = make_tracks(list(ArraySource([node]).window(START, START + 1800, 60)))
        assert {name: bool(track.reclaimable[at]) for name, at in track.index.items()} == {cache: True, "filp": False}


@pytest.mark.parametrize("cache", ["vmap_area_x", "my_xfs_ili", "filp", "dentry", "kmalloc-64", "iommu_devinfo"])
def test_nothing_else_is(cache: str) -> None:
    assert not freed_late(cache)


def row(name: str, *aliases: str) -> CacheRow:
    return CacheRow(name, 512, 0, None, aliases)


def test_a_merged_cache_is_matched_to_the_name_most_nodes_list() -> None:
    layouts = {
        "a": [[row("skbuff_fclone_cache", "sgpool-16")]],
        "b": [[row("skbuff_fclone_cache", "sgpool-16")]],
        "c": [[row("pool_workqueue", "skbuff_fclone_cache", "sgpool-16")]],
    }
    names = canonical_names(layouts)
    assert names["c"]["pool_workqueue"] == "skbuff_fclone_cache"
    assert names["a"]["skbuff_fclone_cache"] == "skbuff_fclone_cache"


def test_a_name_that_the_node_lists_beside_it_is_not_taken() -> None:
    layouts = {
        "a": [[row("kmalloc-64"), row("anon_vma_chain")]],
        "b": [[row("kmalloc-64"), row("anon_vma_chain")]],
        "c": [[row("vmap_area", "kmalloc-64"), row("kmalloc-64")]],
    }
    assert canonical_names(layouts)["c"]["vmap_area"] == "vmap_area"


def test_random_copies_become_one_cache() -> None:
    names = canonical_names({"a": [[row("kmalloc-rnd-01-64"), row("kmalloc-rnd-02-64"), row("kmalloc-64")]]})
    assert set(names["a"].values()) == {"kmalloc-64"}


def test_areas_that_wait_to_be_unmapped_are_bounded_and_inodes_are_not() -> None:
    assert kept_late("vmap_area", 5e6)
    assert not kept_late("vmap_area", 50e6)
    assert kept_late("lsm_inode_cache", 5e9)
