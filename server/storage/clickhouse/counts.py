"""The four counts of a kernel as the schema keeps them (see first.sql): what one does not foretell of the others.

All of it wraps around at 64 bits, both ways alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.snapshot import Caches
from server.storage.samples import UNKNOWN, Counts

__all__ = ["COLUMNS", "differences", "per_slab", "restored"]

COLUMNS = ("num_objs", "unused_objs", "odd_slabs", "unused_slabs")

Ints = NDArray[np.int64]
_ABSENT = np.zeros(0, dtype=np.int64)


def per_slab(caches: Caches) -> Ints:
    """[C] objects a slab holds, 0 where unknown."""
    if caches.objs_per_slab is None:
        return np.zeros(len(caches), dtype=np.int64)
    return np.array([v if v is not None and v < 2**31 else 0 for v in caches.objs_per_slab], dtype=np.int64)


def _ints(values: Sequence[int | None]) -> Ints:
    return np.array([UNKNOWN if v is None else v for v in values] if None in values else values, dtype=np.int64)


def _foretold(num: Ints, each: Ints) -> Ints:
    return np.where(each > 0, num // np.maximum(each, 1), 0)


def differences(caches: Caches, each: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """The arrays of COLUMNS; `each` is per_slab."""
    num = _ints(caches.num_objs)
    odd = unused = _ABSENT
    foretold = _foretold(num, each)
    if caches.num_slabs is not None:
        foretold = _ints(caches.num_slabs)
        odd = foretold - _foretold(num, each)
    if caches.active_slabs is not None:
        unused = foretold - _ints(caches.active_slabs)
    return num, num - _ints(caches.active_objs), odd, unused


def restored(arrays: Sequence[Ints], each: Ints) -> Counts:
    """The [1, C] counts from the arrays of COLUMNS; an absent column comes out as some numbers that nobody asks for."""
    num, unused_objs, odd_slabs, unused_slabs = arrays
    foretold = _foretold(num, each)
    slabs = foretold + odd_slabs if len(odd_slabs) else foretold
    active = slabs - unused_slabs if len(unused_slabs) else slabs
    return Counts(*(column[None, :] for column in (num - unused_objs, num, active, slabs)))
