"""One node's boot as arrays: bytes per cache and bucket, rows of one cache summed; warm-up and how to cut it off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from server.analysis.clock import by_uptime
from server.analysis.identity import assumed_reclaimable, canonical_names, freed_late
from server.analysis.trend import floors
from server.buckets import CacheRow, NodeSeries

__all__ = [
    "MEMORY_AVAILABLE",
    "MEMORY_TOTAL",
    "CacheFacts",
    "Deferred",
    "Track",
    "cells",
    "make_tracks",
    "names_of",
    "settled",
    "warm_up_seconds",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MEMORY_TOTAL, MEMORY_AVAILABLE = 0, 1
"""Columns of Track.memory (server.buckets.MEMORY_COLUMNS)."""
WARM_UP_SHARE, WARM_UP_LEAST, WARM_UP_MOST = 0.2, 120.0, 7200.0


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """What one node's kernel says of a cache besides its counts."""

    members: tuple[str, ...]
    """The kernel's names for it on this node, sorted."""
    aliases: tuple[str, ...]
    obj_size: int
    """Bytes; of the largest row where sizes differ."""
    reclaimable: bool
    assumed: bool
    """True when no flag was given and `reclaimable` comes from the table of known caches."""


class Deferred:
    """An array that few ask for, worked out for the first who does."""

    __slots__ = ("_value", "_work")

    def __init__(self, work: Callable[[], Floats]) -> None:
        self._work: Callable[[], Floats] | None = work
        self._value: Floats = np.zeros(0)

    def __call__(self) -> Floats:
        if self._work is not None:
            self._value, self._work = self._work(), None
        return self._value


@dataclass(frozen=True, slots=True)
class Track:
    """One boot of one node: T buckets, C caches; NaN means not listed."""

    node: str
    group: str
    kernel: str | None
    boot: str
    order: int
    """0 for the node's first boot in the window, 1 for the next, ..."""
    last: bool
    """Whether this is the node's newest boot."""
    time: Floats
    """[T] epoch seconds."""
    uptime: Floats
    memory: Floats
    samples: Ints
    names: tuple[str, ...]
    allocated: Floats
    """[T, C] the least allocated bytes in each bucket."""
    in_use: Deferred
    """See `active`."""
    facts: tuple[CacheFacts, ...]
    index: Mapping[str, int] = field(default_factory=dict)
    reclaimable: Bools = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """[C] CacheFacts.reclaimable."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of the node."""

    @property
    def active(self) -> Floats:
        """[T, C] the least bytes of objects in use in each bucket."""
        return self.in_use()

    @property
    def span(self) -> float:
        """Seconds from the first bucket to the last."""
        return float(self.time[-1] - self.time[0]) if len(self.time) else 0.0


@dataclass(frozen=True, slots=True)
class _Columns:
    """How the rows of one layout become caches."""

    names: tuple[str, ...]
    index: Mapping[str, int]
    first: NDArray[np.intp]
    """Each cache's first row, and the bytes of its objects (`sizes`)."""
    sizes: Floats
    further: tuple[tuple[int, int, float], ...]
    """What caches of several rows have beside their first: the cache, the row, the bytes of its objects."""
    facts: tuple[CacheFacts, ...]
    reclaimable: Bools


def warm_up_seconds(uptime: float) -> float:
    """How much of a boot of that age (seconds) is warm-up: a fifth, at least 2 minutes, at most 2 hours.

    What fills after a boot does so ever more slowly; a cut in proportion to the age leaves a series whose growth, if
    it is only warm-up, slows visibly within it.
    """
    return min(max(WARM_UP_SHARE * uptime, WARM_UP_LEAST), WARM_UP_MOST)


def _columns(rows: Sequence[CacheRow], canonical: Mapping[str, str]) -> _Columns:
    caches: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        caches.setdefault(canonical[row.name], []).append(index)
    names = tuple(sorted(caches))
    facts = []
    for name in names:
        members = [rows[i] for i in caches[name]]
        flags = [row.reclaimable for row in members if row.reclaimable is not None]
        aliases = {alias for row in members for alias in row.aliases} - {row.name for row in members}
        facts.append(
            CacheFacts(
                tuple(sorted({row.name for row in members})),
                tuple(sorted(aliases)),
                max((row.obj_size for row in members), default=0),
                freed_late(name) or (any(flags) if flags else assumed_reclaimable(name)),
                not flags,
            )
        )
    first = np.array([caches[name][0] for name in names], dtype=np.intp)
    sizes = np.array([rows[row].obj_size for row in first.tolist()], dtype=np.float64)
    further = [(k, row, float(rows[row].obj_size)) for k, name in enumerate(names) for row in caches[name][1:]]
    return _Columns(
        names,
        {name: i for i, name in enumerate(names)},
        first,
        sizes,
        tuple(further),
        tuple(facts),
        np.array([one.reclaimable for one in facts], dtype=bool),
    )


