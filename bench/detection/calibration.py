"""Whether a q-value means what it says: claimed against observed share of false findings, told and drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from bench.detection.rates import percent, table
from bench.detection.replay import Replay
from bench.detection.runs import OURS, Outcome
from bench.detection.score import Claim, Rate, mark
from bench.detection.svg import Drawing, Line
from server.simulator.families import FAMILIES

__all__ = ["calibration", "calibration_picture", "observed"]

LIMITS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
SCORES = (5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0)
SIDE, LEFT, TOP = 300.0, 60.0, 30.0
LEAST = 1e-4


def observed(outcomes: Sequence[Outcome], *, watched: bool) -> list[tuple[Claim, bool]]:
    """Every finding of ours, with `watched` what was only watched too, and whether it is false."""
    found = []
    for one in outcomes:
        if one.method != OURS:
            continue
        false = set(map(id, mark(one.claims, one.wanted, immaterial=one.slow).false))
        found += [(claim, id(claim) in false) for claim in (one.claims if watched else one.claims[: one.findings])]
    return found


def calibration(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Claimed against observed: of all rows with at most so great a q-value, and with at least so great a score."""
    both = [observed(outcomes, watched=watched) for watched in (False, True)]
    rows = [
        (f"{limit:g}", *(_share(false for row, false in one if row.q_value <= limit) for one in both))
        for limit in LIMITS
    ]
    yield from table(["claimed: q-value at most", "false of the findings", "of findings and watch"], rows)
    rows = [
        (f"{limit:g}", *(_share(false for row, false in one if row.score >= limit) for one in both)) for limit in SCORES
    ]
    yield from table(["score at least", "false of the findings", "of findings and watch"], rows)


def _share(false: Iterable[bool]) -> str:
    every = list(false)
    return percent(Rate(sum(every), len(every)))


def calibration_picture(outcomes: Sequence[Outcome], replays: Sequence[Replay]) -> str:
    """An SVG: observed false share against the claimed q-value; alarms in hourly reports against the score."""
    drawing = Drawing(2 * SIDE + 3 * LEFT, SIDE + 3 * TOP)
    claims = observed(outcomes, watched=False)
    rates = [(limit, Rate(sum(chosen), len(chosen))) for limit in LIMITS if (chosen := _upto(claims, limit))]
    _axes(drawing, LEFT, "claimed: q-value at most", "false share observed", ("0.0001", "0.001", "0.01", "0.1", "1"))
    points = [(_decade(limit), _decade(max(rate.value, LEAST))) for limit, rate in rates]
    low, high = ([(_decade(q), _decade(max(r.interval()[k], LEAST))) for q, r in rates] for k in (0, 1))
    lines = [Line([(0, 0), (1, 1)], "#999"), Line(low, "#9cc4e4"), Line(high, "#9cc4e4"), Line(points, "#2471a3", 2)]
    drawing.lines(LEFT, TOP, SIDE, SIDE, lines)
    quiet = [one for one in replays if not FAMILIES[one.case.family].leaks]
    days = sum(one.node_days for one in quiet)
    scores = [alarm.score for one in quiet for alarm in one.alarms]
    x = SIDE + 2 * LEFT
    ticks = ("0.01", "0.1", "1", "10", "100")
    _axes(drawing, x, "score limit, 5 to 200", f"alarms for 1,000 node-days ({days:g} healthy)", ticks, across=())
    if days:
        span = math.log(SCORES[-1] / SCORES[0])
        alarms = [(s, 1000 * sum(score >= s for score in scores) / days) for s in SCORES]
        drawn = [(math.log(s / SCORES[0]) / span, _decade(max(rate, 0.01) / 100)) for s, rate in alarms]
        drawing.lines(x, TOP, SIDE, SIDE, [Line(drawn, "#c0392b", 2)])
    return drawing.text()


def _upto(claims: Sequence[tuple[Claim, bool]], limit: float) -> list[bool]:
    return [false for claim, false in claims if claim.q_value <= limit]


def _decade(value: float) -> float:
    """0.0001 to 1 as 0 to 1."""
    return (math.log10(value) + 4) / 4


def _axes(
    drawing: Drawing, x: float, below: str, above: str, up: Sequence[str], across: Sequence[str] | None = None
) -> None:
    drawing.box(x, TOP, SIDE, SIDE, fill="none", stroke="#999")
    drawing.words(x, TOP - 10, above, size=12, bold=True)
    drawing.words(x, TOP + SIDE + 34, below, size=12, bold=True)
    for number, text in enumerate(up):
        drawing.words(x - 42, TOP + SIDE - SIDE * number / (len(up) - 1) + 4, text)
    for number, text in enumerate(up if across is None else across):
        drawing.words(x + SIDE * number / (len(up) - 1) - 10, TOP + SIDE + 16, text)
