"""Exact coding of [T, C] counts of which most stay as they are: where one changes, and by how much, kept apart."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from server.storage.codec import Columns, Ints, pack_ints, pack_small, signed, unpack_ints, unpack_small, zigzag

__all__ = ["pack_grid", "unpack_grid"]

_STILL, _STEPS, _PLAIN = 0, 1, 2
"""How a column is kept: its first count alone; that and the step to each count; each count as it is."""
_HEAD = struct.Struct("<III")


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
    """The [T, C] counts again, or only some `columns` of them."""
    if not times or not width:
        return np.zeros((times, width if columns is None else len(columns)), dtype=np.int64)
    first_size, mask_size, changes = _HEAD.unpack_from(data)
    at = _HEAD.size
    kinds = np.frombuffer(data, np.uint8, width, at)
    at += width
    first = np.zeros(width, dtype=np.int64)
    plain = kinds == _PLAIN
    first[~plain] = unpack_ints(data[at : at + first_size], width - int(np.count_nonzero(plain)))
    at += first_size
    moving = kinds.nonzero()[0]
    bits = np.unpackbits(np.frombuffer(data, np.uint8, mask_size, at), count=len(moving) * times)
    found = unpack_small(data[at + mask_size :], changes) + np.uint64(1)
    mixed = plain.any()
    cells = np.zeros(len(moving) * times, dtype=np.int64)
    cells[bits.view(np.bool_)] = found.view(np.int64) if mixed else signed(found)
    values = cells.reshape(len(moving), times)
    if columns is not None:
        place = np.full(width, -1, dtype=np.intp)
        place[moving] = np.arange(len(moving))
        plain, first, rows = plain[columns], first[columns], place[columns]
        moving = (rows >= 0).nonzero()[0]
        values = values[rows[moving]]
    counts = np.empty((times, len(first)), dtype=np.int64)
    counts[:] = first
    if mixed:
        stepping = ~plain[moving]
        counts[:, moving[~stepping]] = values[~stepping].T
        moving, values = moving[stepping], signed(values[stepping].view(np.uint64))
    values[:, 0] += first[moving]
    counts[:, moving] = values.cumsum(axis=1).T
    return counts
