"""What is given back day by day, as by a nightly restart, is no leak: the time before a window tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from server.analysis.opened import opened
from server.analysis.past import RETURNED
from server.analysis.shape import restarted
from server.analysis.tracks import make_tracks
from server.analysis.types import Finding, Judgement
from server.buckets import Source

__all__ = ["looks_back", "without_routine"]

_DAY = 86400.0


def looks_back(start: float, end: float) -> float:
    """From when on (epoch seconds) the time before a window counts: as long as it is, a day at least."""
    return start - max(end - start, _DAY)


def without_routine(judged: Judgement, source: Source) -> Judgement:
    """The judgement with only watched what runs again after a restart as it did before the window."""
    kept = [row for row in judged.findings if not _is_routine(row, source, judged.start, judged.end)]
    if len(kept) == len(judged.findings):
        return judged
    said = "seen before"
    watch = [replace(row, evidence={**row.evidence, "not_passed": said}) for row in judged.findings if row not in kept]
    return replace(judged, findings=tuple(kept), watch=(*judged.watch, *watch))


def _is_routine(row: Finding, source: Source, start: float, end: float) -> bool:
    """Whether a finding from a restart on (`restarted` in its evidence) holds no more than was given back before."""
    if "restarted" not in row.evidence:
        return False
    now, growth = (float(row.evidence[name] or 0.0) for name in ("floor_after", "growth"))
    nodes = opened(source, looks_back(start, end), start, group=row.group, caches=row.members)
    for track in make_tracks([node for node in nodes if node.node == row.node]):
        for column in range(len(track.names)):
            known = np.isfinite(track.active[:, column])
            held = track.allocated[known, column]
            if restarted(track.active[known, column]) and now - float(held.max()) < RETURNED * growth:
                return True
    return False
