"""The page of results, docs/detection.md: what was measured, how to read it, the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.detection.calibration import calibration
from bench.detection.left_out import left_out
from bench.detection.recordings import Recording
from bench.detection.replay import Replay
from bench.detection.report import costs, curve, families, methods, recorded, replays
from bench.detection.runs import Outcome
from bench.detection.troubles import troubles

__all__ = ["page"]

INTRODUCTION = """# How well leaks are found

This page is written by `make bench-detection`; it was made by

    {command}

{commit}on simulated fleets whose truth is known. `--tuning` takes other seeds, kept apart: whoever works on the
analysis looks at those, so that these figures stay fair. Every fleet has a seed of its own; the calls at the end
build one of them again.

- **Families** of fleets, leaking and healthy, are those of `server/simulator`; *hard* ones are marked. Each is
  watched for as long as can show it: at least ten samples follow the leak's onset (and the last boot).
- **Size** of a leak: the bytes its cache lost by the end of the data, over the spread of that cache's floor on
  the *healthy twin*, the same fleet with the same chances and no leak. The floor is the least allocated bytes in
  each of 24 parts of the window (of the last boot), the spread the standard deviation about its Theil-Sen line,
  and one slab at least. Recall counts leaks of size 5 and more that are material (0.25 % of memory in 30 days);
  half of the fleets have a weakened leak, for the curve below that.
- **Precision**: findings that name a true leak's node and cache, over all that do or name something else. `watch`
  does not count.
- **Rates** carry their 95 % Wilson interval and n.
- The **other methods** are written from their definitions in `bench/detection/baselines.py`, see the same data
  and may leave out what grows too slowly to matter, as their users would.

[What every leaking family looks like](detection-leaking.svg), [and every healthy one](detection-healthy.svg).
"""
LEFT_OUT = """\
Nothing here is trained, but one limit is set: the least score of a finding. For each family it is chosen anew as
the least that gives precision 0.98 on all the *other* families, healthy ones too, and then tried on this one.
"""
HOURLY = """\
A report every hour of the 24 hours before it, over two or three days from the first snapshot on. A (node, leak)
that is named wrongly in any of them counts once.
"""
CALIBRATION = """\
What share is false depends on how many of the fleets leak, here about half.

![claimed against observed](detection-calibration.svg)
"""


def page(
    outcomes: Sequence[Outcome], results: Sequence[Replay], recordings: Sequence[Recording], command: str, commit: str
) -> str:
    """Markdown. `command` is what made the results, `commit` the revision measured, or empty."""
    # Workers finish in any order; the page does not depend on it.
    outcomes = sorted(outcomes, key=lambda one: one.case.seed)
    results = sorted(results, key=lambda one: one.case.seed)
    return "\n".join(_lines(outcomes, results, recordings, command, f"at revision {commit} " if commit else ""))


def _lines(
    outcomes: Sequence[Outcome], results: Sequence[Replay], recordings: Sequence[Recording], command: str, commit: str
) -> Iterator[str]:
    yield INTRODUCTION.format(command=command, commit=commit)
    yield from _section("Methods side by side", methods(outcomes))
    yield from _section("Leaks found, by family and length", families(outcomes, leaks=True))
    yield from _section("Healthy fleets accused, by family and length", families(outcomes, leaks=False))
    yield from _section("Recall against size", curve(outcomes))
    yield from _section("Hourly reports", replays(results), HOURLY)
    if recordings:
        yield from _section("Recorded fleets", recorded(recordings))
    yield from _section("Calibration", calibration(outcomes), CALIBRATION)
    yield from _section("CPU", costs(outcomes))
    yield from _section("Leave one family out", left_out(outcomes), LEFT_OUT)
    yield from _section("Every miss and every false finding", troubles(outcomes, results))


def _section(title: str, lines: Iterator[str], about: str = "") -> Iterator[str]:
    yield f"## {title}"
    yield ""
    if about:
        yield about
    yield from lines
