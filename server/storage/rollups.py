"""Roll-ups: how buckets of five minutes and of an hour are kept, and which buckets lie in one row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.buckets import Block
from server.storage.codec import (
    Columns,
    Floats,
    Ints,
    join,
    pack_floats,
    pack_ints,
    split,
    unpack_floats,
    unpack_ints,
    unpack_matrix,
)
from server.storage.grids import pack_grid, sum_grids, unpack_grid
from server.storage.samples import GRIDS, LEVEL

__all__ = ["SPANS", "pack_block", "unpack_block"]

LEAST = b"least"
"""A last section that says that the least counts are kept and no others; samples.GRIDS or none there: last ones too."""
SPANS = {300: 6 * 3600, 3600: 24 * 3600}
"""Seconds of the node's clock in one row, by width of bucket: 72 and 24 buckets. Longer rows compress better and are
rewritten more often."""


def _milliseconds(seconds: Floats) -> NDArray[np.int64]:
    return np.rint(seconds * 1000).astype(np.int64)


def _in_slabs(objects: Ints, per_slab: Ints) -> list[bytes]:
    """Kernels add and give back whole slabs: their number moves little, what is left over hardly at all."""
    slabs, left = np.divmod(objects, np.maximum(per_slab, 1))
    return [pack_grid(slabs), pack_grid(left)]


def pack_block(block: Block, per_slab: Ints) -> bytes:
    """`per_slab`: [C] objects a slab holds (0 where unknown), from the layout.

    Active objects are kept as their distance from all of them.
    """
    head = np.array([len(block.time), len(per_slab)], dtype=np.int64)
    sections = [
        head.tobytes(),
        pack_ints(_milliseconds(block.time)),
        pack_floats(block.uptime),
        *(pack_floats(block.memory[:, i]) for i in range(4)),
        pack_ints(block.samples),
        *_in_slabs(block.num_min, per_slab),
        pack_grid(block.num_min - block.active_min),
        LEAST,
    ]
    return join(sections, LEVEL)


def unpack_block(boot: str, layout: str, blob: bytes, per_slab: Ints, columns: Columns = None) -> Block:
    """The block again; `columns`: only these rows of the layout."""
    head, time, uptime, total, available, reclaimable, unreclaimable, samples, *counts = split(blob)
    times, width = map(int, np.frombuffer(head, dtype=np.int64))
    if counts[-1] == LEAST:
        num = sum_grids([(counts[0], np.maximum(per_slab, 1)), (counts[1], None)], times, width, columns)
        unused = unpack_grid(counts[2], times, width, columns)
    else:  # the last counts, and how far they are above the least ones
        unpack = unpack_grid if counts[-1] == GRIDS else unpack_matrix
        each = np.maximum(per_slab if columns is None else per_slab[columns], 1)
        slabs, left, slabs_above, left_above, unused, above = (unpack(c, times, width, columns) for c in counts[:6])
        num = (slabs - slabs_above) * each + left - left_above
        unused = unused - above
    memory = [unpack_floats(m, times) for m in (total, available, reclaimable, unreclaimable)]
    return Block(
        boot,
        layout,
        unpack_ints(time, times) / 1000.0,
        unpack_floats(uptime, times),
        np.stack(memory, axis=1),
        unpack_ints(samples, times),
        num,
        num - unused,
    )
