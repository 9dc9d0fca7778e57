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
from server.storage.grids import Pairs, pack_grid, unpack_grid, unpack_grids, unpack_pairs
from server.storage.together import ints_together, sizes_together

__all__ = [
    "GRIDS",
    "LEVEL",
    "UNKNOWN",
    "Counts",
    "Samples",
    "concatenate",
    "pack_counts",
    "pack_samples",
    "snapshots_in",
    "to_block",
    "unpack_counts",
    "unpack_objects",
    "unpack_samples",
    "unpack_series",
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


def to_block(samples: Samples, counts: Counts) -> Block:
    """The snapshots as buckets of one each; the block's boot and layout are left empty."""
    memory = np.where(samples.memory == UNKNOWN, np.nan, samples.memory)
    return raw_block("", "", samples.taken / 1000.0, samples.uptime, memory, counts.num_objs, counts.active_objs)


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


def unpack_samples(blob: bytes) -> Samples:
    size, texts, which, taken, received, offset, uptime, read, *memory = split(blob)
    count = int(np.frombuffer(size, dtype=np.int64)[0])
    times = unpack_ints(taken, count)
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
    if sections[4:]:
        num_slabs, unused_slabs, beside, unused = unpack_grids(sections[:4], times, width)
    else:
        num_slabs, unused_slabs, beside, unused = (unpack_matrix(section, times, width) for section in sections[:4])
    num_objs = num_slabs * per_slab + beside
    return Counts(num_objs - unused, num_objs, num_slabs - unused_slabs, num_slabs)


def snapshots_in(plain: Sequence[bytes]) -> int:
    """How many snapshots `pack_samples` that was split holds."""
    return int(np.frombuffer(plain[0], dtype=np.int64)[0])


def unpack_series(plain: Sequence[Sequence[bytes]]) -> tuple[Ints, Floats, Floats]:
    """What a Block is made of, from `pack_samples` that were split and hold as many snapshots each.

    [N, T] taken (milliseconds) and uptime, [N, T, 4] memory.
    """
    nodes = len(plain)
    count = snapshots_in(plain[0])
    taken = ints_together([sections[3] for sections in plain], [count] * nodes).reshape(nodes, count)
    distances = [sections[6] for sections in plain]
    exact = [n for n, data in enumerate(distances) if data[0]]
    uptime = np.empty((nodes, count))
    beside = ints_together([distances[n][1:] for n in exact], [count] * len(exact)).reshape(-1, count)
    uptime[exact] = (beside + taken[exact]) / 1000
    for n in set(range(nodes)).difference(exact):
        uptime[n] = _unpack_uptime(distances[n], taken[n])
    sizes = sizes_together([sections[k] for sections in plain for k in range(8, 12)], count)
    memory = sizes.reshape(nodes, 4, count).transpose(0, 2, 1)
    return taken, uptime, np.where(memory == UNKNOWN, np.nan, memory)


def unpack_objects(plain: Sequence[Sequence[bytes]], times: int, per_slab: Ints, columns: Columns = None) -> Pairs:
    """num_objs and active_objs alone, of `pack_counts` of one layout that were split; `columns`: only these of it."""
    if all(sections[4:] for sections in plain):
        slabs, _, beside, unused, _ = zip(*plain, strict=True)
        return unpack_pairs(slabs, beside, unused, times, per_slab, columns)
    nums, actives = [], []
    for sections in plain:
        unpack = unpack_grid if sections[4:] else unpack_matrix
        slab, more, idle = (unpack(sections[k], times, len(per_slab), columns) for k in (0, 2, 3))
        num = slab * (per_slab if columns is None else per_slab[columns]) + more
        nums.append(num.T)
        actives.append((num - idle).T)
    num, active = np.concatenate(nums), np.concatenate(actives)
    listed = (len(plain), len(num) // len(plain))
    return Pairs(num[:, 0].reshape(listed), active[:, 0].reshape(listed), np.arange(len(num)), num, active)
