"""Fleets as arrays, for tests: a source of series without snapshots, and simple ways for a cache to behave."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from server.assemble import assemble_boots
from server.buckets import Block, CacheRow, NodeSeries, raw_block

__all__ = ["GIB", "MIB", "START", "ArraySource", "Floats", "Node", "churn", "daily", "fleet", "level", "ramp", "rising"]

Floats = NDArray[np.float64]
START = 1_795_392_000.0
MIB, GIB = 2.0**20, 2.0**30
OBJ_SIZE = 512


@dataclass
class Node:
    """One boot of one node: allocated bytes of each cache at every instant; `active` is the same unless given."""

    name: str
    time: Floats
    caches: Mapping[str, Floats]
    active: Mapping[str, Floats] = field(default_factory=dict)
    group: str = "lvs"
    boot: str = "boot-1"
    uptime: float | None = 40 * 86400.0
    """Seconds at the first instant; None: not known."""
    memory: float | None = 8 * GIB
    available: float | Floats = 6 * GIB
    slab: tuple[float | Floats, float | Floats] = (np.nan, np.nan)
    """/proc/meminfo's SReclaimable and SUnreclaim."""
    kernel: str | None = "6.1"
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reclaimable: Mapping[str, bool | None] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


class ArraySource:
    """server.buckets.Source over Nodes; several Nodes of one name are its boots."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = list(nodes)

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        for name in sorted({node.name for node in self.nodes}):
            boots = [node for node in self.nodes if node.name == name]
            if group is not None and boots[0].group != group:
                continue
            blocks, layouts = [], {}
            for number, boot in enumerate(boots):
                for part, (block, rows) in enumerate(_blocks(boot, start, end)):
                    key = f"{number}-{part}"
                    blocks.append(replace(block, layout=key))
                    layouts[key] = rows
            series = assemble_boots(blocks, layouts, width, caches=caches)
            if series:
                yield NodeSeries(name, boots[-1].group, boots[-1].labels, boots[-1].kernel, "x86_64", 4, series)


def _blocks(node: Node, start: float, end: float) -> Iterable[tuple[Block, list[CacheRow]]]:
    """One block for every set of caches listed: NaN bytes mean that the cache is not listed then."""
    names = list(node.caches)
    inside = (node.time >= start) & (node.time <= end)
    listed = np.array([np.isfinite(node.caches[name]) for name in names]).T
    for pattern in np.unique(listed[inside], axis=0):
        at = inside & (listed == pattern).all(axis=1)
        chosen = [name for name, here in zip(names, pattern, strict=True) if here]
        rows = [
            CacheRow(
                name,
                node.sizes.get(name, OBJ_SIZE),
                0,
                node.reclaimable.get(name, False),
                node.aliases.get(name, ()),
            )
            for name in chosen
        ]
        num = np.array([np.round(node.caches[n][at] / node.sizes.get(n, OBJ_SIZE)) for n in chosen]).T.astype(np.int64)
        active = np.array(
            [np.round(node.active.get(n, node.caches[n])[at] / node.sizes.get(n, OBJ_SIZE)) for n in chosen]
        ).T.astype(np.int64)
        time = node.time[at]
        uptime = time - node.time[0] + node.uptime if node.uptime is not None else np.full(len(time), np.nan)
        memory = np.full((len(time), 4), np.nan)
        if node.memory is not None:
            memory[:, 0] = node.memory
            for column, amount in enumerate((node.available, *node.slab), 1):
                memory[:, column] = np.broadcast_to(amount, node.time.shape)[at]
        yield (
            raw_block(node.boot, "", time, uptime, memory, num.reshape(len(time), -1), active.reshape(len(time), -1)),
            rows,
        )


def ramp(count: int) -> Floats:
    """0, 1, 2, ..."""
    return np.arange(count, dtype=np.float64)


def level(time: Floats, amount: float) -> Floats:
    """A constant cache, in bytes."""
    return np.full(len(time), amount)


def churn(rng: np.random.Generator, time: Floats, amount: float, spread: float) -> Floats:
    """White noise about a level."""
    return np.maximum(amount * (1 + spread * rng.standard_normal(len(time))), 0.0)


def daily(time: Floats, amount: float, depth: float, phase_hours: float = 0.0) -> Floats:
    """A day's rhythm."""
    return amount * (1 + depth * np.sin(2 * np.pi * (time - START - phase_hours * 3600) / 86400))


def rising(time: Floats, per_hour: float, since: float = -np.inf, until: float = np.inf) -> Floats:
    """Bytes lost by then at so many an hour."""
    begin = max(since, float(time[0]))
    return np.clip(np.minimum(time, until) - begin, 0.0, None) / 3600 * per_hour


def fleet(nodes: int, seed: int = 1, *, hours: float = 24, interval: float = 300.0, caches: int = 30) -> list[Node]:
    """So many like nodes: a third of the caches constant, a third churning, a third with a day's rhythm."""
    time = START + np.arange(0, hours * 3600 + 1, interval)
    made = []
    for number in range(nodes):
        rng = np.random.default_rng([seed, number])
        series = {}
        for index in range(caches):
            amount = (index % 7 + 1) * MIB
            kind = index % 3
            if kind == 0:
                series[f"constant-{index}"] = level(time, amount)
            elif kind == 1:
                series[f"churn-{index}"] = churn(rng, time, amount, 0.05)
            else:
                load = daily(time, amount, 0.3, phase_hours=float(rng.normal(0, 1)))
                series[f"load-{index}"] = load * (1 + 0.02 * rng.standard_normal(len(time)))
        made.append(Node(f"n{number + 1}", time, series))
    return made
