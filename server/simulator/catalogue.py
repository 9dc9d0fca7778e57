"""The slab caches a simulated kernel lists: true names and sizes, and how each one behaves.

Sizes are those of Debian's 6.1 and 6.12 kernels on x86_64; the counts are a node's of 8 GiB with 4 CPUs at rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from server.simulator.kmalloc import general_caches
from server.simulator.table import TABLE

__all__ = ["KERNELS", "CacheModel", "Kernel", "catalogue", "objects_and_pages"]

Kind = Literal["constant", "wander", "load", "fill", "boot"]
Factor = Literal["none", "proc", "net", "io", "file"]
_KINDS: dict[str, Kind] = {"c": "constant", "w": "wander", "l": "load", "f": "fill", "b": "boot"}
_FACTORS: dict[str, Factor] = {"-": "none", "p": "proc", "n": "net", "i": "io", "f": "file"}


@dataclass(frozen=True, slots=True)
class CacheModel:
    """One row of a kernel's list."""

    name: str
    size: int
    """Bytes an object takes."""
    kind: Kind
    factor: Factor
    """What the node does that moves it."""
    base: float
    """Objects at rest."""
    swing: float
    """`load`: objects more at mean load; `fill`: the limit in objects; `wander`: relative spread in percent."""
    reclaimable: bool = False
    aliases: tuple[str, ...] = ()
    ordinal: int = 0
    """0 for the first row of its name."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel release as far as it shows in slabinfo."""

    release: str
    resized: tuple[tuple[str, int], ...] = ()
    """(cache, bytes) where the size differs from the table's."""
    dropped: tuple[str, ...] = ()
    merged: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(cache listed, caches merged into it)."""
    random_copies: int = 0
    """CONFIG_RANDOM_KMALLOC_CACHES: copies of every kmalloc cache (16 with the plain one, Linux 6.6)."""


_NEWER = (
    ("ext4_inode_cache", 1168),
    ("inode_cache", 632),
    ("proc_inode_cache", 704),
    ("shmem_inode_cache", 760),
    ("hugetlbfs_inode_cache", 640),
    ("kernfs_node_cache", 136),
    ("filp", 192),
    ("TCP", 2432),
    ("TCPv6", 2624),
    ("tw_sock_TCP", 256),
    ("tw_sock_TCPv6", 256),
    ("MPTCP", 2048),
    ("xfrm_state", 832),
    ("task_struct", 8448),
    ("mm_struct", 1408),
    ("vm_area_struct", 176),
    ("vmap_area", 72),
    ("perf_event", 1312),
    ("mnt_cache", 384),
    ("net_namespace", 4480),
    ("file_lock_cache", 192),
    ("ext4_groupinfo_4k", 152),
    ("ext4_allocation_context", 168),
    ("lsm_inode_cache", 88),
    ("khugepaged_mm_slot", 40),
    ("user_namespace", 616),
    ("taskstats", 432),
    ("ep_head", 24),
)
KERNELS = {
    "6.1": Kernel("6.1.0-28-amd64"),
    "6.12": Kernel(
        "6.12.9-amd64",
        resized=_NEWER,
        dropped=("ext4_fc_dentry_update", "ext4_system_zone", "request_queue_srcu", "kernfs_iattrs_cache"),
    ),
    "merged": Kernel(
        "6.1.0-28-amd64",
        merged=(
            ("skbuff_fclone_cache", ("scsi_cmd_cache", "biovec-32")),
            ("skbuff_head_cache", ("bio-192", "kmem_cache", "nf_conntrack_expect")),
        ),
    ),
    "random": Kernel("6.12.9-hardened", resized=_NEWER, random_copies=15),
}
"""By the short name a NodeSpec gives."""


@cache
def catalogue(kernel: str) -> tuple[CacheModel, ...]:
    """The rows that kernel lists, in its order."""
    chosen = KERNELS[kernel]
    sizes = dict(chosen.resized)
    listed = dict(chosen.merged)
    hidden = {name for names in listed.values() for name in names} | set(chosen.dropped)
    rows: list[CacheModel] = []
    seen: dict[str, int] = {}
    for row in [_row(line) for line in TABLE.strip().splitlines()] + [
        CacheModel(name, size, kind, factor, base, swing, reclaimable)
        for name, size, kind, factor, base, swing, reclaimable in general_caches(chosen.random_copies)
    ]:
        if row.name in hidden:
            continue
        ordinal = seen[row.name] = seen.get(row.name, -1) + 1
        rows.append(
            replace(
                row,
                size=sizes.get(row.name, row.size),
                aliases=tuple(sorted(listed.get(row.name, ()))),
                ordinal=ordinal,
            )
        )
    return tuple(rows)


def _row(line: str) -> CacheModel:
    name, size, kind, factor, base, swing, *flags = line.split()
    return CacheModel(name, int(size), _KINDS[kind], _FACTORS[factor], float(base), float(swing), "r" in flags)


@cache
def objects_and_pages(size: int, cpus: int) -> tuple[int, int]:
    """Objects and 4 KiB pages in one slab, as SLUB's calculate_order picks them (mm/slub.c of Linux 6.1)."""
    order_max = 3
    wanted = min(4 * (cpus.bit_length() + 1), (4096 << order_max) // size)
    while wanted > 1:
        for fraction in (16, 8, 4):
            order = 0
            while order <= order_max and (4096 << order) < wanted * size:
                order += 1
            while order <= order_max:
                if (4096 << order) % size <= (4096 << order) // fraction:
                    return (4096 << order) // size, 1 << order
                order += 1
        wanted -= 1
    order = 0
    while (4096 << order) < size:
        order += 1
    return (4096 << order) // size, 1 << order
