"""A report over more than a day says what the one over its last day says: a longer past hides no young leak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from server.analysis.opened import opened
from server.analysis.past import RETURNED
from server.analysis.tracks import make_tracks
from server.analysis.types import Finding, Judgement
from server.buckets import Source

__all__ = ["LAST_DAY", "passes_its_past", "with_last_day"]

LAST_DAY = 86400.0
"""Seconds."""


def with_last_day(judged: Judgement, day: Judgement, new: Callable[[Finding], bool]) -> Judgement:
    """`judged` with what only `day`, the judgement of its last day, has a finding for, if it is `new`.

    The parts of a window go with its length, so that the longer one sees less of what began a short while ago; what is
    older than the day it knows better, whether it fills, above all. Ranks are the caller's to give.
    """
    known = [(one, one.caches) for one in judged.findings]
    more = [one for one in day.findings if not one.since_open and not _among(one, known) and new(one)]
    if not more:
        return judged
    named = [(one, one.caches) for one in more]
    watch = tuple(one for one in judged.watch if not _among(one, named))
    return replace(judged, findings=(*judged.findings, *more), watch=watch)


def passes_its_past(source: Source, row: Finding, start: float, end: float) -> bool:
    """Whether a cache that rose in the last day before `end` holds more than since `start` before that, on this boot.

    What has been as large is the load's or a job's, or fills again: the gate `seen before` of the longer window. Of a
    fleet's row on half of the nodes at least.
    """
    nodes = list(opened(source, start, end, group=row.group, caches=row.members))
    told = []
    for track in make_tracks([node for node in nodes if row.node in {None, node.node}]):
        for column in range(len(track.names) if track.last else 0):
            known = np.isfinite(track.allocated[:, column])
            y, late = track.allocated[known, column], track.time[known] >= end - LAST_DAY
            if late.any() and not late.all():
                now = float(np.median(y[late][-3:]))
                told.append(now - float(y[~late].max()) >= RETURNED * (now - float(y[late].min())))
    return not told or 2 * sum(told) >= len(told)


def _among(row: Finding, rows: list[tuple[Finding, set[str]]]) -> bool:
    """Whether one of the rows is of the same node (or fleet) and of a cache of its."""
    names = row.caches
    return any(one.node == row.node and one.group == row.group and names & others for one, others in rows)
