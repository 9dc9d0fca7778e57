"""Rows of a report as tests make them up."""

from __future__ import annotations

from collections.abc import Mapping

from server.analysis.types import Finding, Lockstep

__all__ = ["row"]


def row(
    cache: str,
    *also: str,
    failed: str | None = None,
    node: str | None = "n1",
    score: float = 7.0,
    lazy: bool = False,
    evidence: Mapping[str, float] = {},
) -> Finding:
    return Finding(
        kind="outlier",
        node=node,
        group="g",
        cache=cache,
        members=(cache,),
        also=tuple(Lockstep(name, 1.0) for name in also),
        growth_bytes=1.0,
        bytes_per_hour=1.0,
        objects_per_hour=1.0,
        peer_bytes_per_hour=None,
        score=score,
        q_value=0.01,
        shape="steady",
        since=0.0,
        since_open=False,
        exhausts_at=None,
        reclaimable=lazy,
        aliases=(),
        summary="",
        evidence={"not_passed": failed, **evidence},
    )
