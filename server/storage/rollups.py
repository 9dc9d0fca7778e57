"""Roll-ups: how buckets of five minutes and of an hour are kept, and which buckets lie in one row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.buckets import Block
from server.storage.codec import (
    Floats,
    join,
    pack_floats,
    pack_ints,
    pack_matrix,
    split,
    unpack_floats,
    unpack_ints,
    unpack_matrix,
)
from server.storage.samples import LEVEL

__all__ = ["SPANS", "pack_block", "unpack_block"]

SPANS = {300: 6 * 3600, 3600: 24 * 3600}
"""Seconds of the node's clock in one row, by width of bucket: 72 and 24 buckets. Longer rows compress better and are
rewritten more often."""


def _milliseconds(seconds: Floats) -> NDArray[np.int64]:
    return np.rint(seconds * 1000).astype(np.int64)


def pack_block(block: Block) -> bytes:
    """Least counts are kept as their distance from the last ones: mostly zero."""
    head = np.array([len(block.time), block.num_last.shape[1]], dtype=np.int64)
    sections = [
        head.tobytes(),
        pack_ints(_milliseconds(block.time)),
        pack_floats(block.uptime),
        *(pack_floats(block.memory[:, i]) for i in range(4)),
        pack_ints(block.samples),
        pack_matrix(block.num_last),
        pack_matrix(block.num_last - block.active_last),
        pack_matrix(block.num_last - block.num_min),
        pack_matrix(block.active_last - block.active_min),
    ]
    return join(sections, LEVEL)


def unpack_block(boot: str, layout: str, blob: bytes, columns: NDArray[np.intp] | None = None) -> Block:
    """The block again; `columns`: only these rows of the layout."""
    head, time, uptime, total, available, reclaimable, unreclaimable, samples, *counts = split(blob)
    times, width = map(int, np.frombuffer(head, dtype=np.int64))
    num, unused, num_above, active_above = (unpack_matrix(c, times, width, columns) for c in counts)
    memory = [unpack_floats(m, times) for m in (total, available, reclaimable, unreclaimable)]
    return Block(
        boot,
        layout,
        unpack_ints(time, times) / 1000.0,
        unpack_floats(uptime, times),
        np.stack(memory, axis=1),
        unpack_ints(samples, times),
        num - num_above,
        num,
        (num - unused) - active_above,
        num - unused,
    )
