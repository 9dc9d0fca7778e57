"""Columns of many rows of the store unpacked at once: a call into numpy costs as much for one row as for fifty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.storage.codec import BYTES, ESCAPE, RAW, Floats, Ints, signed, unpack_big, unpack_floats, unpack_ints

__all__ = ["floats_together", "ints_together", "sizes_together", "small_together"]

_WIDTHS = (2, 4, 8)
"""Bytes of a value that did not fit into one."""
_FEW = 8
"""Sections that are faster looked at one by one."""


def small_together(sections: Sequence[bytes], counts: Sequence[int]) -> tuple[Any, NDArray[np.intp], Any]:
    """What `codec.pack_small` was given for each section, of which it knows how many values it holds.

    Gives the single bytes of all of them, where ESCAPE stands in these, and what it stands for. Raises ValueError for
    what was not packed so.
    """
    singles = b"".join([section[:count] for section, count in zip(sections, counts, strict=True)])
    small = np.frombuffer(singles, np.uint8, sum(counts))
    beyond = [section[count:] for section, count in zip(sections, counts, strict=True)]
    rest = b"".join(beyond)
    at = (small == ESCAPE).nonzero()[0]
    if not rest and not len(at):
        return small, at, np.zeros(0, np.uint64)
    ends = at.searchsorted(np.cumsum(counts)).tolist()
    each = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    sizes = [len(data) for data in beyond]
    widths = [size // (many or 1) for many, size in zip(each, sizes, strict=True)]
    found = zip(each, sizes, widths, strict=True)
    if any(width * many != size or (many and width not in _WIDTHS) for many, size, width in found):
        raise ValueError("a column's larger values are not as many as its bytes say")
    if len(sections) <= _FEW:
        parts = zip(sections, counts, each, strict=True)
        return small, at, np.concatenate([unpack_big(*part).astype(np.uint64) for part in parts if part[2]])
    planes, step, wide = np.frombuffer(rest, np.uint8), np.repeat(each, each), np.repeat(widths, each)
    first = np.repeat(np.cumsum(sizes) - sizes - ends + each, each) + np.arange(len(at))
    big = np.zeros(len(at), np.uint64)
    for plane in range(max(widths)):
        there = slice(None) if plane < _WIDTHS[0] else (wide > plane).nonzero()[0]
        big[there] |= planes[first[there] + plane * step[there]].astype(np.uint64) << np.uint64(8 * plane)
    return small, at, big


def ints_together(sections: Sequence[bytes], counts: Sequence[int]) -> Ints:
    """What `codec.pack_ints` was given for each section, one after the other."""
    if len(sections) == 1:
        return unpack_ints(sections[0], counts[0])
    small, at, big = small_together(sections, counts)
    steps = BYTES.take(small)
    steps[at] = signed(big)
    sums = np.zeros(len(steps) + 1, dtype=np.int64)
    steps.cumsum(out=sums[1:])
    starts = np.cumsum(counts, dtype=np.intp) - np.array(counts, dtype=np.intp)
    return sums[1:] - np.repeat(sums[starts], counts)


def floats_together(sections: Sequence[bytes], count: int) -> Floats:
    """[sections, count] what `codec.pack_floats` was given for each."""
    values = np.empty((len(sections), count))
    usual = [index for index, section in enumerate(sections) if not section[0] and section[1] != RAW]
    if usual:
        whole = ints_together([sections[index][2:] for index in usual], [count] * len(usual))
        scales = np.array([10.0 ** sections[index][1] for index in usual])
        values[usual] = whole.reshape(len(usual), count) / scales[:, None]
    for index in set(range(len(sections))).difference(usual):
        values[index] = unpack_floats(sections[index], count)
    return values


def sizes_together(sections: Sequence[bytes], count: int) -> Ints:
    """[sections, count] what `codec.pack_sizes` was given for each."""
    units = np.frombuffer(b"".join([section[:8] for section in sections]), np.int64, len(sections))
    values = ints_together([section[8:] for section in sections], [count] * len(sections)).reshape(-1, count)
    return np.where(values > 0, values * units[:, None], values)
