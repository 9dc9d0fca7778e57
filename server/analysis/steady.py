"""Keeps a finding that slips just under a limit: what it was at earlier instants of a fixed grid decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from server.analysis.types import Finding, Judgement

__all__ = ["Alone", "held", "instants", "reach"]

Alone = Callable[[float, float, str], Judgement]
"""The judgement of a window (start, end) of one group by itself, without this rule."""

MOST = 6
"""Earlier instants that are looked at; in hourly reports of leaking fleets no gap was longer than 4."""
PARTS = 24
"""The grid divides a window into so many parts."""
LEAST_STEP = 60
"""Seconds."""


def instants(start: float, end: float) -> tuple[float, ...]:
    """The instants before `end` whose judgement may decide, latest first; epoch seconds.

    They lie on a grid in UTC (multiples of a step since the epoch), the same for all windows of that length: every hour
    for a day, every minute for 24 minutes and less.
    """
    step = max(LEAST_STEP, int((end - start) / PARTS) // LEAST_STEP * LEAST_STEP)
    last = math.ceil(end / step) - 1
    return tuple(float((last - number) * step) for number in range(MOST))


def reach(start: float, end: float) -> float:
    """From when on data may decide what a report from `start` to `end` says."""
    return min(instants(start, end)) - (end - start)


def held(judgement: Judgement, alone: Alone) -> dict[int, float]:
    """Which rows in `watch`, by index, stay findings, and the last instant at which each was one by itself.

    A row that fails no gate is one if, at the instant before, it was one by itself, or by this very rule. Windows as
    long as the judgement's, ending at those instants, are judged only while a row is undecided. So the answer depends
    on the data and the window alone, not on what was asked before.
    """
    kept: dict[int, float] = {}
    groups: dict[str, dict[int, set[str]]] = {}
    for number, row in enumerate(judgement.watch):
        if _near(row):
            groups.setdefault(row.group, {})[number] = _names(row)
    length = judgement.end - judgement.start
    for group in sorted(groups):
        undecided = groups[group]
        for at in instants(judgement.start, judgement.end):
            before = alone(at - length, at, group)
            by_itself = _by_node(before, strong=True)
            near = _by_node(before, strong=False)
            further: dict[int, set[str]] = {}
            for number, names in undecided.items():
                node = judgement.watch[number].node
                if any(names & other for other in by_itself.get(node, ())):
                    kept[number] = at
                elif same := [other for other in near.get(node, ()) if names & other]:
                    further[number] = set().union(*same)
            undecided = further
            if not undecided:
                break
    return kept


def _near(row: Finding) -> bool:
    """Whether a row in `watch` passed every gate: only its score or its q-value is short of the limit."""
    return row.node is not None and row.evidence.get("not_passed") is None


def _names(row: Finding) -> set[str]:
    return {row.cache, *(one.cache for one in row.also)}


def _by_node(judgement: Judgement, *, strong: bool) -> Mapping[str | None, list[set[str]]]:
    found: dict[str | None, list[set[str]]] = {}
    for row in judgement.findings if strong else filter(_near, judgement.watch):
        found.setdefault(row.node, []).append(_names(row))
    return found
