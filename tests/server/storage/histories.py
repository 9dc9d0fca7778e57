"""Seeded histories of a few nodes with everything that goes wrong in real life: what the storage tests append."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from common.snapshot import Caches, Memory, Snapshot
from server.storage.base import Received

START = 1_795_392_000.0
"""2026-11-23T00:00:00Z, on the hour."""
LARGEST = 2**63 - 1


def caches(names: list[str], counts: list[int], **columns: Any) -> Caches:
    return Caches(names, counts, [n + 1 for n in counts], [64] * len(names), **columns)


def snapshot(node: str, at: float, count: int = 10, names: tuple[str, ...] = ("dentry",), **facts: Any) -> Snapshot:
    facts.setdefault("boot_id", "boot-1")
    return Snapshot(node, at, caches(list(names), [count] * len(names)), **facts)


def received(item: Snapshot, delay: float = 0.5) -> Received:
    return Received(item, round(item.taken_at + delay, 3))


@dataclass
class Machine:
    """A node whose kernel lists this and that; `step` takes a snapshot of it."""

    name: str
    rng: random.Random
    group: str = "default"
    boot: int = 0
    booted: float = START - 5000
    style: int = 0
    names: list[str] = field(default_factory=lambda: ["dentry", "filp", "eventpoll pwq", "dentry"])

    def step(self, at: float) -> Received:
        rng = self.rng
        if rng.random() < 0.02:
            self.boot, self.booted = self.boot + 1, at - rng.randrange(100)
        if rng.random() < 0.03:
            self.style = rng.randrange(4)
        if rng.random() < 0.03:
            self.names = rng.sample(["dentry", "filp", "eventpoll pwq", "dentry", "raid5/md0", "kmalloc-64"], 4)
        item = Snapshot(
            self.name,
            round(at, 3),
            self._caches(),
            group=self.group,
            labels={"rack": "r4"} if rng.random() < 0.5 else {},
            interval_seconds=rng.choice([None, 60.0]),
            boot_id=f"boot-{self.boot}" if self.style != 3 else None,
            uptime_seconds=round(at - self.booted, 2) if rng.random() < 0.9 else None,
            kernel=rng.choice([None, "6.1.0-28-amd64"]),
            cpus=rng.choice([None, 8]),
            memory=self._memory(),
            read_seconds=rng.choice([None, rng.random(), 0.0021]),
        )
        offset = rng.choice([None, round(rng.random(), 3)])
        return Received(item, round(at + rng.random() * 5, 3), offset)

    def _memory(self) -> Memory | None:
        sizes = [self.rng.choice([None, 0, 8 << 30, self.rng.randrange(1 << 40)]) for _ in range(4)]
        return self.rng.choice([None, Memory(), Memory(*sizes)])

    def _caches(self) -> Caches:
        rng, rows = self.rng, len(self.names)
        num = [rng.choice([0, 300, rng.randrange(5000), rng.randrange(2**33)]) for _ in range(rows)]
        if rng.random() < 0.05:
            num[0] = LARGEST
        active = [rng.choice([n, n - rng.randrange(n + 1)]) for n in num]
        columns: dict[str, Any] = {}
        if self.style in (0, 3):
            columns = {"objs_per_slab": [21, 16, 8, None], "reclaimable": [True, False, None, False]}
            columns["num_slabs"] = [n // 16 for n in num]
            columns["active_slabs"] = rng.choice([None, columns["num_slabs"], [None, *columns["num_slabs"][1:]]])
        elif self.style == 1:
            columns = {"aliases": [[], ["biovec-16"], None, []], "active_slabs": [None] * rows}
        return Caches(list(self.names), active, num, [192, 256, 72, 192], **columns)


def history(seed: int, nodes: int = 3, steps: int = 150) -> list[Received]:
    """Snapshots in order of time, at irregular intervals with gaps; the caller shuffles and repeats them."""
    rng = random.Random(seed)
    out = []
    for number in range(nodes):
        machine = Machine(f"n{number}", rng, group="web" if number else "lvs")
        at = START + rng.random() * 100
        for _ in range(steps):
            at += rng.choice([0.001, 5, 60, 60, 60, 61.5, 300, 1800])
            if rng.random() < 0.1:
                at = round(at / 300) * 300.0  # exactly on the edge of a bucket
            out.append(machine.step(at))
    return sorted(out, key=lambda r: r.snapshot.taken_at)
