"""Nodes whose clock puts what they send outside of a window: the analysis goes by their clock and never sees it."""

from __future__ import annotations

from collections.abc import Iterable

from common.terminal.units import span
from server.reports.answers import GOOD_FOR
from server.reports.outliers import ReportNote
from server.storage.base import NodeState

__all__ = ["clock_notes"]


def clock_notes(nodes: Iterable[NodeState], start: float, end: float, group: str | None) -> list[ReportNote]:
    """Nodes that sent their latest snapshot from `start` to `end` (epoch seconds) by a clock further off than that.

    How far off it is, is known of senders that say what time they have.
    """
    length = end - start
    notes = []
    for node in nodes:
        off = node.offset_seconds
        if off is None or abs(off) < length or group not in {None, node.group}:
            continue
        sent = node.taken_at - off
        if start <= sent <= end + length / GOOD_FOR:
            way = "ahead of" if off > 0 else "behind"
            note = f"its clock is {span(abs(off))} {way} the server's: what it sends lies outside of this window"
            notes.append(ReportNote(node=node.node, note=note))
    return notes
