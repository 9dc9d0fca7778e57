"""The boots of a group side by side, so that a span is looked at in a few wide matrices and not node by node."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.analysis.tracks import MEMORY_TOTAL, Track
from server.analysis.types import AnalysisSettings

__all__ = ["Panel", "Stack", "make_panel", "material_rate"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stack:
    """Boots whose buckets lie in the same cells, with those of their series that vary. M boots, T buckets, V series."""

    members: Indices
    """[M] in Panel.tracks."""
    number: Floats
    """[T] the cell of each bucket: its time over the cells' width, rounded down."""
    time: Floats
    """[M, T] as Track.time; `samples` likewise."""
    samples: Ints
    y: Floats
    """[T, V] allocated bytes, boot by boot."""
    rows: Indices
    """[V] whose each series is, in Panel.tracks."""
    columns: Indices
    """[V] its cache, in Panel.names."""


@dataclass(frozen=True, slots=True)
class Panel:
    """All boots of a group in one reading. N boots, C caches in all."""

    tracks: tuple[Track, ...]
    """Without those that hold nothing."""
    names: tuple[str, ...]
    places: tuple[Indices, ...]
    """[N] where each track's caches stand in `names`."""
    listed: Bools
    """[N, C] which caches each lists."""
    reclaimable: Bools
    sizes: Floats
    """[N, C] bytes of an object of each."""
    level: Floats
    """[N, C] bytes of what does not vary; of what varies, whatever it begins with; NaN where not listed."""
    material: Floats
    """[N] see material_rate."""
    width: float
    """Seconds; of the cells."""
    stacks: tuple[Stack, ...]


def material_rate(track: Track, settings: AnalysisSettings) -> float:
    """Bytes a second below which growth does not matter on this node."""
    total = track.memory[:, MEMORY_TOTAL]
    newest = float(total[-1]) if len(total) else math.nan
    if not math.isfinite(newest):
        known = total[np.isfinite(total)]
        if not len(known):
            return settings.material_bytes_per_hour / 3600.0
        newest = float(known[-1])
    return settings.material_fraction * newest / (30 * 86400.0)


def make_panel(tracks: Sequence[Track], width: float, settings: AnalysisSettings) -> Panel:
    """The tracks side by side, to be looked at in cells of `width` seconds."""
    tracks = tuple(track for track in tracks if len(track.time))
    layouts: dict[tuple[str, ...], list[int]] = {}
    alike: dict[bytes, list[int]] = {}
    for row, track in enumerate(tracks):
        layouts.setdefault(track.names, []).append(row)
        alike.setdefault(np.floor_divide(track.time, width).tobytes(), []).append(row)
    names = tuple(sorted({name for layout in layouts for name in layout}))
    index = {name: number for number, name in enumerate(names)}
    shape = (len(tracks), len(names))
    listed, reclaimable = np.zeros(shape, bool), np.zeros(shape, bool)
    sizes, level = np.zeros(shape), np.full(shape, np.nan)
    facts = {id(track.facts): track.facts for track in tracks}  # one tuple for many nodes
    size = {kind: np.array([one.obj_size for one in same], np.float64) for kind, same in facts.items()}
    places: list[Indices] = [np.zeros(0, np.intp)] * len(tracks)
    for layout, rows in layouts.items():
        to = np.array([index[name] for name in layout], dtype=np.intp)
        block = np.ix_(np.array(rows), to)
        listed[block] = True
        reclaimable[block] = np.stack([tracks[row].reclaimable for row in rows])
        sizes[block] = [size[id(tracks[row].facts)] for row in rows]
        level[block] = np.stack([tracks[row].allocated[0] for row in rows])
        for row in rows:
            places[row] = to
    material = np.array([material_rate(track, settings) for track in tracks])
    stacks = tuple(_stack(np.frombuffer(number), rows, tracks, places) for number, rows in alike.items())
    return Panel(tracks, names, tuple(places), listed, reclaimable, sizes, level, material, width, stacks)


def _stack(number: Floats, members: Sequence[int], tracks: Sequence[Track], places: Sequence[Indices]) -> Stack:
    series, columns = [], []
    for row in members:
        y = tracks[row].allocated
        varies = np.flatnonzero((y != y[0]).any(axis=0))  # also what is not always listed: NaN is unlike itself
        series.append(y.take(varies, axis=1))  # rows stay together in memory, which y[:, varies] would not do
        columns.append(places[row][varies])
    return Stack(
        np.array(members),
        number,
        np.stack([tracks[row].time for row in members]),
        np.stack([tracks[row].samples for row in members]),
        np.concatenate(series, axis=1),
        np.repeat(members, [len(own) for own in columns]),
        np.concatenate(columns),
    )
