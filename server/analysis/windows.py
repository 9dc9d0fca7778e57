"""Which parts of a report's window are judged, and at which bucket width each is read."""

from __future__ import annotations

from dataclasses import dataclass

from server.buckets import WIDTHS

__all__ = ["BRIEF", "CELLS", "DAY", "Pass", "Span", "bucket_width", "cell_width", "opening", "plan"]

CELLS = 28
"""Cells that a part of the window is divided into, about: enough for a trend, few enough to be a floor."""
DAY = 22 * 3600.0
"""Seconds from the first cell to the last: so long a whole window holds a day's rise and fall."""
SOME_HOURS = 3 * 3600.0
"""Seconds from which on a part of the day's rise looks like growth, until the day is over."""
BRIEF = 3600.0
"""Seconds under which a window is all that is known of its fleet; nobody can wait for its next report."""
SHORTEST = 900.0
"""Seconds; a shorter part of a window is too short to tell a leak from a busy moment, unless it is plain."""
LEAST_HALF = 300.0
"""Seconds; no shorter half of a window is judged, however plain what rises there."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the window, from `start` to `end` (epoch seconds), in cells of `width` seconds."""

    start: float
    end: float
    width: float
    whole: bool
    """Whether it starts where the report's window starts."""
    ended: bool = False
    """Whether it ends before the report's window ends: for leaks that stopped by themselves."""
    hasty: bool = False
    """Whether it is a part of a window under twice SHORTEST: only what is plain counts there (see sign.PLAIN_SCORE)."""

    @property
    def of_all(self) -> bool:
        """Whether it tells of what all nodes do: it reaches the window's end, and is all of it or holds whole days."""
        return not self.ended and (self.whole or self.end - self.start >= DAY)


@dataclass(frozen=True, slots=True)
class Pass:
    """One reading of the source: from `start` on, in buckets of `width` seconds, and the spans judged from it."""

    start: float
    end: float
    width: int
    spans: tuple[Span, ...]


def bucket_width(seconds: float) -> int:
    """The widest of server.buckets.WIDTHS that divides so long a window into at least 24 buckets (else the least)."""
    fitting = [width for width in WIDTHS if seconds / width >= 24]
    return max(fitting, default=WIDTHS[0])


def cell_width(seconds: float, width: int) -> float:
    """A multiple of the bucket width that divides so long a window into about CELLS cells."""
    return width * max(1, round(seconds / width / CELLS))


def opening(start: float, end: float) -> float:
    """Where a window's first bucket begins, at its start or before (epoch seconds)."""
    width = bucket_width(end - start)
    return start // width * width


def plan(start: float, end: float) -> tuple[Pass, ...]:
    """The readings for a window: one of the whole (judged whole, its last half and third), one of its last sixth.

    Two parts that end early (the first half and two thirds) are for leaks that stopped. The second, finer reading
    serves leaks that began a short while ago; it is judged whole and by its last half. Both begin with a whole bucket,
    so that a store need not look into the snapshots of one: the bucket that the window's start cuts is judged, too, the
    one that the last sixth cuts is not. In a window under half an hour all parts are hasty.
    """
    length = end - start
    start = opening(start, end)
    passes = []
    for fraction, parts in ((1.0, (1.0, 1 / 2, 1 / 3)), (1 / 6, (1.0, 1 / 2))):
        seconds = length * fraction
        if seconds < SHORTEST and fraction < 1:
            continue
        width = bucket_width(seconds)
        cell = cell_width(seconds, width)
        spans = tuple(
            Span(start if fraction * part == 1.0 else end - seconds * part, end, cell, fraction * part == 1.0)
            for part in parts
            if seconds * part >= SHORTEST or fraction * part == 1.0
        )
        if fraction == 1.0 and seconds >= 2 * LEAST_HALF:
            hasty = seconds < 2 * SHORTEST
            late = (Span(end - seconds / 2, end, cell, whole=False, hasty=True),) if hasty else ()
            early = (Span(start, start + seconds * part, cell, True, True, hasty) for part in (1 / 2, 2 / 3))
            spans = (*spans, *late, *early)
        first = start if fraction == 1.0 else -(-(end - seconds) // width) * width
        passes.append(Pass(first, end, width, spans))
    return tuple(passes)
