"""Parts of blocks: what lies within a span, in some hours or outside, or brought together from several."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from server.buckets import ARRAYS, Block, CacheRow, coarsen
from server.storage.instants import HOUR

__all__ = [
    "Grid",
    "ceiling",
    "cut",
    "floor",
    "hours_of",
    "inside",
    "joined",
    "outside",
    "places",
    "wanted_rows",
    "whole",
]


@dataclass(frozen=True, slots=True)
class Grid:
    """Into which buckets snapshots go."""

    low: int
    """Milliseconds of the first and the last snapshot wanted."""
    high: int
    width: int
    """Seconds."""
    single: int = -1
    """What was taken before that (milliseconds) stays by itself."""


def floor(at: int, step: int) -> int:
    """The last multiple of `step` that is not after `at`."""
    return at // step * step


def ceiling(at: int, step: int) -> int:
    """The first that is not before it."""
    return -(-at // step) * step


def whole(low: int, high: int, tier: int) -> tuple[int, int]:
    """The whole buckets of `tier` seconds within [low, high]: from and up to, not including (milliseconds)."""
    return ceiling(low, tier * 1000), floor(high + 1, tier * 1000)


def places(time: NDArray[np.float64], first: int, until: int) -> tuple[int, int]:
    """Which of these instants (epoch seconds) lie from `first` up to, not including, `until` (milliseconds)."""
    low = int(time.searchsorted((first - 0.5) / 1000))
    return low, max(low, int(time.searchsorted((until - 0.5) / 1000)))


def cut(block: Block, first: int, until: int) -> Block:
    """The buckets whose last snapshot was taken from `first` up to, not including, `until` (milliseconds); no copy."""
    low, high = places(block.time, first, until)
    if low == 0 and high == len(block.time):
        return block
    return replace(block, **{name: getattr(block, name)[low:high] for name in ARRAYS})


def hours_of(block: Block) -> NDArray[np.int64]:
    """[T] the hour of each bucket's last snapshot."""
    return np.floor_divide(np.rint(block.time * 1000).astype(np.int64), HOUR)


def inside(block: Block, hours: Collection[int]) -> Block:
    """What of the block lies in these hours."""
    return _where(block, np.isin(hours_of(block), sorted(hours)))


def outside(block: Block, hours: Collection[int]) -> Block:
    """What of it lies in others."""
    return _where(block, ~np.isin(hours_of(block), sorted(hours)))


def _where(block: Block, wanted: NDArray[np.bool_]) -> Block:
    return block if wanted.all() else replace(block, **{name: getattr(block, name)[wanted] for name in ARRAYS})


def joined(blocks: Iterable[Block], width: int) -> list[Block]:
    """The same in buckets of `width` seconds, one block a boot and layout."""
    groups: dict[tuple[str, str], list[Block]] = {}
    for block in blocks:
        if len(block.time):
            groups.setdefault((block.boot, block.layout), []).append(block)
    return [coarsen(group, width) for group in groups.values()]


def wanted_rows(rows: Sequence[CacheRow], caches: Collection[str]) -> tuple[NDArray[np.intp], tuple[CacheRow, ...]]:
    """The places of the rows with these names, and those rows."""
    found = [i for i, row in enumerate(rows) if row.name in caches]
    return np.array(found, dtype=np.intp), tuple(rows[i] for i in found)
