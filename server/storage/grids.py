"""Exact coding of [T, C] counts of which most stay as they are: where one changes, and by how much, kept apart."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from server.storage.codec import Columns, Ints, pack_ints, pack_small, signed, zigzag
from server.storage.together import ints_together, small_together

__all__ = ["Pairs", "pack_grid", "unpack_grid", "unpack_grids", "unpack_pairs"]

Indices = NDArray[np.intp]
Moved = NDArray[np.signedinteger]

_STILL, _STEPS, _PLAIN = 0, 1, 2
"""How a column is kept: its first count alone; that and the step to each count; each count as it is."""
_ALL = slice(None)
_HEAD = struct.Struct("<III")
_CHANGES = signed(np.arange(1, 257, dtype=np.uint64))
"""What each byte says of a change, which is never none."""
_SHORT_CHANGES = _CHANGES.astype(np.int32)
_MOST_TIMES, _MOST_BY = 1000, 2**20
"""So many changes by no more than so much add up in four bytes, in half the time."""


def _bits(values: NDArray[np.uint64]) -> NDArray[np.float32]:
    """[C] about how many bits the columns take."""
    each: NDArray[np.float32] = np.log2(values.astype(np.float32) + 1).sum(axis=1) + np.count_nonzero(values, axis=1)
    return each


def pack_grid(matrix: Ints) -> bytes:
    """[T, C] counts of any sign. Steps wrap around, so nothing can overflow.

    Not compressed yet: three of four bytes are zero, and alike columns stand side by side.
    """
    counts = np.ascontiguousarray(matrix.T)
    steps = np.zeros_like(counts)
    steps[:, 1:] = counts[:, 1:] - counts[:, :-1]
    kinds = np.where(steps.any(axis=1), _STEPS, _STILL).astype(np.uint8)
    moving = np.flatnonzero(kinds)
    values = zigzag(steps[moving])
    plain = counts[moving].view(np.uint64)
    better = (counts[moving] >= 0).all(axis=1) & (_bits(plain) < _bits(values))
    kinds[moving[better]] = _PLAIN
    values[better] = plain[better]
    there = values != 0
    first = pack_ints(counts[kinds != _PLAIN, 0]) if len(matrix) else b""
    mask = np.packbits(there.ravel()).tobytes()
    head = _HEAD.pack(len(first), len(mask), np.count_nonzero(there))
    return head + kinds.tobytes() + first + mask + pack_small(values[there] - np.uint64(1))


def unpack_grid(data: bytes, times: int, width: int, columns: Columns = None) -> Ints:
    """The [T, C] counts again, or only some `columns` of them; in memory column by column."""
    (counts,) = unpack_grids([data], times, width)
    return counts if columns is None else counts[:, columns]


def unpack_grids(grids: Sequence[bytes], times: int, width: int) -> list[Ints]:
    """Each as `unpack_grid` gives it."""
    if not times or not width:
        return [np.zeros((times, width), dtype=np.int64) for _ in grids]
    counts, rows, values = _read(grids, times, width)
    whole = np.repeat(counts, times).reshape(-1, times)
    whole[rows] += values
    return [matrix.T for matrix in whole.reshape(len(grids), width, times)]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Objects and active objects of N nodes with C caches each, at T times: most stay as they are."""

    num: Ints
    """[N, C] of what stays; `active` likewise."""
    active: Ints
    moving: Indices
    """Which of the N * C do not, in order; `num_moved` [moving, T] and `active_moved` say how."""
    num_moved: Ints
    active_moved: Ints

    def moving_by_node(self) -> list[Indices]:
        """Of each node, which of the C do not stay."""
        nodes, width = self.num.shape
        edges = self.moving.searchsorted(np.arange(nodes + 1) * width).tolist()
        return np.split(self.moving % max(width, 1), edges[1:-1])

    def dense(self) -> tuple[Ints, Ints]:
        """[N, C, T] each."""
        return self._dense(self.num, self.num_moved), self._dense(self.active, self.active_moved)

    def _dense(self, first: Ints, moved: Ints) -> Ints:
        counts = np.empty((first.size, moved.shape[1]), dtype=np.int64)
        counts[:] = first.reshape(-1, 1)
        counts[self.moving] = moved
        return counts.reshape(*first.shape, moved.shape[1])


