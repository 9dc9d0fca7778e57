"""The reduction of server.buckets for many series at once: what takes time is a call into numpy, not a number."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from server.buckets import ARRAYS, Block, begins, runs

__all__ = ["Snapshots", "coarsen_alike", "coarsen_all"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Of many series, one series after the other, each by time. R snapshots, C rows of their layout."""

    series: Sequence[tuple[str, str]]
    """Boot and layout of each."""
    which: NDArray[np.intp]
    """[R] the series of each."""
    time: Floats
    """[R] as in Block; `uptime` likewise."""
    uptime: Floats
    memory: Floats
    """[R, 4]"""
    num: Ints
    """[R, C], row by row in memory; `active` likewise."""
    active: Ints


def coarsen_all(found: Snapshots, width: int, single: float = -np.inf) -> list[Block]:
    """The buckets of `width` seconds of every series, as `coarsen` would make them of each alone.

    What was taken before `single` (epoch seconds) stays a bucket by itself.
    """
    start = np.where(found.time < single, found.time, np.floor_divide(found.time, width) * width)
    new = np.ones(len(start), dtype=np.bool_)
    new[1:] = (found.which[1:] != found.which[:-1]) | (start[1:] != start[:-1])
    first = new.nonzero()[0]
    samples = np.diff(first, append=len(start))
    last = first + samples - 1
    time, uptime, memory = found.time[last], found.uptime[last], found.memory[last]
    num, active = (_least_of_runs(counts, first, samples) for counts in (found.num, found.active))
    edges = found.which[first].searchsorted(np.arange(len(found.series) + 1)).tolist()
    return [
        Block(*names, time[a:b], uptime[a:b], memory[a:b], samples[a:b], num[a:b], active[a:b])
        for names, a, b in zip(found.series, edges, edges[1:], strict=False)
    ]


def _least_of_runs(counts: Ints, first: NDArray[np.intp], length: Ints) -> Ints:
    """[runs, C] the least of the rows of each run: all second rows at once, all third ones, and so on."""
    least = counts[first]
    for further in range(1, int(length.max(initial=1))):
        there = (length > further).nonzero()[0]
        least[there] = np.minimum(least[there], counts[first[there] + further])
    return least


def coarsen_alike(
    found: Mapping[Key, Sequence[Block]], width: int
) -> tuple[list[dict[Key, list[Block]]], dict[Key, Sequence[Block]]]:
    """What `coarsen_apart` makes of the blocks of many nodes, for all that have one boot and layout.

    In each group the nodes have as many blocks, which are of one layout and as long; then those it is not done for.
    """
    rows, others = dict[Key, list[Block]](), dict[Key, Sequence[Block]]()
    alike: dict[tuple[Hashable, ...], list[Key]] = {}
    for key, blocks in found.items():
        row = sorted((block for block in blocks if len(block.time)), key=begins)
        if row and all(block.boot == row[0].boot and block.layout == row[0].layout for block in row):
            rows[key] = row
            alike.setdefault((row[0].layout, *(len(block.time) for block in row)), []).append(key)
        else:
            others[key] = blocks
    groups = []
    for keys in alike.values():
        lengths = [len(block.time) for block in rows[keys[0]]]
        done = set[Key]()
        for same, own in _by_pattern([rows[key] for key in keys], width):
            some = [rows[keys[place]] for place in own]
            parted = [
                _reduce_alike([row[begin:end] for row in some], same[sum(lengths[:begin]) : sum(lengths[:end]) - 1])
                if together
                else [row[begin] for row in some]
                for begin, end, together in runs(same, lengths)
            ]
            groups.append({keys[place]: list(row) for place, row in zip(own, zip(*parted, strict=True), strict=True)})
            done.update(groups[-1])
        others.update((key, rows[key]) for key in keys if key not in done)
    return groups, others


def _by_pattern(rows: Sequence[Sequence[Block]], width: int) -> Iterator[tuple[NDArray[np.bool_], list[int]]]:
    """Which instants lie in the bucket of the one after, and the places of the rows of blocks of which that is so.

    Without rows that do not follow one another in time.
    """
    time = np.concatenate([block.time for row in rows for block in row]).reshape(len(rows), -1)
    start = np.floor_divide(time, width)
    same, ordered = start[:, 1:] == start[:, :-1], (time[:, 1:] >= time[:, :-1]).all(axis=1)
    patterns: dict[bytes, list[int]] = {}
    for place in np.flatnonzero(ordered).tolist():
        patterns.setdefault(same[place].tobytes(), []).append(place)
    for places in patterns.values():
        yield same[places[0]], places


def _reduce_alike(parts: Sequence[Sequence[Block]], same: NDArray[np.bool_]) -> list[Block]:
    """The blocks of each node as one; `same` says of all which of their instants lie in the bucket of the one after."""
    nodes, times = len(parts), len(same) + 1
    first = np.append(True, ~same).nonzero()[0]
    length = np.diff(first, append=times)
    last = first + length - 1
    blocks = [block for own in parts for block in own]
    time, uptime, memory, samples, num, active = (
        np.concatenate([getattr(block, name) for block in blocks]) for name in ARRAYS
    )
    time, uptime, memory = (array.reshape(nodes, times, *array.shape[1:])[:, last] for array in (time, uptime, memory))
    samples = np.add.reduceat(samples.reshape(nodes, times), first, axis=1)
    at = (np.arange(nodes)[:, None] * times + first).ravel()
    num, active = (
        _least_of_runs(counts, at, np.tile(length, nodes)).reshape(nodes, len(first), -1) for counts in (num, active)
    )
    return [
        Block(own[0].boot, own[0].layout, time[n], uptime[n], memory[n], samples[n], num[n], active[n])
        for n, own in enumerate(parts)
    ]
