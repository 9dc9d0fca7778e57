"""A report over more than a day says what the one over its last day says: a longer past hides no young leak."""

from __future__ import annotations

from dataclasses import replace

from server.analysis.types import Finding, Judgement

__all__ = ["LAST_DAY", "with_last_day"]

LAST_DAY = 86400.0
"""Seconds."""
SEEN_BEFORE = "seen before"
"""The gate that only the longer past can tell: the cache has been as large (see scan)."""


def with_last_day(judged: Judgement, day: Judgement) -> Judgement:
    """`judged` with what only `day`, the judgement of its last day, has a finding for.

    The parts of a window go with its length, so that the longer one sees less of what began a short while ago. But
    where it has seen the cache as large before, that is the load's or a job's. Ranks are the caller's to give.
    """
    known = [(one, _names(one)) for one in judged.findings]
    before = [(one, _names(one)) for one in judged.watch if SEEN_BEFORE in str(one.evidence.get("not_passed"))]
    more = [one for one in day.findings if not _among(one, known) and not _among(one, before)]
    if not more:
        return judged
    named = [(one, _names(one)) for one in more]
    watch = tuple(one for one in judged.watch if not _among(one, named))
    return replace(judged, findings=(*judged.findings, *more), watch=watch)


def _among(row: Finding, rows: list[tuple[Finding, set[str]]]) -> bool:
    """Whether one of the rows is of the same node (or fleet) and of a cache of its."""
    names = _names(row)
    return any(one.node == row.node and one.group == row.group and names & others for one, others in rows)


def _names(row: Finding) -> set[str]:
    return {row.cache, *(one.cache for one in row.also)}
