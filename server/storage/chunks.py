"""Buckets of many nodes' sealed hours at once, from what moves in them alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from server.buckets import Block
from server.storage.codec import Floats, Ints
from server.storage.grids import Pairs
from server.storage.pieces import Grid

__all__ = ["coarsen_chunks"]


def coarsen_chunks(
    names: Sequence[tuple[str, str]], taken: Ints, uptime: Floats, memory: Floats, pairs: Pairs, grid: Grid
) -> list[Block]:
    """A block for each of N hours (boot and layout in `names`), as `buckets.coarsen` would make it.

    `taken` (milliseconds, by time) and `uptime` are [N, T], `memory` is [N, T, 4].
    """
    time = taken / 1000.0
    bucket = np.where(taken < grid.single, time, np.floor_divide(time, grid.width) * grid.width)
    new = np.ones(time.shape, dtype=np.bool_)
    new[:, 1:] = bucket[:, 1:] != bucket[:, :-1]
    spans = zip((taken < grid.low).sum(axis=1).tolist(), (taken <= grid.high).sum(axis=1).tolist(), strict=True)
    alike: dict[tuple[int, int, bytes], list[int]] = {}
    for place, (begin, end) in enumerate(spans):
        new[place, begin : begin + 1] = True
        alike.setdefault((begin, end, new[place, begin:end].tobytes()), []).append(place)
    moving, blocks = pairs.moving_by_node(), dict[int, Block]()
    for (begin, end, starts), own in alike.items():
        first = np.frombuffer(starts, np.bool_).nonzero()[0]
        samples = np.diff(first, append=end - begin)
        last = begin + first + samples - 1
        num, active = (counts.transpose(0, 2, 1) for counts in _least(pairs, own, begin, end, first))
        for index, place in enumerate(own):
            blocks[place] = Block(
                *names[place],
                time[place, last],
                uptime[place, last],
                memory[place, last],
                samples,
                num[index],
                active[index],
                moving[place],
            )
    return [blocks[place] for place in range(len(names))]


def _least(pairs: Pairs, own: Sequence[int], begin: int, end: int, first: Ints) -> list[Ints]:
    """[own, C, buckets] the least counts of these nodes between two times, in buckets that begin at `first`."""
    nodes, width = pairs.num.shape
    place = np.full(nodes, -1, dtype=np.intp)
    place[own] = np.arange(len(own))
    at = place[pairs.moving // width]
    rows = (at >= 0).nonzero()[0]
    to = at[rows] * width + pairs.moving[rows] % width
    found = []
    for still, moved in ((pairs.num, pairs.num_moved), (pairs.active, pairs.active_moved)):
        counts = np.repeat(still[own].ravel(), len(first)).reshape(len(own) * width, len(first))
        if len(first):
            counts[to] = np.minimum.reduceat(moved[rows, begin:end], first, axis=1)
        found.append(counts.reshape(len(own), width, len(first)))
    return found
