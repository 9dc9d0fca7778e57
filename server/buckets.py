"""The one reduction from snapshots to time buckets, for the store's roll-ups and for `analyze`, so that they agree.

A block holds the buckets of one node, boot and layout. A bucket keeps, for every row of the layout, the least count of
the snapshots in it: the floor, which a leak raises. It does not depend on the order in which snapshots arrive, and
coarser buckets made from finer ones equal those made from the snapshots themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.snapshot import MEMORY_COLUMNS

__all__ = [
    "ARRAYS",
    "MEMORY_COLUMNS",
    "WIDTHS",
    "Block",
    "BootSeries",
    "CacheRow",
    "NodeSeries",
    "Source",
    "begins",
    "coarsen",
    "coarsen_apart",
    "raw_block",
    "runs",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WIDTHS = (5, 15, 60, 300, 3600, 86400)
"""Bucket widths in seconds, each a multiple of the one before; buckets lie on the epoch's grid."""


@dataclass(frozen=True, slots=True)
class Block:
    """Buckets of one boot and one layout, by time. T buckets, C rows of the layout."""

    boot: str
    """The boot's label (see common.boots), empty when unknown."""
    layout: str
    """The layout's hash (common.snapshot.layout_hash)."""
    time: Floats
    """[T] epoch seconds (the node's clock) of the last snapshot in the bucket."""
    uptime: Floats
    """[T] seconds since boot of that snapshot; NaN where unknown."""
    memory: Floats
    """[T, 4] bytes, MEMORY_COLUMNS of that snapshot; NaN where unknown."""
    samples: Ints
    """[T] snapshots in the bucket."""
    num_min: Ints
    """[T, C] the least num_objs of the bucket's snapshots; active_min likewise."""
    active_min: Ints
    moving: NDArray[np.intp] | None = None
    """The rows of the layout whose counts may change over the buckets, in order; None where nobody knows."""


ARRAYS = [f.name for f in fields(Block)][2:-1]
"""The names of a block's arrays over time, counts last."""


def raw_block(boot: str, layout: str, time: Floats, uptime: Floats, memory: Floats, num: Ints, active: Ints) -> Block:
    """A block with one bucket a snapshot; shapes as in Block, any order of time."""
    samples = np.ones(len(time), dtype=np.int64)
    if (time[1:] < time[:-1]).any():
        order = np.argsort(time, kind="stable")
        time, uptime, memory, num, active = time[order], uptime[order], memory[order], num[order], active[order]
    return Block(boot, layout, time, uptime, memory, samples, num, active)


def coarsen(blocks: Sequence[Block], width: int) -> Block:
    """One block of `width`-second buckets from blocks of one boot and layout (finer buckets, or snapshots).

    `blocks` must not be empty nor share a snapshot.
    """
    return _concatenate(coarsen_apart(blocks, width))


def coarsen_apart(blocks: Sequence[Block], width: int) -> list[Block]:
    """The same as several blocks, which follow one another: only those that share a bucket are put together."""
    blocks = sorted((block for block in blocks if len(block.time)), key=begins) or list(blocks[:1])
    time = blocks[0].time if len(blocks) == 1 else np.concatenate([block.time for block in blocks])
    if (time[1:] < time[:-1]).any():  # seldom: they nearly always follow one another
        return [_reduce(_concatenate(blocks), width)]
    start = np.floor_divide(time, width)
    return [
        _reduce(_concatenate(blocks[begin:end]), width) if shares else blocks[begin]
        for begin, end, shares in runs(start[1:] == start[:-1], [len(block.time) for block in blocks])
    ]


def runs(same: NDArray[np.bool_], lengths: Sequence[int]) -> list[tuple[int, int, bool]]:
    """Which blocks of these lengths are to be put together (from, up to), and whether anything in them shares a bucket.

    `same`: which instants lie in the bucket of the one after.
    """
    at = same.nonzero()[0]
    if not len(at):
        return [(place, place + 1, False) for place in range(len(lengths))]
    shared = set(map(tuple, np.cumsum(lengths).searchsorted([at, at + 1], side="right").T.tolist()))
    found, begin = [], 0
    for place in range(len(lengths)):
        if (place, place + 1) not in shared:
            found.append((begin, place + 1, begin < place or (place, place) in shared))
            begin = place + 1
    return found


def begins(block: Block) -> float:
    """When its first bucket ends, by which blocks are put in order."""
    return float(block.time[0])


def _reduce(block: Block, width: int) -> Block:
    """The block's buckets, in time's order, as buckets of `width` seconds."""
    start = np.floor_divide(block.time, width)
    new = start[1:] != start[:-1]
    last = np.append(new.nonzero()[0], len(start) - 1)
    first = np.zeros_like(last)
    first[1:] = last[:-1] + 1
    spans = zip(first.tolist(), last.tolist(), strict=True)
    runs = [(place, begin, end + 1) for place, (begin, end) in enumerate(spans) if end > begin]
    return Block(
        block.boot,
        block.layout,
        block.time[last],
        block.uptime[last],
        block.memory[last],
        np.add.reduceat(block.samples, first),
        _least(block.num_min, first, runs),
        _least(block.active_min, first, runs),
    )


def _least(counts: Ints, first: NDArray[np.intp], runs: Sequence[tuple[int, int, int]]) -> Ints:
    """What begins at `first`, each of the `runs` (place, begin, end) the least of its rows: reduceat, but faster."""
    least = counts[first]
    for place, begin, end in runs:
        np.minimum.reduce(counts[begin:end], axis=0, out=least[place])
    return least


def _concatenate(blocks: Sequence[Block]) -> Block:
    """All of them as one, by time."""
    if len(blocks) == 1:
        return blocks[0]
    arrays = [np.concatenate([getattr(block, name) for block in blocks]) for name in ARRAYS]
    time = arrays[0]
    if (time[1:] < time[:-1]).any():
        order = np.argsort(time, kind="stable")
        arrays = [array[order] for array in arrays]
    return Block(blocks[0].boot, blocks[0].layout, *arrays)


@dataclass(frozen=True, slots=True)
class CacheRow:
    """What identifies one column of a BootSeries: a row of the kernel's list."""

    name: str
    obj_size: int
    """Bytes."""
    ordinal: int
    """0 for the first row of this name and size in its dump, 1 for the second, ..."""
    reclaimable: bool | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BootSeries:
    """One boot of one node over a window: T buckets by time, C cache rows. NaN means not listed, never zero."""

    boot: str
    time: Floats
    uptime: Floats
    memory: Floats
    samples: Ints
    rows: tuple[CacheRow, ...]
    num_min: Floats
    """[T, C] objects; active_min likewise. In four bytes each (int32) where all are listed and fit."""
    active_min: Floats


@dataclass(frozen=True, slots=True)
class NodeSeries:
    """One node over a window, its boots by time. The node's newest snapshot gives the facts about it."""

    node: str
    group: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    kernel: str | None = None
    machine: str | None = None
    cpus: int | None = None
    boots: tuple[BootSeries, ...] = ()


class Source(Protocol):
    """Where the analysis gets its series from: a store, or dumps held in memory."""

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        """Snapshots with start <= taken_at <= end (and no other), reduced to `width`-second buckets (one of WIDTHS).

        Nodes come in order of name; with `caches`, only rows of these kernel names. A node without a snapshot in the
        window is left out.
        """
        ...
