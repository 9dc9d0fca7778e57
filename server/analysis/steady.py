"""Findings neither flash up nor flap: what each was at earlier instants of a fixed grid decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from server.analysis.routine import looks_back
from server.analysis.trend import is_straight
from server.analysis.types import Finding, Judgement
from server.analysis.windows import BRIEF, DAY, SOME_HOURS, opening

__all__ = ["Alone", "Verdict", "instants", "is_sure", "reach", "verdict"]

Alone = Callable[[float, float, str], Judgement]
"""The judgement of a window (start, end) of one group by itself, without this rule."""

MOST = 6
"""Earlier instants that are looked at; in hourly reports of leaking fleets no gap was longer than 4."""
PARTS = 24
"""The grid divides a window into so many parts."""
LEAST_STEP = 60
"""Seconds."""
SURE, SURE_RECLAIMABLE, SURE_STRAIGHT = 16.0, 32.0, 8.0
"""Score from which on an even rise needs no second instant: twice what a part of the window needs, and twice what a
cache needs that the kernel can shrink; of a straight one what a part needs (see trend.is_straight)."""

_WHOLE_DAY = 86400.0
"""Seconds; windows.DAY is from when on a span counts as one."""
EVEN, EVEN_RECLAIMABLE = 0.35, 0.3
"""Largest of the increments between the sixths of a rise that needs no second instant: beyond it may be a step. With no
more than the second, over a day and more, what the kernel can shrink is as sure as others: the files that a job reads
fill it in some of its sixths."""


def instants(start: float, end: float) -> tuple[float, ...]:
    """The instants before `end` whose judgement may decide, latest first, half a step back at least; epoch seconds.

    They lie on a grid in UTC (multiples of a step since the epoch), the same for all windows of that length: every hour
    for a day, every minute for 24 minutes and less.
    """
    step = max(LEAST_STEP, int((end - start) / PARTS) // LEAST_STEP * LEAST_STEP)
    last = math.floor(end / step - 0.5)
    return tuple(float((last - number) * step) for number in range(MOST))


def reach(start: float, end: float) -> float:
    """From when on data may decide what a report from `start` to `end` says."""
    earliest, before = min(instants(start, end)), looks_back(start, end)
    return min(opening(earliest - (end - start), earliest), opening(before, start))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What earlier instants say of a judgement's rows."""

    held: Mapping[int, float] = field(default_factory=dict)
    """Rows in `watch`, by index, that stay findings, and the last instant at which each was one by itself."""
    new: frozenset[int] = frozenset()
    """Rows in `findings`, by index, that were not findings for long enough yet."""


@dataclass(slots=True)
class _Row:
    """A row on its way back through the instants."""

    finding: bool
    number: int
    node: str | None
    names: set[str]
    strong: bool
    """Whether it was a finding by itself at the instant looked at last."""
    stood: float | None = None
    """The last instant at which it was."""


def verdict(judgement: Judgement, alone: Alone) -> Verdict:
    """A finding is one that was one by itself at two instants in a row, or with a score of SURE, and near ever since.

    Near is a row in `watch` that failed no gate: only its score or q-value is short of the limit. Windows as long as
    the judgement's, ending at those instants, are judged only while a row is undecided. So the answer depends on the
    data and the window alone, not on what was asked before.
    """
    groups: dict[str, list[_Row]] = {}
    if judgement.end - judgement.start < BRIEF:
        return Verdict()
    for number, row in enumerate(judgement.findings):
        if not _sure(row):
            groups.setdefault(row.group, []).append(_Row(True, number, row.node, row.caches, strong=True))
    for number, row in enumerate(judgement.watch):
        if _near(row):
            groups.setdefault(row.group, []).append(_Row(False, number, row.node, row.caches, strong=False))
    held: dict[int, float] = {}
    new = {row.number for rows in groups.values() for row in rows if row.finding}
    for group in sorted(groups):
        for decided in _decided(groups[group], _begin(judgement, group), judgement.end, group, alone):
            if decided.finding:
                new.discard(decided.number)
            elif decided.stood is not None:
                held[decided.number] = decided.stood
    return Verdict(held, frozenset(new))


def _begin(judgement: Judgement, group: str) -> float:
    """The start of the windows that are asked: of a day if data allow it, by whose grid what fills has time to bend."""
    begin = judgement.begins.get(group, judgement.start)
    if judgement.end - begin < SOME_HOURS:
        return begin
    return max(judgement.start, min(begin, judgement.end - _WHOLE_DAY))


def _decided(rows: list[_Row], start: float, end: float, group: str, alone: Alone) -> list[_Row]:
    """Those of one group's rows that are findings."""
    decided: list[_Row] = []
    for at in instants(start, end):
        before = alone(at - (end - start), at, group)
        sure, strong = _by_node(filter(_sure, before.findings)), _by_node(before.findings)
        near = _by_node(filter(_near, before.watch))
        undecided: list[_Row] = []
        for row in rows:
            same = [names for names in strong.get(row.node, ()) if names & row.names]
            if same and row.stood is None:
                row.stood = at
            if same and (row.strong or any(names & row.names for names in sure.get(row.node, ()))):
                decided.append(row)
                continue
            row.strong = bool(same)
            same = same or [names for names in near.get(row.node, ()) if names & row.names]
            if same:
                row.names = set().union(*same)
                undecided.append(row)
        rows = undecided
        if not rows:
            break
    return decided


def _sure(row: Finding) -> bool:
    """Whether a finding is one at once; a fleet's needs a high score anyway.

    What rose for some hours may be filling, whose bend shows in the next: nothing of that length is sure, and of what
    rose for one or two only what is known not to bend (see shape.slackens).
    """
    if row.node is None:
        return True
    length = float(row.evidence.get("window_seconds") or 0.0)
    bends = float(row.evidence.get("bend") or 0.0) > 1.0
    waits = SOME_HOURS <= length < DAY or (bends and BRIEF <= length < SOME_HOURS)
    return not waits and is_sure(row.score, row.evidence, reclaimable=row.reclaimable)


def is_sure(score: float, evidence: Mapping[str, float | str | None], *, reclaimable: bool | None) -> bool:
    """Whether a node's finding is one at once: a strong and even rise (see trend.Steps.largest), or a straight one."""
    keys = ("window_seconds", "growth", "own_noise", "slab", "largest_step")
    length, growth, error, slab, step = (float(evidence.get(key) or 0.0) for key in keys)
    if reclaimable:
        even = length >= DAY and step <= EVEN_RECLAIMABLE and score >= SURE
        return even or (step <= EVEN and score >= SURE_RECLAIMABLE)
    if is_straight(length, growth, error, slab, step):
        return score >= SURE_STRAIGHT
    return step <= EVEN and score >= SURE


def _near(row: Finding) -> bool:
    """Whether a row in `watch` is short of the limit by its score or q-value, or lacks a step; what is over is over."""
    return row.node is not None and row.evidence.get("not_passed") in {None, "step"}


def _by_node(rows: Iterable[Finding]) -> Mapping[str | None, list[set[str]]]:
    found: dict[str | None, list[set[str]]] = {}
    for row in rows:
        found.setdefault(row.node, []).append(row.caches)
    return found
