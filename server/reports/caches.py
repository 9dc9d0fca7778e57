"""Every cache that a fleet lists: on how many nodes, how big, and whether it grows on most of them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from common.slabinfo import MAX_COUNT
from server.analysis.caches import CacheSummary
from server.reports.fields import Window, WireReport, whole

__all__ = ["CacheItem", "CacheList", "lay_out_caches"]


class CacheItem(WireReport):
    """One cache over all nodes that list it."""

    cache: str = Field(description="Name of the cache, with kmalloc's random copies as one.")
    members: list[str] = Field(description="The kernel's names of this cache.")
    nodes: int = Field(description="Nodes that list it, a count.")
    active_bytes: int = Field(description="Bytes of objects in use on all of them, at each node's newest snapshot.")
    allocated_bytes: int = Field(description="Bytes allocated on all of them, at each node's newest snapshot.")
    bytes_per_hour: int | None = Field(
        description="The median node's growth rate in allocated bytes an hour; null when too little is known."
    )
    fleet_growth: bool = Field(description="Whether it grows on most nodes of a group that list it, true or false.")


class CacheList(WireReport):
    """A page of caches, the biggest first."""

    window: Window = Field(description="The span of time looked at.")
    items: list[CacheItem] = Field(description="The caches of this page.")
    next: str | None = Field(description="Cursor of the next page, text; null on the last.")


def lay_out_caches(found: Sequence[CacheSummary]) -> list[CacheItem]:
    """By allocated bytes, the biggest first; sums of counts that no kernel gives end where a node's do in the store."""
    items = [
        CacheItem(
            cache=one.cache,
            members=list(one.members),
            nodes=one.nodes,
            active_bytes=min(whole(one.active_bytes), MAX_COUNT),
            allocated_bytes=min(whole(one.allocated_bytes), MAX_COUNT),
            bytes_per_hour=None if one.bytes_per_hour is None else whole(one.bytes_per_hour),
            fleet_growth=one.fleet_growth,
        )
        for one in found
    ]
    return sorted(items, key=lambda item: (-item.allocated_bytes, item.cache))
