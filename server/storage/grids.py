"""Exact coding of [T, C] counts of which most stay as they are: where one changes, and by how much, kept apart."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.storage.codec import ESCAPE, Columns, Ints, pack_ints, pack_small, signed, unpack_big, unpack_ints, zigzag

__all__ = ["pack_grid", "sum_grids", "unpack_grid"]

_STILL, _STEPS, _PLAIN = 0, 1, 2
"""How a column is kept: its first count alone; that and the step to each count; each count as it is."""
_HEAD = struct.Struct("<III")
_CHANGES = signed(np.arange(1, 257, dtype=np.uint64))
"""What each byte says of a change, which is never none."""


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
    return sum_grids([(data, None)], times, width, columns)


def sum_grids(parts: Sequence[tuple[bytes, Ints | None]], times: int, width: int, columns: Columns = None) -> Ints:
    """The sum of grids, each times a factor for each column [C] (None for 1); wraps around like them.

    Only what moves is added up over time: that is few columns, and fewer still in grids of what is left over.
    """
    first = np.zeros(width, dtype=np.int64)
    moved = []
    for data, factor in parts if times and width else ():
        begin, *changes = _read(data, times, width)
        first += begin if factor is None else begin * factor
        moved += [(rows, values if factor is None else values * factor[rows, None]) for rows, values in changes]
    if columns is not None:
        first = first[columns]
    counts = np.empty((len(first), times), dtype=np.int64)
    counts[:] = first[:, None]
    for rows, values in moved:
        if columns is None:
            counts[rows] += values
        else:
            place = np.full(width, -1, dtype=np.intp)
            place[rows] = np.arange(len(rows))
            at = place[columns]
            counts[at >= 0] += values[at[at >= 0]]
    return counts.T


def _read(data: bytes, times: int, width: int) -> Iterator[Any]:
    """[C] where each column begins; then columns that move, and how far they are above that [columns, T]."""
    first_size, mask_size, changes = _HEAD.unpack_from(data)
    at = _HEAD.size
    kinds = np.frombuffer(data, np.uint8, width, at)
    at += width
    plain = kinds == _PLAIN
    mixed = plain.any()
    first = np.zeros(width, dtype=np.int64)
    first[~plain] = unpack_ints(data[at : at + first_size], width - int(np.count_nonzero(plain)))
    yield first
    moving = kinds.nonzero()[0]
    if not len(moving):
        return
    at += first_size
    there = np.unpackbits(np.frombuffer(data, np.uint8, mask_size, at), count=len(moving) * times).view(np.bool_)
    at += mask_size
    small = np.frombuffer(data, np.uint8, changes, at)
    found = _CHANGES.take(small)
    if len(data) > at + changes:
        escapes = (small == ESCAPE).nonzero()[0]
        found[escapes] = signed(unpack_big(data[at:], changes, len(escapes)).astype(np.uint64) + np.uint64(1))
    steps = np.zeros(len(moving) * times, dtype=np.int64)
    steps[there.nonzero()[0]] = found
    values = steps.reshape(len(moving), times)
    if mixed:
        counted = plain[moving]
        yield moving[counted], zigzag(values[counted]).view(np.int64)
        moving, values = moving[~counted], values[~counted]
    yield moving, values.cumsum(axis=1)
