"""A slow, obvious store in memory: what every storage engine must agree with."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from common.boots import BootLabels
from common.snapshot import Snapshot
from server.buckets import MEMORY_COLUMNS, NodeSeries
from server.storage.base import Received, Stored

Key = tuple[str, int, int]


class NaiveStore:
    def __init__(self) -> None:
        self.labels: dict[str, BootLabels] = defaultdict(BootLabels)
        self.stored: dict[str, dict[tuple[float, str], Stored]] = defaultdict(dict)
        self.seen: dict[str, float] = defaultdict(float)

    def append(self, batch: list[Received]) -> tuple[int, int]:
        new = 0
        for received in batch:
            s = received.snapshot
            boot = self.labels[s.node].label(s.boot_id, s.taken_at, s.uptime_seconds)
            self.seen[s.node] = max(self.seen[s.node], received.received_at)
            if (s.taken_at, boot) not in self.stored[s.node]:
                self.stored[s.node][s.taken_at, boot] = Stored(s, boot, received.received_at, received.offset_seconds)
                new += 1
        return new, len(batch) - new

    def of(self, node: str, start: float = -math.inf, end: float = math.inf) -> list[Stored]:
        return [stored for (at, _), stored in sorted(self.stored[node].items()) if start <= at <= end]

    def at(self, node: str, instant: float) -> Stored | None:
        return next(reversed(self.of(node, end=instant)), None)

    def window(
        self, start: float, end: float, width: int, group: str | None, caches: Collection[str] | None
    ) -> dict[str, Any]:
        return {
            node: _reduce(within, width, caches)
            for node in sorted(self.stored)
            if (within := self.of(node, start, end)) and (group is None or self.of(node)[-1].snapshot.group == group)
        }


def _keys(snapshot: Snapshot) -> list[Key]:
    seen: dict[tuple[str, int], int] = defaultdict(int)
    keys = []
    for name, size in zip(snapshot.caches.name, snapshot.caches.obj_size, strict=True):
        keys.append((name, size, seen[name, size]))
        seen[name, size] += 1
    return keys


def _reduce(snapshots: list[Stored], width: int, caches: Collection[str] | None) -> dict[str, Any]:
    boots: dict[str, dict[str, dict[Any, Any]]] = defaultdict(lambda: {"buckets": {}, "cells": {}, "flags": {}})
    for stored in snapshots:  # by time
        s, boot = stored.snapshot, boots[stored.boot]
        bucket = s.taken_at // width
        memory = tuple(getattr(s.memory, name, None) for name in MEMORY_COLUMNS)
        before = boot["buckets"].get(bucket)
        boot["buckets"][bucket] = (s.taken_at, s.uptime_seconds, memory, before[3] + 1 if before else 1)
        for i, key in enumerate(_keys(s)):
            if caches is not None and key[0] not in caches:
                continue
            num, active = float(s.caches.num_objs[i]), float(s.caches.active_objs[i])
            cell = boot["cells"].get((bucket, key), (num, active))
            boot["cells"][bucket, key] = (min(cell[0], num), min(cell[1], active))
            aliases = s.caches.aliases[i] if s.caches.aliases else None
            boot["flags"][key] = (s.caches.reclaimable[i] if s.caches.reclaimable else None, tuple(aliases or ()))
    return dict(boots)


def _none(value: float) -> float | None:
    return None if math.isnan(value) else value


def described(series: NodeSeries, width: int) -> dict[str, Any]:
    """A store's answer in the oracle's form."""
    boots: dict[str, Any] = {}
    for boot in series.boots:
        keys = [(row.name, row.obj_size, row.ordinal) for row in boot.rows]
        times = boot.time.tolist()
        assert times == sorted(times)
        buckets, cells = {}, {}
        for t, at in enumerate(times):
            memory = tuple(_none(v) for v in boot.memory[t].tolist())
            buckets[at // width] = (at, _none(float(boot.uptime[t])), memory, int(boot.samples[t]))
            for c, key in enumerate(keys):
                columns = (boot.num_min, boot.active_min)
                values = tuple(float(column[t, c]) for column in columns)
                if not math.isnan(values[0]):
                    cells[at // width, key] = values
        flags = {key: (row.reclaimable, row.aliases) for key, row in zip(keys, boot.rows, strict=True)}
        boots[boot.boot] = {"buckets": buckets, "cells": cells, "flags": flags}
    return boots
