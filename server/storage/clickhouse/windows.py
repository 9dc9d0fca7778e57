"""Reading windows: whole buckets from the roll-ups, what start and end cut from the snapshots; numpy reduces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import StoreError
from server.buckets import ARRAYS, Block, CacheRow
from server.storage.clickhouse.append import names
from server.storage.clickhouse.catalog import load_layouts
from server.storage.clickhouse.client import Client
from server.storage.clickhouse.native import Answer
from server.storage.layouts import Layout
from server.storage.rollups import SPANS

__all__ = ["WindowReader", "fill"]

Key = tuple[str, str, str]
"""Node, boot, layout."""
Blocks = dict[Key, Block]
Kept = tuple[tuple[CacheRow, ...], NDArray[np.intp] | None]

_TABLES = {300: "rollup_300", 3600: "rollup_3600"}
_SNAPSHOTS = """SELECT node, boot, layout, groupArray(taken) AS time, groupArray(s.received) AS received,
groupArray(s.uptime) AS uptime, groupArrayArray(s.memory) AS memory, groupArrayArray(num_objs) AS num,
groupArrayArray(unused_objs) AS unused
FROM snapshots AS s WHERE node IN ({nodes}) AND taken BETWEEN {low} AND {high} AND s.received >= {forgotten}
GROUP BY node, boot, layout"""
_BUCKETS = """SELECT node, boot, layout, groupArray(time) AS time, groupArray(samples) AS samples,
groupArray(newest.1) AS uptime, groupArrayArray(newest.2) AS memory, groupArrayArray(num_low) AS num_min,
groupArrayArray(active_low) AS active_min
FROM (SELECT node, bucket, boot, layout, groupUniqArrayArray(taken) AS times, arrayMax(times) AS time,
  toInt64(length(times)) AS samples, argMaxMerge(last) AS newest, minForEachMerge(num_min) AS num_low,
  minForEachMerge(active_min) AS active_low
  FROM {table} WHERE node IN ({nodes}) AND bucket >= {first} AND bucket < {end} AND received >= {forgotten}
  GROUP BY node, bucket, boot, layout)
