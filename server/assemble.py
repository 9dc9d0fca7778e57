"""From blocks of buckets to the series of one node: rows matched across layouts, boots in order."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.snapshot import Caches
from server.buckets import ARRAYS, Block, BootSeries, CacheRow, coarsen, coarsen_apart
from server.coarsen import coarsen_alike

__all__ = ["assemble_boots", "assemble_nodes", "layout_rows"]

Floats = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)
_COUNTS = ("num_min", "active_min")
_MOST = 2**31 - 1


def layout_rows(layout: Caches) -> tuple[CacheRow, ...]:
    """The identity of every row of a layout, in its order."""
    seen: dict[tuple[str, int], int] = {}
    rows = []
    for index, key in enumerate(zip(layout.name, layout.obj_size, strict=True)):
        ordinal = seen[key] = seen.get(key, -1) + 1
        aliases = layout.aliases[index] if layout.aliases else None
        reclaimable = layout.reclaimable[index] if layout.reclaimable else None
        rows.append(CacheRow(*key, ordinal, reclaimable, tuple(aliases or ())))
    return tuple(rows)


def assemble_boots(
    blocks: Sequence[Block],
    layouts: Mapping[str, Sequence[CacheRow]],
    width: int,
    *,
    caches: Collection[str] | None = None,
) -> tuple[BootSeries, ...]:
    """The boots of one node from its blocks (any order, finer than or equal to `width` seconds).

    `layouts` gives the rows of every block's layout. With `caches`, only rows of these names are kept.
    """
    boots: dict[str, dict[str, list[Block]]] = {}
    for block in blocks:
        if len(block.time):
            boots.setdefault(block.boot, {}).setdefault(block.layout, []).append(block)
    series = [
        _boot(boot, [coarsen_apart(same, width) for same in by_layout.values()], layouts, width, caches)
        for boot, by_layout in boots.items()
    ]
    return tuple(sorted(series, key=lambda s: (float(s.time[0]), s.boot)))


def _boot(
    boot: str,
    parts: list[list[Block]],
    layouts: Mapping[str, Sequence[CacheRow]],
    width: int,
    caches: Collection[str] | None,
) -> BootSeries:
    """Joins blocks of one boot with different layouts, which follow one another of each; a row's newest flags win."""
    if len(parts) == 1:
        return _alone(boot, parts[0], layouts[parts[0][0].layout], caches)
    blocks = sorted((coarsen(same, width) for same in parts), key=lambda b: float(b.time[-1]))
    columns: dict[tuple[str, int, int], CacheRow] = {}
    for block in blocks:
        for row in layouts[block.layout]:
            if caches is None or row.name in caches:
                columns[row.name, row.obj_size, row.ordinal] = row
    place = {key: index for index, key in enumerate(columns)}
    grid = np.unique(np.concatenate([np.floor_divide(b.time, width) for b in blocks]))
    shape = (len(grid), len(columns))
    counts = {name: np.full(shape, np.nan) for name in _COUNTS}
    time, uptime = np.full(len(grid), -np.inf), np.full(len(grid), np.nan)
    memory, samples = np.full((len(grid), 4), np.nan), np.zeros(len(grid), dtype=np.int64)
    for block in blocks:
        at = np.searchsorted(grid, np.floor_divide(block.time, width))
        rows = layouts[block.layout]
        kept = [i for i, row in enumerate(rows) if caches is None or row.name in caches]
        to = np.array([place[rows[i].name, rows[i].obj_size, rows[i].ordinal] for i in kept], dtype=np.intp)
        cells = np.ix_(at, to)
        newer = block.time > time[at]
        for name, matrix in counts.items():
            matrix[cells] = np.fmin(matrix[cells], getattr(block, name)[:, kept])
        time[at] = np.where(newer, block.time, time[at])
        uptime[at] = np.where(newer, block.uptime, uptime[at])
        memory[at] = np.where(newer[:, None], block.memory, memory[at])
        samples[at] += block.samples
    return BootSeries(boot, time, uptime, memory, samples, tuple(columns.values()), **counts)


def _alone(boot: str, blocks: list[Block], rows: Sequence[CacheRow], caches: Collection[str] | None) -> BootSeries:
    """The usual case, with nothing to match: several times as fast."""
    counts = [[getattr(block, name).T for block in blocks] for name in _COUNTS]
    if caches is not None:
        kept = [i for i, row in enumerate(rows) if row.name in caches]
        counts = [[matrix[kept] for matrix in matrices] for matrices in counts]
        rows = [rows[i] for i in kept]
    time, uptime, memory, samples = (
        np.concatenate([getattr(block, name) for block in blocks]) for name in ("time", "uptime", "memory", "samples")
    )
    num, active = (np.concatenate(matrices, axis=1, dtype=np.float64).T for matrices in counts)
    return BootSeries(boot, time, uptime, memory, samples, tuple(rows), num, active)


def assemble_nodes(
    found: Mapping[Key, Sequence[Block]], layouts: Mapping[str, Sequence[CacheRow]], width: int
) -> dict[Key, tuple[BootSeries, ...]]:
    """As `assemble_boots`, the boots of many nodes: most nodes have one with one layout, and they are alike."""
    groups, others = coarsen_alike(found, width)
    series = {key: assemble_boots(blocks, layouts, width) for key, blocks in others.items()}
    for group in groups:
        series.update(zip(group, _alike(list(group.values()), layouts), strict=True))
    return series


def _alike(
    nodes: Sequence[Sequence[Block]], layouts: Mapping[str, Sequence[CacheRow]]
) -> Iterator[tuple[BootSeries, ...]]:
    """Of nodes with one boot, of one layout, and as many blocks, as long, with nothing to match."""
    rows = tuple(layouts[nodes[0][0].layout])
    blocks = [block for own in nodes for block in own]
    joined = (np.concatenate([getattr(block, name) for block in blocks]) for name in ARRAYS[: -len(_COUNTS)])
    time, uptime, memory, samples = (array.reshape(len(nodes), -1, *array.shape[1:]) for array in joined)
    shape = (len(nodes), len(rows), time.shape[1])
    num, active = (np.empty(shape, np.int32 if _fits(blocks, name) else np.float64) for name in _COUNTS)
    for n, own in enumerate(nodes):
        np.concatenate([block.num_min.T for block in own], axis=1, out=num[n], casting="same_kind")
        np.concatenate([block.active_min.T for block in own], axis=1, out=active[n], casting="same_kind")
        yield (BootSeries(own[0].boot, time[n], uptime[n], memory[n], samples[n], rows, num[n].T, active[n].T),)


def _fits(blocks: Sequence[Block], name: str) -> bool:
    """Whether four bytes hold each of these counts."""
    counts = (getattr(block, name) for block in blocks)
    return all(int(each.min(initial=0)) >= -_MOST and int(each.max(initial=0)) <= _MOST for each in counts)
