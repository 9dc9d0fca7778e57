"""The outlier report: the analysis of one window, as `GET /outliers` and `slabhound analyze` give it."""

from __future__ import annotations

from pydantic import Field

from server.analysis.types import Finding, Judgement, Shape
from server.reports.fields import Instant, Window, WireReport, whole

__all__ = ["Report", "ReportFinding", "lay_out"]


class ReportGroup(WireReport):
    """How much was judged in one group."""

    group: str = Field(description="Name of the group.")
    nodes: int = Field(description="Nodes judged, a count.")
    series: int = Field(description="Series (one cache of one node) judged, a count.")


class ReportLockstep(WireReport):
    """Another cache of the same node that grows in lockstep: one leak path."""

    cache: str = Field(description="Name of the cache.")
    bytes_per_hour: int = Field(description="Its growth rate in allocated bytes an hour.")


class ReportFinding(WireReport):
    """One leak, or one sign of it."""

    rank: int = Field(description="Place in the order in which to look, from 1.")
    kind: str = Field(
        description="`outlier`: one node unlike its peers; `fleet`: most nodes of the group.",
        json_schema_extra={"enum": ["outlier", "fleet"]},
    )
    node: str | None = Field(description="Name of the node; null for a fleet's growth.")
    group: str = Field(description="Name of the group.")
    cache: str = Field(description="Name of the cache, with kmalloc's random copies as one.")
    members: list[str] = Field(description="The kernel's names of this cache.")
    also: list[ReportLockstep] = Field(description="Caches of that node that grow in lockstep with this one.")
    growth_bytes: int = Field(
        description="Allocated bytes gained from the later of `since` and the window's start to its end."
    )
    bytes_per_hour: int = Field(description="Growth rate in allocated bytes an hour (fleet: the median node's).")
    objects_per_hour: float = Field(description="Growth rate in objects an hour.")
    peer_bytes_per_hour: int | None = Field(
        description="The peers' growth rate in allocated bytes an hour; null when no peer lists the cache."
    )
    score: float = Field(description="How far the growth stands out, in robust standard deviations.")
    q_value: float = Field(description="Expected share of false findings among those at least as strong, 0 to 1.")
    shape: Shape = Field(description="How it grows, a word.")
    since: Instant = Field(description="When the growth began, RFC 3339 in UTC.")
    since_open: bool = Field(description="Whether the growth is older than the data, true or false.")
    exhausts_at: Instant | None = Field(
        description="When available memory runs out at this pace, RFC 3339 in UTC; null past a year or when unknown."
    )
    reclaimable: bool | None = Field(description="Whether the kernel can shrink the cache; null when unknown.")
    aliases: list[str] = Field(description="Names of other caches that the kernel merged into this one.")
    summary: str = Field(description="One plain sentence.")
    evidence: dict[str, float | str | None] = Field(description="Why it stands; the keys are explained in the docs.")


class ReportNote(WireReport):
    """What was left out, or limits the report."""

    node: str | None = Field(description="Name of the node; null when the note concerns the whole.")
    note: str = Field(description="One plain sentence.")


class Report(WireReport):
    """The cross-node outlier report of one window."""

    generated_at: Instant = Field(description="When the report was made, RFC 3339 in UTC.")
    window: Window = Field(description="The span of time it looks at.")
    truncated: int = Field(description="Findings past the limit, a count.")
    groups: list[ReportGroup] = Field(description="How much was judged in each group.")
    findings: list[ReportFinding] = Field(description="What to be woken for, in the order in which to look.")
    watch: list[ReportFinding] = Field(description="Weaker signs, in the same form.")
    notes: list[ReportNote] = Field(description="What was left out, or limits the report.")


def lay_out(judgement: Judgement, *, limit: int, generated_at: float) -> Report:
    """A judgement in the report's form. `limit` bounds findings and watch alike; `generated_at`: epoch seconds."""
    notes = [ReportNote(node=note.node, note=note.note) for note in judgement.notes]
    if (more := len(judgement.watch) - limit) > 0:
        notes.append(ReportNote(node=None, note=f"{more} weaker signs past the limit of {limit} are not shown"))
    return Report(
        generated_at=generated_at,
        window=Window(start=judgement.start, end=judgement.end),
        truncated=max(0, len(judgement.findings) - limit),
        groups=[ReportGroup(group=g.group, nodes=g.nodes, series=g.series) for g in judgement.groups],
        findings=[_finding(rank, finding) for rank, finding in enumerate(judgement.findings[:limit], 1)],
        watch=[_finding(rank, finding) for rank, finding in enumerate(judgement.watch[:limit], 1)],
        notes=notes,
    )


def _finding(rank: int, found: Finding) -> ReportFinding:
    return ReportFinding(
        rank=rank,
        kind=found.kind,
        node=found.node,
        group=found.group,
        cache=found.cache,
        members=list(found.members),
        also=[ReportLockstep(cache=a.cache, bytes_per_hour=whole(a.bytes_per_hour)) for a in found.also],
        growth_bytes=whole(found.growth_bytes),
        bytes_per_hour=whole(found.bytes_per_hour),
        objects_per_hour=round(found.objects_per_hour, 1),
        peer_bytes_per_hour=None if found.peer_bytes_per_hour is None else whole(found.peer_bytes_per_hour),
        score=round(found.score, 2),
        q_value=float(f"{found.q_value:.3g}"),
        shape=found.shape,
        since=found.since,
        since_open=found.since_open,
        exhausts_at=found.exhausts_at,
        reclaimable=found.reclaimable,
        aliases=list(found.aliases),
        summary=found.summary,
        evidence=dict(found.evidence),
    )
