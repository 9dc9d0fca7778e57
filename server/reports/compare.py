"""One cache on every node side by side: series, growth rates, the peers' median and spread, who stands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, WithJsonSchema

from common.times import format_time
from server.analysis.compare import Comparison
from server.reports.fields import Window, WireReport, whole

__all__ = ["CompareReport", "lay_out_compare"]


@dataclass(slots=True)
class ComparePoint:
    """One point of a series."""

    time: Annotated[
        str,
        WithJsonSchema({"type": "string", "format": "date-time"}),
        Field(description="When, RFC 3339 in UTC by the node's clock."),
    ]
    bytes: Annotated[int, Field(description="Allocated bytes of the cache.")]


class CompareNode(WireReport):
    """The cache on one node."""

    node: str = Field(description="Name of the node.")
    group: str = Field(description="Name of its group.")
    members: list[str] = Field(description="The kernel's names of the cache on this node.")
    bytes_per_hour: int | None = Field(
        description="Growth rate in allocated bytes an hour in its newest boot; null when too little is known."
    )
    score: float | None = Field(
        description="How far the growth stands out, in robust standard deviations; null without peers."
    )
    stands_out: bool = Field(description="Whether the report of this window has a finding for it, true or false.")
    series: list[ComparePoint] = Field(description="Allocated bytes over time.")


class ComparePeers(WireReport):
    """What is usual among the nodes."""

    bytes_per_hour: int | None = Field(
        description="Median growth rate in allocated bytes an hour; null when fewer than two nodes list it."
    )
    spread_bytes_per_hour: int | None = Field(
        description="Robust standard deviation of these rates in bytes an hour; null like the median."
    )


class CompareReport(WireReport):
    """One cache across the nodes, the outstanding first."""

    cache: str = Field(description="Name of the cache, with kmalloc's random copies as one.")
    members: list[str] = Field(description="The kernel's names of this cache.")
    window: Window = Field(description="The span of time it looks at.")
    peers: ComparePeers = Field(description="What growth is usual among the nodes.")
    truncated: int = Field(description="Nodes past the limit, a count.")
    nodes: list[CompareNode] = Field(description="The nodes that list it, the outstanding first.")


def lay_out_compare(found: Comparison, *, limit: int) -> CompareReport:
    """At most `limit` nodes, the outstanding first."""
    texts: dict[float, str] = {}  # nodes that are asked at the same time share it
    return CompareReport(
        cache=found.cache,
        members=list(found.members),
        window=Window(start=found.start, end=found.end),
        peers=ComparePeers(bytes_per_hour=_whole(found.median), spread_bytes_per_hour=_whole(found.spread)),
        truncated=max(0, len(found.nodes) - limit),
        nodes=[
            CompareNode(
                node=node.node,
                group=node.group,
                members=list(node.members),
                bytes_per_hour=_whole(node.bytes_per_hour),
                score=None if node.score is None else round(node.score, 2),
                stands_out=node.stands_out,
                series=[
                    ComparePoint(texts.get(at) or texts.setdefault(at, format_time(at)), whole(held))
                    for at, held in node.series
                ],
            )
            for node in found.nodes[:limit]
        ],
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else whole(number)
