"""The judgement of one window: which nodes leak which caches, from the series of all nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from common.times import format_time
from server.analysis.choice import choose
from server.analysis.cohort import split_cohorts
from server.analysis.fdr import chance, q_values_apart
from server.analysis.findings import finding, gather, goes_on
from server.analysis.fleet import fleet_findings
from server.analysis.identity import named_before
from server.analysis.lately import LAST_DAY, passes_its_past, with_last_day
from server.analysis.memory import memory_notes
from server.analysis.notes import notes_for
from server.analysis.opened import opened
from server.analysis.panel import make_panel
from server.analysis.past import Past
from server.analysis.routine import without_routine
from server.analysis.scan import Scan, scan
from server.analysis.sentence import span_text
from server.analysis.steady import Alone, verdict
from server.analysis.tracks import Track, cells, make_tracks, names_of, settled
from server.analysis.types import AnalysisSettings, Finding, GroupSummary, Judgement, Note
from server.analysis.windows import Pass, plan
from server.buckets import NodeSeries, Source

__all__ = ["judge", "judge_alone"]


@dataclass(slots=True)
class _Group:
    name: str
    nodes: int = 0
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Which cache every name is, by node: over the whole window first, as a part may tell less."""
    tracks: list[Track] = field(default_factory=list)
    coarse: list[Track] = field(default_factory=list)
    uncut: list[Track] = field(default_factory=list)
    """The coarse cells, warm-up and all."""
    past: Past = field(default_factory=lambda: Past(()))
    scans: list[Scan] = field(default_factory=list)


def judge(
    source: Source,
    *,
    start: float,
    end: float,
    group: str | None,
    settings: AnalysisSettings,
    alone: Alone | None = None,
) -> Judgement:
    """Judges every cache of every node (of one group) from `start` to `end`, epoch seconds.

    A finding that slips just under a limit is kept, and one that was none a moment ago is only watched, unless it is
    strong (see server.analysis.steady); data from before `start` may tell so. What the last day alone has a finding for
    is one in a longer window, too (server.analysis.lately). `alone` gives judge_alone's answers about this source from
    elsewhere, if they are kept there.
    """

    def fresh(start: float, end: float, group: str) -> Judgement:
        return judge_alone(source, start=start, end=end, group=group, settings=settings, noted=False)

    judged = judge_alone(source, start=start, end=end, group=group, settings=settings)
    empty = {one.group for one in judged.groups if not one.series}
    begins = sorted((name, first) for name, first in judged.begins.items() if name not in empty)
    begun = [_begin_note(name, first, start, end) for name, first in begins]
    judged = _confirmed(replace(judged, notes=(*judged.notes, *begun)), source, alone or fresh)
    if end - start <= LAST_DAY:
        return judged
    day = judge_alone(source, start=end - LAST_DAY, end=end, group=group, settings=settings, noted=False)
    day = _confirmed(day, source, alone or fresh)
    judged = with_last_day(judged, day, lambda row: passes_its_past(source, row, start, end))
    return replace(judged, findings=_ranked(judged.findings))


def _confirmed(judged: Judgement, source: Source, alone: Alone) -> Judgement:
    """The judgement with what is held as a finding, and without what is not one yet (see steady.verdict) or routine."""
    said = verdict(judged, alone)
    findings = [row for number, row in enumerate(judged.findings) if number not in said.new]
    watch = [row for number, row in enumerate(judged.watch) if number not in said.held]
    findings += [_with(judged.watch[number], held_from=format_time(at)) for number, at in said.held.items()]
    watch += [_with(judged.findings[number], not_passed="confirmed") for number in said.new]
    judged = without_routine(replace(judged, findings=tuple(findings), watch=tuple(watch)), source)
    return replace(judged, findings=_ranked(judged.findings), watch=_ranked(judged.watch))


def _with(row: Finding, **evidence: str) -> Finding:
    return replace(row, evidence={**row.evidence, **evidence})


def judge_alone(
    source: Source, *, start: float, end: float, group: str | None, settings: AnalysisSettings, noted: bool = True
) -> Judgement:
    """Judges one window by what lies in it; not `noted`: without notes on single nodes and their memory.

    Where a group's data fill less than half of the window (an aggregator set up an hour ago, asked for a day), the part
    that has data is judged as a window of its own, as `begins` says. Deterministic: the same series give the same
    judgement, in any order of nodes or caches.
    """
    groups: dict[str, _Group] = {}
    young: dict[str, float] = {}
    readings, whole = plan(start, end), opened(source, start, end, group=group)
    for number, reading in enumerate(readings):
        by_group: dict[str, list[NodeSeries]] = {}
        coming = source.window(reading.start, end, reading.width, group=group) if number else whole
        for node in coming:
            by_group.setdefault(node.group, []).append(node)
        if number == 0:
            begins = {name: _first(nodes, start, reading.width) for name, nodes in by_group.items()}
            young = {name: first for name, first in begins.items() if first > (start + end) / 2}
        for name in sorted(set(by_group) - set(young)):
            _look(groups.setdefault(name, _Group(name)), by_group.pop(name), reading, readings[0].start, settings)
    findings: list[Finding] = []
    watch: list[Finding] = []
    notes: list[Note] = []
    summaries: list[GroupSummary] = []
    for name, first in sorted(young.items()):
        shorter = judge_alone(source, start=first, end=end, group=name, settings=settings, noted=noted)
        summaries += shorter.groups
        findings += shorter.findings
        watch += shorter.watch
        notes += shorter.notes
    if not groups and not young:
        notes.append(Note(None, "no snapshots in this window" + (f" from group {group}" if group else "")))
    for name in sorted(groups):
        one = groups[name]
        series = sum(one.scans[0].judged.values()) if one.scans else 0
        summaries.append(GroupSummary(name, one.nodes, series))
        strong, weak, parted = _conclude(one, end, settings)
        findings += strong
        watch += weak
        notes += parted
        if noted:
            notes += notes_for(one.name, one.tracks, one.scans[0].judged if one.scans else {}, end)
            notes += memory_notes(one.name, one.tracks, start, end, settings)
    summaries.sort(key=lambda one: one.group)
    return Judgement(start, end, tuple(summaries), _ranked(findings), _ranked(watch), tuple(notes), young)


