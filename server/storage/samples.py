"""Snapshots of one node, boot and layout as columns, and how an hour of them is sealed into one compressed chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.buckets import Block, raw_block
from server.storage.codec import (
    Columns,
    Floats,
    Ints,
    join,
    pack_floats,
    pack_ints,
    pack_sizes,
    split,
    unpack_floats,
    unpack_ints,
    unpack_matrix,
    unpack_sizes,
)
from server.storage.grids import pack_grid, sum_grids, unpack_grid

__all__ = [
    "GRIDS",
    "LEVEL",
    "UNKNOWN",
    "Counts",
    "Samples",
    "concatenate",
    "pack_counts",
    "pack_samples",
    "to_block",
    "unpack_counts",
    "unpack_objects",
    "unpack_samples",
]

UNKNOWN = -1
"""Stands for None in integer columns: counts and sizes are never negative."""
LEVEL = 9
"""zstd's; measured on recorded kernels: 10 % smaller than 3, and half the time of 15, which saves 5 % more."""
DENSEST = 19
"""For what is written once."""
GRIDS = b"grids"
"""A last section that says how matrices are packed: by server.storage.grids; the first stores had none."""


@dataclass(slots=True)
class Samples:
    """T snapshots without their counts, by time. Times are milliseconds since the epoch; NaN and UNKNOWN mean None."""

    taken: Ints
    received: Ints
    offset: Floats
    uptime: Floats
    read_seconds: Floats
    memory: Ints
    """[T, 4] bytes, server.buckets.MEMORY_COLUMNS."""
    facts: list[str]
    """What seldom changes, as JSON (see server.storage.record)."""

    def __len__(self) -> int:
        return len(self.taken)

    def take(self, rows: NDArray[np.intp]) -> Samples:
        arrays: dict[str, Any] = {f.name: getattr(self, f.name)[rows] for f in fields(self)[:-1]}
        return Samples(**arrays, facts=[self.facts[i] for i in rows])


@dataclass(slots=True)
class Counts:
    """[T, C] counts of the same snapshots; UNKNOWN means None."""

    active_objs: Ints
    num_objs: Ints
    active_slabs: Ints
    num_slabs: Ints

    def take(self, rows: NDArray[np.intp]) -> Counts:
        return Counts(*(getattr(self, f.name)[rows] for f in fields(self)))


def concatenate(parts: Sequence[tuple[Samples, Counts]]) -> tuple[Samples, Counts]:
    """Parts of one node, boot and layout as one, by time."""
    names = [f.name for f in fields(Samples)[:-1]]
    arrays: dict[str, Any] = {name: np.concatenate([getattr(s, name) for s, _ in parts]) for name in names}
    samples = Samples(**arrays, facts=[text for s, _ in parts for text in s.facts])
    counts = Counts(*(np.concatenate([getattr(c, f.name) for _, c in parts]) for f in fields(Counts)))
    order = np.argsort(samples.taken, kind="stable")
    return samples.take(order), counts.take(order)


def to_block(boot: str, layout: str, samples: Samples, num: Ints, active: Ints) -> Block:
    """The samples as buckets of one snapshot each."""
    memory = np.where(samples.memory == UNKNOWN, np.nan, samples.memory)
    return raw_block(boot, layout, samples.taken / 1000.0, samples.uptime, memory, num, active)


def _pack_uptime(samples: Samples) -> bytes:
    """As the distance from the clock where that is exact: then it hardly moves."""
    with np.errstate(invalid="ignore"):
        scaled = np.rint(samples.uptime * 1000)
        exact = bool(np.all((np.abs(scaled) < 2**53) & (scaled / 1000 == samples.uptime)))
    if exact:
        return b"\1" + pack_ints(scaled.astype(np.int64) - samples.taken)
    return b"\0" + pack_floats(samples.uptime)


def _unpack_uptime(data: bytes, taken: Ints) -> Floats:
    if data[0]:
        return (unpack_ints(data[1:], len(taken)) + taken) / 1000
    return unpack_floats(data[1:], len(taken))


def pack_samples(samples: Samples) -> bytes:
    distinct = {text: index for index, text in enumerate(dict.fromkeys(samples.facts))}
    which = np.array([distinct[text] for text in samples.facts], dtype=np.int64)
    sections = [
        np.int64(len(samples)).tobytes(),
        "\n".join(distinct).encode(),
        pack_ints(which),
        pack_ints(samples.taken),
        pack_ints(samples.received - samples.taken),
        pack_floats(samples.offset),
        _pack_uptime(samples),
        pack_floats(samples.read_seconds),
        *(pack_sizes(samples.memory[:, i]) for i in range(4)),
    ]
    return join(sections, LEVEL)


def unpack_samples(blob: bytes, *, series: bool = False) -> Samples:
    """`series`: only what a Block is made of; what else there is of a snapshot is left unknown."""
    size, texts, which, taken, received, offset, uptime, read, *memory = split(blob)
    count = int(np.frombuffer(size, dtype=np.int64)[0])
    times = unpack_ints(taken, count)
    if series:
        unknown = np.full(count, np.nan)
        sizes = np.stack([unpack_sizes(m, count) for m in memory], axis=1)
        return Samples(
            times, np.full_like(times, UNKNOWN), unknown, _unpack_uptime(uptime, times), unknown, sizes, [""] * count
        )
    distinct = texts.decode().split("\n")
    return Samples(
        times,
        unpack_ints(received, count) + times,
        unpack_floats(offset, count),
        _unpack_uptime(uptime, times),
        unpack_floats(read, count),
        np.stack([unpack_sizes(m, count) for m in memory], axis=1),
        [distinct[i] for i in unpack_ints(which, count)],
    )


def pack_counts(counts: Counts, per_slab: Ints) -> bytes:
    """`per_slab`: [C] objects a slab holds (0 where unknown), from the layout.

    A kernel's four counts say nearly the same thing: objects are slabs times objects per slab, most objects are in
    use. So what is kept is how far each is from what the one before foretells; that is mostly zero. All of it wraps
    around at 64 bits, both ways alike.
    """
    sections = [
        pack_grid(counts.num_slabs),
        pack_grid(counts.num_slabs - counts.active_slabs),
        pack_grid(counts.num_objs - counts.num_slabs * per_slab),
        pack_grid(counts.num_objs - counts.active_objs),
    ]
    return join([*sections, GRIDS], DENSEST)


def unpack_counts(blob: bytes, times: int, per_slab: Ints) -> Counts:
    width = len(per_slab)
    sections = split(blob)
    unpack = unpack_grid if sections[4:] else unpack_matrix
    num_slabs, unused_slabs, beside, unused = (unpack(section, times, width) for section in sections[:4])
    num_objs = num_slabs * per_slab + beside
    return Counts(num_objs - unused, num_objs, num_slabs - unused_slabs, num_slabs)


def unpack_objects(blob: bytes, times: int, per_slab: Ints, columns: Columns = None) -> tuple[Ints, Ints]:
    """num_objs and active_objs alone, [T, C] each, in memory column by column; `columns`: only these of the layout."""
    width = len(per_slab)
    sections = split(blob)
    if sections[4:]:
        num = sum_grids([(sections[0], per_slab), (sections[2], None)], times, width, columns)
        return num, num - unpack_grid(sections[3], times, width, columns)
    each = per_slab if columns is None else per_slab[columns]
    slabs, beside, unused = (unpack_matrix(sections[k], times, width, columns) for k in (0, 2, 3))
    num = slabs * each + beside
    return num, num - unused
