"""The page of results: docs/detection.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.detection.calibration import calibration
from bench.detection.recordings import Recording
from bench.detection.replay import Replay
from bench.detection.report import curve, families, left_out, methods, recorded, replays, troubles
from bench.detection.runs import Outcome

__all__ = ["page"]


def page(outcomes: Sequence[Outcome], results: Sequence[Replay], command: str, recordings: Sequence[Recording]) -> str:
    """Markdown."""
    # Workers finish in any order; the page does not depend on it.
    outcomes = sorted(
        outcomes, key=lambda one: (one.case.seed, one.case.family, one.case.form.hours, one.case.form.interval)
    )
    results = sorted(results, key=lambda one: (one.case.seed, one.case.family))
    return "\n".join(_lines(outcomes, results, command, recordings))


def _lines(
    outcomes: Sequence[Outcome], results: Sequence[Replay], command: str, recordings: Sequence[Recording]
) -> Iterator[str]:
    yield f"`{command}`"
    yield ""
    yield "## Methods side by side"
    yield ""
    yield from methods(outcomes)
    yield "## Leaks found, by family and length"
    yield ""
    yield from families(outcomes, leaks=True)
    yield "## Healthy fleets accused, by family and length"
    yield ""
    yield from families(outcomes, leaks=False)
    yield "## Recall against size"
    yield ""
    yield from curve(outcomes)
    yield "## Hourly reports"
    yield ""
    yield from replays(results)
    if recordings:
        yield "## Recorded fleets"
        yield ""
        yield from recorded(recordings)
    yield "## Calibration"
    yield ""
    yield from calibration(outcomes)
    yield "## Leave one family out"
    yield ""
    yield from left_out(outcomes)
    yield "## Every miss and every false finding"
    yield ""
    yield from troubles(outcomes, results)
