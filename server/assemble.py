"""From blocks of buckets to the series of one node: rows matched across layouts, boots in order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from common.snapshot import Caches
from server.buckets import Block, BootSeries, CacheRow, coarsen

__all__ = ["assemble_boots", "layout_rows"]

Floats = NDArray[np.float64]
_COUNTS = ("num_min", "active_min")


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
        _boot(boot, [coarsen(same, width) for same in by_layout.values()], layouts, width, caches)
        for boot, by_layout in boots.items()
    ]
    return tuple(sorted(series, key=lambda s: (float(s.time[0]), s.boot)))


def _boot(
    boot: str,
    blocks: list[Block],
    layouts: Mapping[str, Sequence[CacheRow]],
    width: int,
    caches: Collection[str] | None,
) -> BootSeries:
    """Joins blocks of one boot with different layouts; a row's newest flags win."""
    if len(blocks) == 1:
        return _alone(boot, blocks[0], layouts[blocks[0].layout], caches)
    blocks = sorted(blocks, key=lambda b: float(b.time[-1]))
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


def _alone(boot: str, block: Block, rows: Sequence[CacheRow], caches: Collection[str] | None) -> BootSeries:
    """The usual case, with nothing to match: several times as fast."""
    counts = {name: getattr(block, name) for name in _COUNTS}
    if caches is not None:
        kept = [i for i, row in enumerate(rows) if row.name in caches]
        counts = {name: matrix[:, kept] for name, matrix in counts.items()}
        rows = [rows[i] for i in kept]
    floats = {name: matrix.astype(np.float64) for name, matrix in counts.items()}
    return BootSeries(boot, block.time, block.uptime, block.memory, block.samples, tuple(rows), **floats)