def unpack_pairs(
    slabs: Sequence[bytes],
    beside: Sequence[bytes],
    unused: Sequence[bytes],
    times: int,
    per_slab: Ints,
    columns: Columns = None,
    kept: slice = _ALL,
) -> Pairs:
    """From grids of N nodes with one layout; `columns`: only these of it, `kept`: of the times.

    Objects are slabs times `per_slab` [C] and what is beside these, active ones what is not unused; all wraps around.
    Only what moves is added up over time: that is few columns, and fewer still in grids of what is left over.
    """
    nodes, width = len(slabs), len(per_slab)
    size = nodes * width
    first, rows, values = _read([*slabs, *beside, *unused], times, width)
    values = values[:, kept]
    edges = rows.searchsorted([0, size, 2 * size, 3 * size]).tolist()
    parts = [(rows[a:b] - k * size, values[a:b]) for k, (a, b) in enumerate(pairwise(edges))]
    first = first.reshape(3, nodes, width)
    if columns is not None:
        place = np.full(width, -1, dtype=np.intp)
        place[columns] = np.arange(len(columns))
        parts = [_chosen(at, moved, place, width, len(columns)) for at, moved in parts]
        first, per_slab = first[:, :, columns], per_slab[columns]
    num = first[0] * per_slab + first[1]
    active = num - first[2]
    moves = np.zeros(num.size, dtype=np.bool_)
    for at, _ in parts:
        moves[at] = True
    moving = moves.nonzero()[0]
    place = np.empty(num.size, dtype=np.intp)
    place[moving] = np.arange(len(moving))
    (slab_rows, slab_steps), (beside_rows, beside_steps), (unused_rows, unused_steps) = parts
    num_moved = np.repeat(num.ravel()[moving], values.shape[1]).reshape(len(moving), values.shape[1])
    num_moved[place[slab_rows]] += slab_steps * per_slab[slab_rows % len(per_slab), None]
    num_moved[place[beside_rows]] += beside_steps
    active_moved = num_moved - first[2].ravel()[moving, None]
    active_moved[place[unused_rows]] -= unused_steps
    return Pairs(num, active, moving, num_moved, active_moved)


def _chosen(rows: Indices, moved: Moved, place: Indices, width: int, wanted: int) -> tuple[Indices, Moved]:
    """Those rows (of nodes with `width` columns) whose column has a `place` among the `wanted` ones."""
    column = place[rows % width]
    there = (column >= 0).nonzero()[0]
    return rows[there] // width * wanted + column[there], moved[there]


def _read(grids: Sequence[bytes], times: int, width: int) -> tuple[Ints, Indices, Moved]:
    """[G, C] where each column of each grid begins; which of the G * C move, and how far they are above that.

    The last is [columns, T].
    """
    heads = np.frombuffer(b"".join([data[: _HEAD.size] for data in grids]), "<u4").reshape(len(grids), 3)
    at = _HEAD.size + width
    kinds = np.frombuffer(b"".join([data[_HEAD.size : at] for data in grids]), np.uint8).reshape(len(grids), width)
    firsts, masks, changes = [], [], []
    for data, (first, mask, _) in zip(grids, heads.tolist(), strict=True):
        firsts.append(data[at : at + first])
        masks.append(data[at + first : at + first + mask])
        changes.append(data[at + first + mask :])
    begin, plain = np.zeros(kinds.shape, dtype=np.int64), kinds == _PLAIN
    begin[~plain] = ints_together(firsts, (width - np.count_nonzero(plain, axis=1)).tolist())
    rows = kinds.ravel().nonzero()[0]
    small, large, big = small_together(changes, heads[:, 2].tolist())
    few = times <= _MOST_TIMES and not (big > _MOST_BY).any()
    found = (_SHORT_CHANGES if few else _CHANGES).take(small)
    found[large] = signed(big + np.uint64(1))
    there = np.unpackbits(np.frombuffer(b"".join(masks), np.uint8)).view(np.bool_)
    steps = np.zeros(len(there), dtype=found.dtype)
    steps[there.nonzero()[0]] = found
    moving = np.count_nonzero(kinds, axis=1)
    if (-(-moving * times // 8) != heads[:, 1]).any():
        raise ValueError("a grid says of another number of counts whether they change")
    if len(steps) == len(rows) * times:
        values = steps.reshape(-1, times)
    else:  # whole bytes for each grid: some bits at the end of each stand for nothing
        spare = -(moving * times) % 8
        gaps = np.repeat(np.cumsum(spare) - spare, moving)
        values = steps[(np.arange(len(rows)) * times + gaps)[:, None] + np.arange(times)]
    which = plain.ravel()[rows].nonzero()[0]
    counted = zigzag(values[which].astype(np.int64)).view(np.int64)
    values = values.cumsum(axis=1, dtype=steps.dtype)
    values[which] = counted
    return begin, rows, values
