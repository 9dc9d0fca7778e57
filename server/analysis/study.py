"""One judgement with what else was seen on the way: all that the report, /compare and /caches share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from server.analysis.identity import canonical_names, fold
from server.analysis.judge import judge
from server.analysis.steady import Alone
from server.analysis.types import AnalysisSettings, Judgement
from server.buckets import CacheRow, NodeSeries, Source

__all__ = ["Study", "study"]

Boots = tuple[tuple[CacheRow, ...], ...]
"""The rows that each boot of a node lists."""
Listing = dict[str, dict[tuple[int, ...], tuple[Boots, list[str]]]]
"""By group, the nodes that list the same rows."""


@dataclass(frozen=True, slots=True)
class Study:
    """The judgement of a window and which nodes list which rows in it."""

    judgement: Judgement
    listing: Listing

    @property
    def nodes(self) -> int:
        """How many nodes have snapshots in the window."""
        return sum(len(nodes) for kinds in self.listing.values() for _, nodes in kinds.values())

    def spellings(self, cache: str) -> set[str]:
        """The kernel's names of all rows that hold objects of that (folded) cache on some node.

        That is the cache itself, else the one that it was merged into.
        """
        names: set[str] = set()
        for kinds in self.listing.values():
            canonical = canonical_names({node: boots for boots, nodes in kinds.values() for node in nodes})
            for boots, nodes in kinds.values():
                for rows in boots:
                    names |= _names(rows, canonical[nodes[0]], cache)
        return names


def study(
    source: Source,
    *,
    start: float,
    end: float,
    group: str | None,
    settings: AnalysisSettings,
    alone: Alone | None = None,
) -> Study:
    """Judges a window (see server.analysis.judge.judge)."""
    witness = _Witness(source)
    judgement = judge(witness, start=start, end=end, group=group, settings=settings, alone=alone)
    return Study(judgement, witness.listing)


class _Witness:
    """A source that notes which rows it gave; the first reading is of the whole window."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._first = True
        self.listing: Listing = {}

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        """See server.buckets.Source."""
        series = self._source.window(start, end, width, group=group, caches=caches)
        first, self._first = self._first, False
        return self._noting(series) if first else series

    def _noting(self, series: Iterable[NodeSeries]) -> Iterator[NodeSeries]:
        for node in series:
            boots = tuple(boot.rows for boot in node.boots)
            kinds = self.listing.setdefault(node.group, {})
            kinds.setdefault(tuple(map(id, boots)), (boots, []))[1].append(node.node)
            yield node


def _names(rows: Iterable[CacheRow], canonical: Mapping[str, str], wanted: str) -> set[str]:
    caches: dict[str, list[CacheRow]] = {}
    for row in rows:
        caches.setdefault(canonical[row.name], []).append(row)
    if wanted in caches:
        return {row.name for row in caches[wanted]}
    for name in sorted(caches):
        members = {row.name for row in caches[name]}
        aliases = {alias for row in caches[name] for alias in row.aliases} - members
        if wanted in map(fold, aliases):
            return members
    return set()
