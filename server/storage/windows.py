"""Reading windows: what is kept of the windows before from memory, the rest from the file, many nodes at once."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.storage.fetch import Fetch, Found
from server.storage.instants import CLOSING, closed_before
from server.storage.kept import Kept, Span, pack, unpack
from server.storage.pieces import ceiling, cut, floor, joined, wanted_rows, whole
from server.storage.rollups import SPANS

__all__ = ["WindowReader"]

_FEW = 3
"""Blocks of one node; more are brought together before they are kept."""


@dataclass(slots=True)
class WindowReader:
    """The blocks of many nodes within [low, high] (milliseconds, both included)."""

    fetch: Fetch
    kept: Kept
    ages: Mapping[int, tuple[int, int]]
    """Of each node its newest snapshot (milliseconds) and how often it was disturbed, before this reading began."""
    _columns: dict[str, Any] = field(default_factory=dict)
    """Which rows of a layout met in what is kept are wanted, where not all are."""

    def blocks(self, nodes: Collection[int], low: int, high: int, width: int) -> Found:
        """By node; its blocks share no snapshot, and none is coarser than `width` seconds where avoidable."""
        if width < min(SPANS):
            return self.fetch.blocks(nodes, low, high, width)
        tier = max(w for w in SPANS if w <= width)
        first, end = whole(low, high, tier)
        alike: dict[tuple[int, int], list[int]] = {}
        for node in nodes:
            closed = closed_before(self.ages[node][0])
            until = min(end, floor(closed, tier * 1000))
            fine = max(until, min(floor(high + 1, CLOSING), closed))
            alike.setdefault((until, fine) if first < until else (low, low), []).append(node)
        found: Found = {node: [] for node in nodes}
        for (until, fine), own in alike.items():
            if until > low:
                _add(found, self._head(own, low, first, tier))
                _add(found, self._closed(own, first, until, tier))
            if until < fine:
                _add(found, self._closed(own, until, fine, min(SPANS)))
            _add(found, self.fetch.blocks(own, fine, high, width))
        return found

    def _head(self, nodes: Collection[int], low: int, first: int, tier: int) -> Found:
        """What lies from `low` up to the first whole bucket at `first`.

        Single snapshots are kept only up to the next five minutes, as long as the next windows begin there.
        """
        if low >= first:
            return {}
        # Of the others it may come from roll-ups, and change with the next ones.
        known = {node for node in nodes if low >= self.fetch.forgotten.get((node, 0), 0)}
        spans, fresh = dict[int, Span](), list[int]()
        for node in nodes:
            span = self.kept.find((node, tier, "head"), self.ages[node][1], low) if node in known else None
            if span is not None and span.until == first and span.first <= low <= ceiling(span.first, CLOSING):
                spans[node] = span
            else:
                fresh.append(node)
        found = self._taken(spans, low, first)
        if fresh:
            edge = min(ceiling(low, CLOSING), first)
            read = self.fetch.snapshots(fresh, low, first - 1, min(SPANS), edge)
            found |= read
            if self.fetch.caches is None:
                keys: dict[Hashable, int] = {(node, tier, "head"): node for node in fresh if node in known}
                self._keep(keys, low, first, read, low)
        return found

    def _closed(self, nodes: Collection[int], first: int, end: int, tier: int) -> Found:
        """The buckets of `tier` seconds within [first, end), all of them closed.

        Where some of a node are forgotten, and coarser ones may be known, it depends on the window's bounds which of
        these lie within it: there nothing is kept.
        """
        alike: dict[int, list[int]] = {}
        for node in nodes:
            forgotten = self.fetch.forgotten.get((node, tier), 0) if tier < max(SPANS) else 0
            alike.setdefault(min(max(first, forgotten), end), []).append(node)
        found: Found = {node: [] for node in nodes}
        for known, own in alike.items():
            if first < known:
                _add(found, self.fetch.blocks(own, first, known - 1, tier))
            if known < end:
                _add(found, self._known(own, known, end, tier))
        return found

    def _known(self, nodes: Collection[int], first: int, end: int, tier: int) -> Found:
        """The same where none are forgotten."""
        spans, fresh = dict[int, Span](), list[int]()
        longer: dict[tuple[int, int], dict[int, Span]] = {}
        for node in nodes:
            span = self.kept.find((node, tier), self.ages[node][1], first)
            if span is not None and span.first <= first and end <= span.until:
                spans[node] = span
            elif self.fetch.caches is not None or span is None or first > span.until or end < span.first:
                fresh.append(node)
            else:
                since = max(first, span.first) if self.kept.outlived((node, tier)) else span.first
                longer.setdefault((since, span.until), {})[node] = span
        found = self._taken(spans, first, end)
        if fresh:
            read = self.fetch.blocks(fresh, first, end - 1, tier)
            found |= read
            if self.fetch.caches is None:
                self._keep({(node, tier): node for node in fresh}, first, end, read, first)
        for (since, until), own in longer.items():
            read = self._taken(own, since, until)
            if first < since:
                _add(read, self.fetch.blocks(own, first, since - 1, tier))
            if end > until:
                _add(read, self.fetch.blocks(own, until, end - 1, tier))
            read = {node: joined(blocks, tier) if len(blocks) > _FEW else blocks for node, blocks in read.items()}
            self._keep({(node, tier): node for node in own}, min(first, since), max(end, until), read, first)
            found |= {node: [cut(block, first, end) for block in blocks] for node, blocks in read.items()}
        return found

    def _keep(self, keys: Mapping[Hashable, int], first: int, until: int, read: Found, needed: int) -> None:
        """Keeps what was read of these nodes within [first, until), but of those of which something is damaged."""
        keys = {key: node for key, node in keys.items() if node not in self.fetch.lost}
        blocks = {node: [block for block in read[node] if len(block.time)] for node in keys.values()}
        parts = iter(pack([block for node in keys.values() for block in blocks[node]]))
        spans = dict[Hashable, Span]()
        for key, node in keys.items():
            own = tuple(next(parts) for _ in blocks[node])
            rows = {block.layout: self.fetch.rows[block.layout] for block in blocks[node]}
            spans[key] = Span(self.ages[node][1], first, until, own, rows)
        self.kept.put(spans, needed)

    def _taken(self, spans: Mapping[int, Span], first: int, until: int) -> Found:
        """What the nodes' spans hold from `first` up to `until`; of the wanted rows."""
        found: Found = {node: [] for node in spans}
        for span in spans.values():
            for layout, rows in span.rows.items():
                if self.fetch.caches is None:
                    self.fetch.rows.setdefault(layout, rows)
                elif layout not in self._columns:
                    self._columns[layout], self.fetch.rows[layout] = wanted_rows(rows, self.fetch.caches)
        parts = [(node, part) for node, span in spans.items() for part in span.parts]
        for node, block in unpack(parts, first, until, self._columns):
            found[node].append(block)
        return found


def _add(found: Found, more: Found) -> None:
    for node, blocks in more.items():
        found[node] += blocks
