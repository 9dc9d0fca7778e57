"""A dump row by row: what the tests of the parser compare."""

from __future__ import annotations

from typing import NamedTuple

from common.slabinfo import Slabinfo


class SlabRow(NamedTuple):
    """One row of a dump; the fields are the columns of Caches."""

    name: str
    active_objs: int
    num_objs: int
    obj_size: int
    objs_per_slab: int | None = None
    pages_per_slab: int | None = None
    active_slabs: int | None = None
    num_slabs: int | None = None


def slab_rows(found: Slabinfo) -> list[SlabRow]:
    """The dump's rows one by one."""
    caches = found.caches
    none = [None] * len(caches)
    columns = (getattr(caches, name) or none for name in SlabRow._fields)
    return list(map(SlabRow._make, zip(*columns, strict=True)))