GROUP BY node, boot, layout"""


@dataclass(slots=True)
class WindowReader:
    """The blocks of some nodes at a time within [low, high] (milliseconds, both included)."""

    client: Client
    forgotten: Mapping[int, int]
    """Up to which receipt (milliseconds) each tier is forgotten; 0 is the snapshots."""
    layouts: dict[str, Layout]
    """Those met so far; read where they are missing."""
    caches: Collection[str] | None = None

    def blocks(self, nodes: Collection[str], low: int, high: int, width: int) -> dict[str, list[Block]]:
        """By node; they share no snapshot, and none is coarser than `width` seconds where avoidable."""
        inside = names(nodes)
        tier = max((w for w in SPANS if w <= width), default=None)
        parts: list[Blocks] = []
        first, end = _whole(low, high, tier) if tier else (0, 0)
        if tier is None or first >= end:
            parts.append(self._snapshots(inside, low, high))
        else:
            parts.append(self._buckets(inside, first, end, tier))
            parts += [self._snapshots(inside, *cut) for cut in ((low, first - 1), (end, high))]
        found = defaultdict(list)
        for part in parts:
            for (node, _, _), block in part.items():
                if len(block.time):
                    found[node].append(block)
        return found

    def rows(self, layouts: Iterable[str]) -> dict[str, tuple[CacheRow, ...]]:
        """The rows kept of each layout, as server.assemble wants them."""
        return {key: self._kept(key)[0] for key in layouts}

    def _kept(self, key: str) -> Kept:
        rows = self.layouts[key].rows
        if self.caches is None:
            return rows, None
        wanted = [i for i, row in enumerate(rows) if row.name in self.caches]
        return tuple(rows[i] for i in wanted), np.array(wanted, dtype=np.intp)

    def _snapshots(self, nodes: str, low: int, high: int) -> Blocks:
        """Snapshots; where they are forgotten, what the roll-ups still know of whole buckets."""
        if low > high:
            return {}
        query = _SNAPSHOTS.format(nodes=nodes, low=low, high=high, forgotten=self.forgotten[0])
        found = self._read(self.client.ask(query), raw=True)
        if low < self.forgotten[0]:
            tier = min(SPANS)
            found = fill(found, self._buckets(nodes, *_whole(low, high, tier), tier), tier)
        return found

    def _buckets(self, nodes: str, first: int, end: int, tier: int) -> Blocks:
        """Buckets of `tier` seconds within [first, end), both on its grid; where forgotten, of the next tier."""
        if first >= end:
            return {}
        width = tier * 1000
        query = _BUCKETS.format(
            nodes=nodes, table=_TABLES[tier], first=first // width, end=end // width, forgotten=self.forgotten[tier]
        )
        found = self._read(self.client.ask(query), raw=False)
        coarser = [w for w in SPANS if w > tier]
        if coarser and first < self.forgotten[tier]:
            found = fill(found, self._buckets(nodes, *_whole(first, end - 1, coarser[0]), coarser[0]), coarser[0])
        return found

    def _read(self, answer: Answer, *, raw: bool) -> Blocks:
        if not answer:
            return {}
        missing = set(answer["layout"]) - self.layouts.keys()
        self.layouts.update(load_layouts(self.client, missing, 0))
        if lost := missing - self.layouts.keys():
            raise StoreError(f"store {self.client.target}: layout {min(lost)} is missing: restore the table layouts")
        found = {}
        for place, key in enumerate(zip(answer["node"], answer["boot"], answer["layout"], strict=True)):
            row = {name: column[place] for name, column in answer.items()}
            found[key] = self._block(key, row, raw=raw)
        return found

    def _block(self, key: Key, row: Answer, *, raw: bool) -> Block:
        times, columns = len(row["time"]), self._kept(key[2])[1]
        order = np.lexsort((row["received"], row["time"])) if raw else np.argsort(row["time"], kind="stable")
        if raw:  # one that came twice: the first stays
            stamps = row["time"][order]
            order = order[np.r_[True, stamps[1:] != stamps[:-1]]]

        def matrix(name: str) -> NDArray[np.int64]:
            whole = row[name].reshape(times, -1)[order] if len(row[name]) else np.zeros((len(order), 0), dtype=np.int64)
            return whole if columns is None or not whole.shape[1] else whole[:, columns]

        memory = row["memory"].reshape(times, 4)[order]
        num = matrix("num" if raw else "num_min")
        return Block(
            key[1],
            key[2],
            row["time"][order] / 1000.0,
            row["uptime"][order],
            np.where(memory < 0, np.nan, memory),
            np.ones(len(order), dtype=np.int64) if raw else row["samples"][order],
            num,
            num - matrix("unused") if raw else matrix("active_min"),
        )


def _whole(low: int, high: int, tier: int) -> tuple[int, int]:
    """The whole buckets of `tier` seconds within [low, high]: from and up to, not including (milliseconds)."""
    width = tier * 1000
    return -(-low // width) * width, (high + 1) // width * width


def fill(fine: Blocks, coarse: Blocks, width: int) -> Blocks:
    """The fine buckets, but the coarse one (`width` seconds) wherever that knows of more snapshots."""
    found = dict(fine)
    for key, block in coarse.items():
        have = fine.get(key)
        if have is None:
            found[key] = block
            continue
        theirs, ours = np.floor_divide(block.time, width), np.floor_divide(have.time, width)
        grid, place = np.unique(np.r_[theirs, ours], return_inverse=True)
        coarse_known = np.bincount(place[: len(theirs)], block.samples, len(grid))
        fine_known = np.bincount(place[len(theirs) :], have.samples, len(grid))
        better = coarse_known > fine_known
        found[key] = _join(_cut(have, ~better[place[len(theirs) :]]), _cut(block, better[place[: len(theirs)]]))
    return found


def _cut(block: Block, wanted: NDArray[np.bool_]) -> Block:
    return replace(block, **{name: getattr(block, name)[wanted] for name in ARRAYS})


def _join(a: Block, b: Block) -> Block:
    order = np.argsort(np.r_[a.time, b.time], kind="stable")
    arrays: dict[str, Any] = {n: np.concatenate([getattr(a, n), getattr(b, n)])[order] for n in ARRAYS}
    return replace(a, **arrays)
