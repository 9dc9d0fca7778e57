"""What a cache is called across nodes, boots and kernels: folded names, merged caches, and which can be reclaimed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

from server.buckets import CacheRow

__all__ = ["assumed_reclaimable", "canonical_names", "fold", "freed_late", "kept_late", "named_before"]

_RANDOM = re.compile(r"^kmalloc-(?:rnd|part)-\d+-(.+)$")
"""Copies drawn per boot by CONFIG_RANDOM_KMALLOC_CACHES (Linux commit 3c6152940584, v6.6)."""
_SLAB_SIZE = re.compile(r"^size-(\d+)(\(DMA\))?$")
"""SLAB called the general caches size-N and size-N(DMA) until Linux commit e33660165c90 (v3.10)."""
_CGROUP = re.compile(r"\(\d+:[^()]*\)$")
"""Per-cgroup copies, `NAME(ID:CGROUP)`, until Linux v5.9."""
_ADDRESS = re.compile(r"[-_](?:0x)?(?:[0-9a-f]{16}|[89a-f][0-9a-f]{7})$")
"""A kernel address printed into the name, as in nf_conntrack_ffffffff818b9000."""
_KMALLOC_BYTES = re.compile(r"^((?:dma-)?kmalloc(?:-cg|-rcl)?)-(\d+)$")
_RENAMED = {
    "cred": "cred_jar",
    "mb_cache_entry": "mbcache",
    "extent_status": "ext4_extent_status",
    "pending_reservation": "ext4_pending_reservation",
    "xfrm_dst": "xfrm_dst_cache",
}
"""Caches that KMEM_CACHE() names after their struct: the new and the old name, as 6.12 and 6.1 list them."""

_RECLAIMABLE = re.compile(
    r"^(?:dentry|dentry_cache|inode_cache|.*_inode_cache|.*_inode|.*_inode_info|ino?de.*|.*_icache|.*_inodes?_cache"
    r"|buffer_head|radix_tree_node|xarray_node|xfs_ili|.*extent_status|.*_extent_(?:map|state|buffer|node).*"
    r"|lsm_inode_cache|selinux_inode_security|iint_cache|ima_iint_cache|kmalloc-rcl-.*|mbcache|ext\d_groupinfo.*"
    r"|btrfs_(?:inode|path|delayed_node|extent_map|extent_buffer|free_space).*|nfs_(?:inode|direct).*|zfs_znode.*"
    r"|arc_buf.*|dnode_t|dmu_buf.*|sa_cache|zio_buf.*|ceph_(?:inode|cap|dentry).*|fuse_inode|ovl_inode"
    r"|fsnotify_mark_connector|jbd2_journal_head|journal_head|xfs_(?:inode|buf|dquot|ifork))$"
)
"""Caches with SLAB_RECLAIM_ACCOUNT or a shrinker, and those whose objects live and die with such an inode or page."""
_LAZY = re.compile(
    r"^(?:lsm_inode_cache|selinux_inode_security|iint_cache|ima_iint_cache|jbd2_inode|xfs_ili|xfs_ifork"
    r"|vmap_area|iommu_iova)$"
)
"""Not accounted as reclaimable, but given back late and not lost: with the inode that each object belongs to
(security_inode_free in security/security.c, ext4_clear_inode in fs/ext4/super.c, xfs_inode_free_callback in
fs/xfs/xfs_icache.c), once so many areas wait to
be unmapped (lazy_max_pages in mm/vmalloc.c), or from per-CPU magazines that fill first (drivers/iommu/iova.c)."""
_BOUNDED = re.compile(r"^(?:vmap_area|iommu_iova)$")
LATE_MOST = 16 * 2.0**20
"""Bytes of areas that wait at most: lazy_max_pages is fls(processors) times 32 MiB of pages, i.e. 65,536 areas on up to
255 processors; the IOVA caches hold 2 magazines of 128 on each processor and 32 more, of 6 sizes (221,184 with 128)."""
_NEVER = re.compile(
    r"^(?:sock_inode_cache|shmem_inode_cache|hugetlbfs_inode_cache|mqueue_inode_cache|bdev_cache|rpc_inode_cache)$"
)
"""Inodes held by an open descriptor or a mount: a shrinker does not free them."""


@lru_cache(maxsize=65536)
def fold(name: str) -> str:
    """The name under which a kernel's cache is compared: per-boot, per-cgroup and per-version spelling removed.

    `kmalloc-rnd-05-64` -> `kmalloc-64`, `size-1024` and `kmalloc-1024` -> `kmalloc-1k`,
    `kmalloc-1024(1793:c8ed)` -> `kmalloc-1k`, `nf_conntrack_ffffffff818b9000` -> `nf_conntrack`, `cred` -> `cred_jar`.
    """
    name = _CGROUP.sub("", name) or name
    name = _RANDOM.sub(r"kmalloc-\1", name)
    if found := _SLAB_SIZE.match(name):
        name = f"{'dma-' if found[2] else ''}kmalloc-{found[1]}"
    if (found := _KMALLOC_BYTES.match(name)) and int(found[2]) >= 1024 and int(found[2]) % 1024 == 0:
        size = int(found[2])
        name = f"{found[1]}-{size // 2**20}M" if size % 2**20 == 0 else f"{found[1]}-{size // 1024}k"
    name = _ADDRESS.sub("", name) or name
    return _RENAMED.get(name, name)


def freed_late(cache: str) -> bool:
    """Whether the kernel frees what a cache of this folded name holds late, as it reclaims or has enough of it."""
    return bool(_LAZY.match(cache))


def kept_late(cache: str, held: float) -> bool:
    """Whether so many bytes, all that a cache of this folded name holds, may still wait to be freed late."""
    return not _BOUNDED.match(cache) or held <= LATE_MOST


def assumed_reclaimable(cache: str) -> bool:
    """Whether a cache of this folded name is known to shrink under memory pressure, for want of the flag."""
    return bool(_RECLAIMABLE.match(cache)) and not _NEVER.match(cache)


def canonical_names(layouts: Mapping[str, Sequence[Sequence[CacheRow]]]) -> dict[str, Mapping[str, str]]:
    """For each node of one group, which cache every name that its kernel lists is.

    `layouts` gives the rows of each node's boots. A name keeps its own folded form unless few nodes list it and the
    kernel says that it shares its memory with a cache that more nodes list (and this node does not): kernels merge
    like-sized caches, and which name survives depends on the order in which they were made (find_mergeable in
    mm/slab_common.c). Nodes with the same rows share one answer.
    """
    kinds: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    same: dict[int, tuple[int, ...]] = {}
    for node, boots in layouts.items():
        key = tuple(same.get(id(rows)) or same.setdefault(id(rows), tuple(map(id, rows))) for rows in boots)
        kinds.setdefault(key, []).append(node)
    listed: list[tuple[list[str], dict[str, str], dict[str, set[str]]]] = []
    count: Counter[str] = Counter()
    holders: dict[str, set[str]] = {}
    for nodes in kinds.values():
        names: dict[str, str] = {}
        shares: dict[str, set[str]] = {}
        for row in (row for rows in layouts[nodes[0]] for row in rows):
            name = names[row.name] = fold(row.name)
            if row.aliases:
                shares.setdefault(name, set()).update(map(fold, row.aliases))
        for name in set(names.values()):
            count[name] += len(nodes)
        for name, aliases in shares.items():
            for alias in aliases:
                holders.setdefault(alias, set()).add(name)
        listed.append((nodes, names, shares))
    result: dict[str, Mapping[str, str]] = {}
    for nodes, names, shares in listed:
        own = set(names.values())
        answer = {}
        for raw, name in names.items():
            others = {*shares.get(name, ()), *holders.get(name, ())} - own
            best = min(others, key=lambda other: (-count[other], other), default=name)
            answer[raw] = best if count[best] > count[name] else name
        result.update(dict.fromkeys(nodes, answer))
    return result


def named_before(
    known: Mapping[str, Mapping[str, str]], fresh: Mapping[str, Mapping[str, str]]
) -> dict[str, Mapping[str, str]]:
    """`fresh` names of each node, but the `known` ones where there are some: both as canonical_names gives them.

    A part of a window may show fewer of a node's caches, or other nodes, and so name a cache otherwise than all of it.
    """
    joined: dict[tuple[int, int], Mapping[str, str]] = {}
    result: dict[str, Mapping[str, str]] = {}
    for node, own in fresh.items():
        before = known.get(node, own)
        key = (id(before), id(own))
        if key not in joined:
            joined[key] = before if own.keys() <= before.keys() else {**own, **before}
        result[node] = joined[key]
    return result
