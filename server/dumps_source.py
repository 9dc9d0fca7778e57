"""Snapshots held in memory as a source for the analysis: what `slabhound analyze` has in place of a store."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from common.boots import BootLabels
from common.snapshot import LAYOUT_COLUMNS, Caches, Snapshot, layout_hash
from server.assemble import assemble_boots, layout_rows
from server.buckets import MEMORY_COLUMNS, Block, CacheRow, NodeSeries, raw_block
from server.storage.codec import compress, decompress, pack_matrix, unpack_matrix

__all__ = ["MemorySource"]

Ints = NDArray[np.int64]

_CHUNK = 64
"""Snapshots packed together: a day of a node at a minute takes 0.2 MB in place of 5."""
_LEVEL = 1
_YEAR = 365 * 86400.0


@dataclass(slots=True)
class _Part:
    """The snapshots of one node, boot and layout, in the order they came."""

    rows: int
    time: list[float] = field(default_factory=list)
    uptime: list[float] = field(default_factory=list)
    memory: list[list[float]] = field(default_factory=list)
    packed: list[bytes] = field(default_factory=list)
    """_CHUNK snapshots each: num_objs, then active_objs."""
    recent: list[tuple[Ints, Ints]] = field(default_factory=list)

    def add(self, snapshot: Snapshot) -> None:
        memory = snapshot.memory
        figures = [getattr(memory, name) if memory else None for name in MEMORY_COLUMNS]
        self.time.append(snapshot.taken_at)
        self.uptime.append(np.nan if snapshot.uptime_seconds is None else snapshot.uptime_seconds)
        self.memory.append([np.nan if figure is None else float(figure) for figure in figures])
        counts = (snapshot.caches.num_objs, snapshot.caches.active_objs)
        self.recent.append((np.array(counts[0], dtype=np.int64), np.array(counts[1], dtype=np.int64)))
        if len(self.recent) == _CHUNK:
            num, active = self._arrays()
            self.packed.append(compress(pack_matrix(np.concatenate([num, active], axis=1)), _LEVEL))
            self.recent.clear()

    def block(self, boot: str, layout: str, start: float, end: float) -> Block | None:
        """The snapshots with start <= taken_at <= end, or None when there are none."""
        time = np.array(self.time)
        kept = (time >= start) & (time <= end)
        if not kept.any():
            return None
        nums, actives = [], []
        for at in range(0, len(time), _CHUNK):
            chosen = kept[at : at + _CHUNK]
            if not chosen.any():
                continue
            chunk = at // _CHUNK
            num, active = self._unpacked(chunk) if chunk < len(self.packed) else self._arrays()
            nums.append(num[chosen])
            actives.append(active[chosen])
        uptime, memory = np.array(self.uptime)[kept], np.array(self.memory)[kept]
        return raw_block(boot, layout, time[kept], uptime, memory, np.concatenate(nums), np.concatenate(actives))

    def _arrays(self) -> tuple[Ints, Ints]:
        return np.stack([num for num, _ in self.recent]), np.stack([active for _, active in self.recent])

    def _unpacked(self, chunk: int) -> tuple[Ints, Ints]:
        both = unpack_matrix(decompress(self.packed[chunk]), _CHUNK, 2 * self.rows)
        return both[:, : self.rows], both[:, self.rows :]


class _Node:
    """One node's snapshots, and the newest of them for its facts."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.newest = _without_caches(snapshot)
        self.parts: dict[tuple[str, str], _Part] = {}
        self.labels = BootLabels()
        self.seen: set[tuple[str, float]] = set()
        self._layout: tuple[tuple[object, ...], str] = ((), "")

    def layout_of(self, caches: Caches) -> str:
        """The layout's hash, made anew only when the layout has changed."""
        columns = tuple(getattr(caches, name) for name in LAYOUT_COLUMNS)
        if columns != self._layout[0]:
            self._layout = columns, layout_hash(caches)
        return self._layout[1]


class MemorySource:
    """A server.buckets.Source over the snapshots added to it. Like a store it keeps the first of two duplicates."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._layouts: dict[str, tuple[CacheRow, ...]] = {}
        self.snapshots = 0
        self.duplicates = 0

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self._nodes)

    def add(self, snapshot: Snapshot) -> None:
        """Takes one more snapshot, in any order."""
        node = self._nodes.setdefault(snapshot.node, _Node(snapshot))
        boot = node.labels.label(snapshot.boot_id, snapshot.taken_at, snapshot.uptime_seconds)
        if (boot, snapshot.taken_at) in node.seen:
            self.duplicates += 1
            return
        node.seen.add((boot, snapshot.taken_at))
        layout = node.layout_of(snapshot.caches)
        if layout not in self._layouts:
            self._layouts[layout] = layout_rows(snapshot.caches)
        node.parts.setdefault((boot, layout), _Part(len(snapshot.caches))).add(snapshot)
        if snapshot.taken_at > node.newest.taken_at:
            node.newest = _without_caches(snapshot)
        self.snapshots += 1

    def span(self) -> tuple[float, float, int]:
        """taken_at of the oldest and the newest snapshot (epoch seconds), and how many lie outside; there must be some.

        Outside are those that a gap of a year parts from most others: a clock that began at 1970, or somewhere else.
        """
        time = np.sort([at for node in self._nodes.values() for part in node.parts.values() for at in part.time])
        runs = np.split(time, np.flatnonzero(np.diff(time) > _YEAR) + 1)
        most = max(runs, key=len)
        return float(most[0]), float(most[-1]), len(time) - len(most)

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterator[NodeSeries]:
        """See server.buckets.Source."""
        for name in sorted(self._nodes):
            node = self._nodes[name]
            facts = node.newest
            if group not in {None, facts.group}:
                continue
            found = [part.block(boot, layout, start, end) for (boot, layout), part in node.parts.items()]
            blocks = [block for block in found if block is not None]
            if blocks:
                boots = assemble_boots(blocks, self._layouts, width, caches=caches)
                yield NodeSeries(name, facts.group, facts.labels, facts.kernel, facts.machine, facts.cpus, boots)


def _without_caches(snapshot: Snapshot) -> Snapshot:
    """The facts alone, so that a newest snapshot is not held twice."""
    return Snapshot(
        snapshot.node,
        snapshot.taken_at,
        Caches([], [], [], []),
        group=snapshot.group,
        labels=snapshot.labels,
        kernel=snapshot.kernel,
        machine=snapshot.machine,
        cpus=snapshot.cpus,
    )
