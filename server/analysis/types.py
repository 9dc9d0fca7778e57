"""What the analysis takes and gives: settings, findings, notes. Plain data; server.reports gives it its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["AnalysisSettings", "Finding", "GroupSummary", "Judgement", "Lockstep", "Note", "Shape"]

Shape = Literal["steady", "stairs", "accelerating", "load", "stopped"]


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """What an operator may set. The defaults stand in docs/cli.md."""

    material_fraction: float = 0.0025
    """Of a node's memory in 30 days: slower growth is never a finding."""
    material_bytes_per_hour: float = 102_400.0
    """The same bound where the node's memory is unknown."""
    q_limit: float = 0.01
    """False discovery rate up to which a finding is worth waking somebody."""


@dataclass(frozen=True, slots=True)
class Lockstep:
    """Another cache of the same node that grows in lockstep with the finding's."""

    cache: str
    bytes_per_hour: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One leak, as the contract's report has it. Rates are allocated bytes; times are epoch seconds."""

    kind: Literal["outlier", "fleet"]
    node: str | None
    group: str
    cache: str
    members: tuple[str, ...]
    also: tuple[Lockstep, ...]
    growth_bytes: float
    bytes_per_hour: float
    objects_per_hour: float
    peer_bytes_per_hour: float | None
    score: float
    q_value: float
    shape: Shape
    since: float
    since_open: bool
    exhausts_at: float | None
    reclaimable: bool | None
    aliases: tuple[str, ...]
    summary: str
    evidence: Mapping[str, float | str | None] = field(default_factory=dict)
    """Why the finding stands; the keys are explained in docs/analysis.md."""

    @property
    def caches(self) -> set[str]:
        """Its cache and those in lockstep with it."""
        return {self.cache, *(one.cache for one in self.also)}


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """How much was judged in one group."""

    group: str
    nodes: int
    series: int


@dataclass(frozen=True, slots=True)
class Note:
    """What was left out or limits the report; `node` is None when it concerns the whole."""

    node: str | None
    note: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The analysis of one window: findings and watch in the order in which to look."""

    start: float
    end: float
    groups: tuple[GroupSummary, ...] = ()
    findings: tuple[Finding, ...] = ()
    watch: tuple[Finding, ...] = ()
    notes: tuple[Note, ...] = ()
    begins: Mapping[str, float] = field(default_factory=dict)
    """Of groups whose data begin late in the window, from when on they were judged, epoch seconds."""
