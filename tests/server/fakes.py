"""A store in memory that does everything the slow, obvious way; an oracle for the real ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median

import numpy as np

from common.boots import BootLabels
from common.snapshot import Caches, Snapshot, layout_hash
from server.assemble import assemble_boots, layout_rows
from server.buckets import MEMORY_COLUMNS, Block, CacheRow, NodeSeries, raw_block
from server.storage.base import Appended, Instant, NodeState, Received, Stored, StoreStatus

__all__ = ["MemoryStore"]


@dataclass
class _Node:
    labels: BootLabels = field(default_factory=BootLabels)
    kept: dict[tuple[float, str], Stored] = field(default_factory=dict)
    receipts: list[float] = field(default_factory=list)


class MemoryStore:
    """server.storage.base.Store over a dictionary."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._layouts: dict[str, Caches] = {}
        self.fail: Exception | None = None
        """What every append fails with, while set."""
        self.problem: str | None = None
        self.maintained: list[float] = []
        self.closed = False

    def append(self, batch: Sequence[Received]) -> Future[Appended]:
        done: Future[Appended] = Future()
        if self.fail is not None:
            done.set_exception(self.fail)
        else:
            stored = sum(self._put(received) for received in batch)
            done.set_result(Appended(stored, len(batch) - stored))
        return done

    def _put(self, received: Received) -> bool:
        snapshot = received.snapshot
        node = self._nodes.setdefault(snapshot.node, _Node())
        node.receipts.append(received.received_at)
        boot = node.labels.label(snapshot.boot_id, snapshot.taken_at, snapshot.uptime_seconds)
        if (snapshot.taken_at, boot) in node.kept:
            return False
        self._layouts[layout_hash(snapshot.caches)] = replace(
            snapshot.caches, active_objs=[], num_objs=[], active_slabs=None, num_slabs=None
        )
        node.kept[snapshot.taken_at, boot] = Stored(snapshot, boot, received.received_at, received.offset_seconds)
        return True

    def _sorted(self, node: str) -> list[Stored]:
        kept = self._nodes[node].kept if node in self._nodes else {}
        return [kept[key] for key in sorted(kept)]

    def _latest(self, node: str) -> Stored:
        return max(self._sorted(node), key=lambda s: (min(s.snapshot.taken_at, s.received_at), s.snapshot.taken_at))

    def nodes(self) -> list[NodeState]:
        return [self._state(name) for name in sorted(self._nodes)]

    def _state(self, name: str) -> NodeState:
        every = self._sorted(name)
        last, receipts = self._latest(name), self._nodes[name].receipts
        snapshot, caches = last.snapshot, last.snapshot.caches
        gaps = [b - a for a, b in pairwise(receipts)]
        return NodeState(
            node=name,
            group=snapshot.group,
            labels=snapshot.labels,
            kernel=snapshot.kernel,
            machine=snapshot.machine,
            cpus=snapshot.cpus,
            boot=last.boot,
            boot_id=snapshot.boot_id,
            uptime_seconds=snapshot.uptime_seconds,
            first_taken_at=every[0].snapshot.taken_at,
            last_taken_at=every[-1].snapshot.taken_at,
            taken_at=snapshot.taken_at,
            last_seen=max(receipts),
            gap_seconds=snapshot.interval_seconds or (median(gaps) if gaps else None),
            offset_seconds=last.offset_seconds,
            allocated_bytes=_bytes(caches.num_objs, caches.obj_size),
            active_bytes=_bytes(caches.active_objs, caches.obj_size),
            read_seconds=snapshot.read_seconds,
            memory_total=snapshot.memory.total if snapshot.memory else None,
            memory_available=snapshot.memory.available if snapshot.memory else None,
        )

    def layout(self, layout: str) -> Caches | None:
        return self._layouts.get(layout)

    def instants(
        self, node: str, start: float | None, end: float | None, *, after: tuple[float, str] | None, limit: int
    ) -> list[Instant]:
        found = [
            Instant(
                s.snapshot.taken_at,
                s.boot,
                s.snapshot.boot_id,
                s.snapshot.uptime_seconds,
                s.received_at,
                s.offset_seconds,
                s.snapshot.kernel,
                len(s.snapshot.caches),
            )
            for s in self._sorted(node)
            if (start is None or s.snapshot.taken_at >= start)
            and (end is None or s.snapshot.taken_at <= end)
            and (after is None or (s.snapshot.taken_at, s.boot) > after)
        ]
        return found[:limit]

    def at(self, node: str, instant: float | None) -> Stored | None:
        if instant is None:
            return self._latest(node) if node in self._nodes else None
        found = [s for s in self._sorted(node) if s.snapshot.taken_at <= instant]
        return found[-1] if found else None

    def first(self, node: str) -> Stored | None:
        return next(iter(self._sorted(node)), None)

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        return list(self._window(start, end, width, group, caches))

    def _window(
        self, start: float, end: float, width: int, group: str | None, caches: Collection[str] | None
    ) -> Iterator[NodeSeries]:
        for name in sorted(self._nodes):
            latest = self._latest(name).snapshot
            inside = [s for s in self._sorted(name) if start <= s.snapshot.taken_at <= end]
            if not inside or (group is not None and latest.group != group):
                continue
            layouts: dict[str, Sequence[CacheRow]] = {}
            blocks = [_block(s, layouts) for s in inside]
            yield NodeSeries(
                node=name,
                group=latest.group,
                labels=latest.labels,
                kernel=latest.kernel,
                machine=latest.machine,
                cpus=latest.cpus,
                boots=assemble_boots(blocks, layouts, width, caches=caches),
            )

    def journal(self) -> None:
        return None

    def maintain(self, now: float) -> None:
        self.maintained.append(now)

    def status(self) -> StoreStatus:
        snapshots = sum(len(node.kept) for node in self._nodes.values())
        counters: Mapping[str, float] = {"commits": 1.0}
        return StoreStatus(len(self._nodes), snapshots, 0, self.problem is None, self.problem, counters)

    def close(self) -> None:
        self.closed = True


def _bytes(objects: Sequence[int], sizes: Sequence[int]) -> int:
    return sum(count * size for count, size in zip(objects, sizes, strict=True))


def _block(stored: Stored, layouts: dict[str, Sequence[CacheRow]]) -> Block:
    snapshot: Snapshot = stored.snapshot
    caches = snapshot.caches
    name = layout_hash(caches)
    layouts[name] = layout_rows(caches)
    up = np.nan if snapshot.uptime_seconds is None else snapshot.uptime_seconds
    figures = [getattr(snapshot.memory, column, None) for column in MEMORY_COLUMNS]
    return raw_block(
        stored.boot,
        name,
        np.array([snapshot.taken_at]),
        np.array([up], dtype=np.float64),
        np.array([[np.nan if figure is None else figure for figure in figures]], dtype=np.float64),
        np.array([caches.num_objs], dtype=np.int64),
        np.array([caches.active_objs], dtype=np.int64),
    )
