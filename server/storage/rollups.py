"""Roll-ups: how buckets of five minutes and of an hour are kept, and which buckets lie in one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    unpack_matrix,
)
from server.storage.grids import pack_grid, unpack_grid, unpack_pairs
from server.storage.samples import GRIDS, LEVEL
from server.storage.together import floats_together, ints_together

__all__ = ["SPANS", "Form", "form_of", "pack_block", "unpack_block", "unpack_blocks"]

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
    sections = split(blob)
    return unpack_blocks([(boot, layout)], [sections], form_of(sections), per_slab, columns)[0]


@dataclass(frozen=True, slots=True)
class Form:
    """What blocks that are unpacked together have in common."""

    times: int
    width: int
    """Rows of the layout."""
    least: bool
    """Whether the least counts are kept alone, as now: only such are unpacked together."""


def form_of(sections: Sequence[bytes]) -> Form:
    """Of a block that was split."""
    times, width = map(int, np.frombuffer(sections[0], dtype=np.int64))
    return Form(times, width, sections[-1] == LEAST)


def unpack_blocks(
    series: Sequence[tuple[str, str]],
    blocks: Sequence[Sequence[bytes]],
    form: Form,
    per_slab: Ints,
    columns: Columns = None,
    first: float = -np.inf,
    until: float = np.inf,
) -> list[Block]:
    """Split blocks of one form and layout, of these boots and layouts.

    Only the buckets whose last snapshot was taken from `first` up to, not including, `until` (milliseconds).
    """
    times = form.times
    _, time, *floats, samples = (list(column) for column in zip(*(block[:8] for block in blocks), strict=True))
    whole = ints_together(time + samples, [times] * (2 * len(blocks))).reshape(2, len(blocks), times)
    figures = floats_together([section for column in floats for section in column], times)
    uptime, *sizes = figures.reshape(5, len(blocks), times)
    memory = np.stack(sizes, axis=2)
    at = whole[0] / 1000.0
    low = (at < (first - 0.5) / 1000).sum(axis=1)
    high = np.maximum(low, (at < (until - 0.5) / 1000).sum(axis=1))
    begin = int(low.min())
    kept = slice(begin, int(high.max()))
    num, active, moving = _counts([block[8:] for block in blocks], form, per_slab, columns, kept)
    return [
        Block(
            *series[n],
            at[n, a:b],
            uptime[n, a:b],
            memory[n, a:b],
            whole[1, n, a:b],
            num[n, :, a - begin : b - begin].T,
            active[n, :, a - begin : b - begin].T,
            moving[n],
        )
        for n, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True))
    ]


def _counts(
    blocks: Sequence[Sequence[bytes]], form: Form, per_slab: Ints, columns: Columns, kept: slice
) -> tuple[Ints, Ints, Sequence[Columns]]:
    """[N, C, T] the least counts of all objects, and of active ones; which rows move. `kept`: of the T."""
    times, width = form.times, form.width
    if form.least:
        slabs, left, unused, _ = zip(*blocks, strict=True)
        pairs = unpack_pairs(slabs, left, unused, times, np.maximum(per_slab, 1), columns, kept)
        return *pairs.dense(), pairs.moving_by_node()
    each = np.maximum(per_slab if columns is None else per_slab[columns], 1)
    nums, actives = [], []
    for block in blocks:  # the last counts, and how far they are above the least ones
        unpack = unpack_grid if block[-1] == GRIDS else unpack_matrix
        slab, rest, slabs_above, rest_above, idle, above = (unpack(c, times, width, columns) for c in block[:6])
        num = (slab - slabs_above) * each + rest - rest_above
        nums.append(num.T[:, kept])
        actives.append((num - (idle - above)).T[:, kept])
    return np.stack(nums), np.stack(actives), [None] * len(blocks)