def _bytes(counts: Floats, columns: _Columns) -> Floats:
    """[T, C] bytes per cache from [T, R] objects per row; NaN only where no row of the cache is listed."""
    # The counts lie in memory row by row of the layout: so they are picked, and turned around only once.
    total = np.multiply(counts.T.take(columns.first, axis=0).T, columns.sizes, order="C")
    for cache, row, size in columns.further:
        own, more = total[:, cache], counts[:, row] * size
        total[:, cache] = np.where(np.isnan(own), more, own + np.where(np.isnan(more), 0.0, more))
    return total


def settled(track: Track) -> Track:
    """The track without its warm-up; a boot that is nothing else gives an empty track."""
    uptime = track.uptime
    age = float(uptime.max()) if len(uptime) else np.nan
    if np.isfinite(age) and uptime[0] >= warm_up_seconds(age):  # mostly, and soon said
        return track
    if np.isnan(uptime).all():
        uptime = track.time - track.time[:1] if track.order else np.full(len(track.time), np.inf)
    age = float(np.nanmax(uptime)) if len(uptime) else np.inf
    if not np.isfinite(age):
        return track
    first = np.flatnonzero(~(uptime < warm_up_seconds(age)))
    kept = slice(int(first[0]) if len(first) else len(track.time), None)
    if kept.start == 0:
        return track
    return replace(
        track,
        time=track.time[kept],
        uptime=track.uptime[kept],
        memory=track.memory[kept],
        samples=track.samples[kept],
        allocated=track.allocated[kept],
        in_use=Deferred(lambda: track.active[kept]),
    )


def names_of(nodes: Sequence[NodeSeries]) -> dict[str, Mapping[str, str]]:
    """For each node of one group, which cache every name that it lists is."""
    return canonical_names({node.node: [boot.rows for boot in node.boots] for node in nodes})


def make_tracks(nodes: Sequence[NodeSeries], canonical: Mapping[str, Mapping[str, str]] | None = None) -> list[Track]:
    """The tracks of the nodes of one group, by node and boot, warm-up and all; a boot's times go by its uptime.

    `canonical`: which cache each name is, by node, where more than these series tell (see names_of).
    """
    canonical = canonical or names_of(nodes)
    known: dict[tuple[int, ...], _Columns] = {}
    same: dict[tuple[int, int], _Columns] = {}
    tracks = []
    for node in nodes:
        for order, boot in enumerate(map(by_uptime, node.boots)):
            names = canonical[node.node]
            columns = same.get((id(names), id(boot.rows)))
            if columns is None:
                key = (id(names), *map(id, boot.rows))
                columns = known[key] = known.get(key) or _columns(boot.rows, names)
                same[id(names), id(boot.rows)] = columns
            tracks.append(
                Track(
                    node.node,
                    node.group,
                    node.kernel,
                    boot.boot,
                    order,
                    order == len(node.boots) - 1,
                    boot.time,
                    boot.uptime,
                    boot.memory,
                    boot.samples,
                    columns.names,
                    _bytes(boot.num_min, columns),
                    Deferred(partial(_bytes, boot.active_min, columns)),
                    columns.facts,
                    columns.index,
                    columns.reclaimable,
                    node.labels,
                )
            )
    return tracks


def cells(track: Track, start: float, end: float, width: float) -> Track:
    """The track between two instants in cells of `width` seconds on the epoch's grid, each the floor of its buckets."""
    begin, stop = (int(i) for i in np.searchsorted(track.time, [start, end], side="left"))
    stop += int(np.searchsorted(track.time[stop:], end, side="right"))
    rows = slice(begin, stop)
    number = np.floor_divide(track.time[rows], width)
    if len(number) == len(track.time) and (number[1:] != number[:-1]).all():
        return track
    first = np.flatnonzero(np.diff(number, prepend=np.nan))
    part = replace(
        track,
        time=track.time[rows],
        uptime=track.uptime[rows],
        memory=track.memory[rows],
        samples=track.samples[rows],
        allocated=track.allocated[rows],
        in_use=Deferred(lambda: track.active[rows]),
    )
    if len(first) == len(number):
        return part
    last = np.r_[first[1:], len(number)] - 1
    return replace(
        part,
        time=part.time[last],
        uptime=part.uptime[last],
        memory=part.memory[last],
        samples=np.add.reduceat(part.samples, first),
        allocated=floors(part.allocated, first),
        in_use=Deferred(lambda: floors(part.active, first)),
    )
