"""Reports every hour over days: any appearance of a false finding counts once, and a leak is found when first named."""

from __future__ import annotations

from dataclasses import dataclass

from bench.detection.runs import claims_of, ours, targets_of
from bench.detection.scenarios import Case, build
from bench.detection.score import mark
from bench.detection.source import held
from server.simulator.processes import HOUR

__all__ = ["Alarm", "Replay", "replayed"]

EVERY, WINDOW = HOUR, 24 * HOUR


@dataclass(frozen=True, slots=True)
class Alarm:
    """One false (node, cache), however often it appeared."""

    node: str | None
    cache: str
    hours: tuple[float, ...]
    """At which it stood in the report, from the fleet's start."""
    score: float
    """The greatest."""
    q_value: float
    """The least."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A case's hourly reports of the 24 hours before each."""

    case: Case
    nodes: int
    node_days: float
    reports: int
    alarms: tuple[Alarm, ...]
    delays: tuple[float | None, ...]
    """Hours from onset to the first report that names the leak, of each leak that matters; None: never."""
    flaps: int
    """How often a leak once named was missing from a later report while it went on."""
    cpu: float


def replayed(case: Case) -> Replay:
    """Replays a case; leaks must begin within the data to have a delay."""
    scenario = build(case)
    spec = scenario.spec
    source = held(spec)
    wanted = [target for target in targets_of(case) if target.material]
    onsets = [truth.onset for truth in scenario.truths]
    onset = onsets[0] if onsets else 0.0
    first_named: list[float | None] = [None] * len(wanted)
    alarms: dict[tuple[str | None, str], Alarm] = {}
    present: set[int] = set()
    flaps, cpu, reports = 0, 0.0, 0
    for hour in range(1, int(spec.hours) + 1):
        end = spec.start + hour * EVERY
        judged, seconds = ours(source, end - WINDOW, end)
        cpu, reports = cpu + seconds, reports + 1
        marks = mark(claims_of(judged), wanted)
        for claim in marks.false:
            key = (claim.node, claim.cache)
            old = alarms.get(key, Alarm(*key, (), claim.score, claim.q_value))
            alarms[key] = Alarm(*key, (*old.hours, hour), max(old.score, claim.score), min(old.q_value, claim.q_value))
        named = {k for k, rank in enumerate(marks.ranks) if rank is not None}
        flaps += len(present - named)
        present = named
        for k in named:
            if first_named[k] is None:
                first_named[k] = (end - onset) / HOUR
    delays = tuple(first_named) if onset > spec.start else ()
    days = len(spec.nodes) * spec.hours / 24
    return Replay(case, len(spec.nodes), days, reports, tuple(alarms.values()), delays, flaps, cpu)