def _look(group: _Group, nodes: list[NodeSeries], reading: Pass, start: float, settings: AnalysisSettings) -> None:
    """Scans the spans of one reading of a group's nodes, the whole window first; `nodes` is emptied to spare memory.

    `start`: of the first reading.
    """
    end = reading.end
    nodes.sort(key=lambda node: node.node)
    group.names = named_before(group.names, names_of(nodes))
    every = make_tracks(nodes, group.names)
    tracks = [settled(track) for track in every]
    width = reading.spans[0].width
    if not group.tracks:
        group.nodes, group.tracks = len(nodes), tracks
        group.uncut = [cells(track, start, end, width) for track in every]
        group.coarse = [
            own if track is whole else cells(track, start, end, width)
            for track, whole, own in zip(tracks, every, group.uncut, strict=True)
            if len(track.time)
        ]
        group.past = Past(group.coarse, width)
    nodes.clear()
    panel = make_panel(tracks, width, settings)
    group.scans += [scan(panel, span, group.past) for span in reading.spans]


def _first(nodes: Sequence[NodeSeries], start: float, width: int) -> float:
    """Where the data of these nodes begin: the start of the first bucket, no earlier than `start`."""
    times = [float(boot.time[0]) for node in nodes for boot in node.boots]
    return max(start, min(times, default=start) // width * width)


def _begin_note(group: str, first: float, start: float, end: float) -> Note:
    asked, there = span_text(end - start), span_text(end - first)
    return Note(None, f"group {group}: its data begin in the last {there} of the window; judged over that, not {asked}")


def _ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Soonest out of memory first, then by score."""
    return tuple(
        sorted(findings, key=lambda one: (one.exhausts_at or float("inf"), -one.score, one.node or "", one.cache))
    )


def _conclude(group: _Group, end: float, settings: AnalysisSettings) -> tuple[list[Finding], list[Finding], list[Note]]:
    """Findings, watch, and notes on caches that part the group."""
    signs = [sign for one in group.scans for sign in one.signs]
    layouts: dict[tuple[str, ...], set[str]] = {}
    for track in group.coarse:
        layouts.setdefault(track.names, set()).add(track.node)
    listing: dict[str, set[str]] = {}
    for names, nodes in layouts.items():
        for cache in names:
            listing.setdefault(cache, set()).update(nodes)
    parted, parts = split_cohorts(group.name, signs, listing, group.coarse, group.past, settings)
    better = {(sign.track.node, sign.cache) for sign in parted}
    signs = [sign for sign in signs if (sign.track.node, sign.cache) not in better] + parted
    faint = [(one, each.span) for each in group.scans for one in each.faint if (one.node, one.cache) not in better]
    # A hasty part needs a score that no chance reaches: it makes no other sign likelier, nor less likely.
    hasty = [*(sign.span.hasty for sign in signs), *(span.hasty for _, span in faint)]
    tests = sum(sum(one.judged.values()) for one in group.scans if not one.span.hasty)
    chances = [chance(sign.score, short=sign.short) for sign in signs]
    chances += [chance(one.score, short=one.short) for one, _ in faint]
    q = q_values_apart(chances, hasty, tests)[: len(signs)]
    fleet, filling, covered = fleet_findings(signs, listing, group.past, end, settings)
    single = [pair for pair in zip(signs, q, strict=True) if (pair[0].track.node, pair[0].cache) not in covered]
    leaks = gather(choose(single, settings.q_limit), group.coarse, settings)
    coarse = {(track.node, track.boot): track for track in group.uncut}
    strong_ones: list[Finding] = list(fleet)
    weak_ones: list[Finding] = list(filling)
    for leak in leaks:
        gone = not leak.sign.track.last and not goes_on(leak.sign, group.coarse)
        found = finding(leak, coarse, group.past, end)
        if gone:
            failed = ", ".join((*leak.sign.failed, "newest boot"))
            found = replace(found, evidence={**found.evidence, "not_passed": failed})
        (strong_ones if leak.strong and not gone else weak_ones).append(found)
    return strong_ones, weak_ones, parts
