"""What was left out of a judgement and what limits it, said plainly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from server.analysis.sentence import span_text
from server.analysis.tracks import Track
from server.analysis.types import Note

__all__ = ["notes_for"]


def notes_for(group: str, tracks: Sequence[Track], judged: Mapping[str, int], end: float) -> list[Note]:
    """Notes on the nodes of one group; `judged` are the series judged over the whole window on each node."""
    notes = []
    nodes: dict[str, list[Track]] = {}
    for track in tracks:
        nodes.setdefault(track.node, []).append(track)
    for node, boots in sorted(nodes.items()):
        if node not in judged:
            notes.append(Note(node, _why(boots, end)))
        elif any(track.last and len(track.time) < 8 for track in boots) and len(boots) > 1:
            notes.append(Note(node, "judged on its earlier boot only: " + _why(boots[-1:], end)))
    if len(judged) == 1:
        notes.append(Note(None, f"group {group}: only one node could be judged; without peers nothing is a finding"))
    elif len(judged) == 2:
        notes.append(Note(None, f"group {group}: two nodes are few to compare; small leaks will be missed"))
    if assumed := _assumed(tracks):
        notes.append(
            Note(
                None,
                f"group {group}: {assumed} of {len(nodes)} nodes do not say which caches are reclaimable: "
                "assumed by name",
            )
        )
    return notes


def _why(boots: Sequence[Track], end: float) -> str:
    last = boots[-1]
    uptime = last.uptime[np.isfinite(last.uptime)]
    if not len(last.time):
        return "left out: has just booted" if last.order or len(boots) > 1 else "left out: still warming up"
    if len(uptime) and uptime[-1] < 3600:
        return f"left out: booted {span_text(float(uptime[-1]) + end - float(last.time[-1]))} ago"
    samples = int(sum(track.samples.sum() for track in boots))
    if samples < 10:
        return f"left out: only {samples} snapshot{'s' * (samples != 1)} in the window"
    if last.span < 300:
        return f"left out: only {span_text(last.span)} of data"
    return f"left out: only {span_text(last.span)} of data, {samples} snapshots, too little of the window"


def _assumed(tracks: Sequence[Track]) -> int:
    return len({track.node for track in tracks if track.facts and all(facts.assumed for facts in track.facts)})
