"""Judges one case with every method, once at the end or every hour, and sets the answers against the truth."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from bench.detection.baselines import BASELINES, bucket_width, panel
from bench.detection.scenarios import Case, build, healthy_twin
from bench.detection.score import Claim, Marks, Target, mark, targets
from bench.detection.source import TimedSource, held
from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings, Finding, Judgement
from server.simulator.fleet import Fleet, FleetSpec

__all__ = ["OURS", "Outcome", "claims_of", "once", "ours", "targets_of"]

OURS = "slabhound"
SETTINGS = AnalysisSettings()
MATERIAL = SETTINGS.material_fraction / (30 * 86400.0)
"""Share of a node's memory a second."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case by one method."""

    case: Case
    method: str
    nodes: int
    wanted: tuple[Target, ...]
    slow: tuple[Target, ...]
    """Leaks too slow to matter."""
    marks: Marks
    claims: tuple[Claim, ...]
    """Findings, then what was only watched."""
    findings: int
    """How many of the claims are findings."""
    cpu: float
    """Seconds of CPU for the analysis alone."""


def claim_of(found: Finding) -> Claim:
    names = (*found.members, *found.aliases)
    return Claim(found.node, found.cache, found.score, found.q_value, names)


def claims_of(judgement: Judgement) -> list[Claim]:
    return [claim_of(found) for found in judgement.findings]


def ours(source: TimedSource, start: float, end: float) -> tuple[Judgement, float]:
    """Our judgement, and the CPU seconds that it took besides reading."""
    begun, read = time.process_time(), source.seconds
    judged = judge(source, start=start, end=end, group=None, settings=SETTINGS)
    return judged, time.process_time() - begun - (source.seconds - read)


def targets_of(case: Case) -> list[Target]:
    """What ought to be found in the case."""
    scenario = build(case)
    if not scenario.truths:
        return []
    hit = {node for truth in scenario.truths for node in truth.nodes}
    spec = FleetSpec(
        case.seed,
        tuple(node for node in scenario.spec.nodes if node.name in hit),
        scenario.spec.leaks,
        scenario.spec.hours,
        scenario.spec.interval,
    )
    count = len(spec.nodes)
    return targets(scenario, Fleet(spec, cached=count), Fleet(healthy_twin(spec), cached=count), MATERIAL)


def once(case: Case) -> list[Outcome]:
    """Every method's answer to the whole of a case, ours first."""
    spec = build(case).spec
    source, start, end = held(spec), spec.start, spec.start + spec.hours * 3600
    every = targets_of(case)
    wanted, slow = [t for t in every if t.material], [t for t in every if not t.material]
    judged, cpu = ours(source, start, end)
    claims = claims_of(judged)
    both = (*claims, *map(claim_of, judged.watch))
    count, sure = len(spec.nodes), tuple(wanted)
    marks = mark(claims, wanted, immaterial=slow)
    outcomes = [Outcome(case, OURS, count, sure, tuple(slow), marks, both, len(claims), cpu)]
    width = bucket_width(end - start)
    data = panel(list(source.window(start, end, width)), start, end, width)
    material = np.where(np.isfinite(data.memory), data.memory * MATERIAL, SETTINGS.material_bytes_per_hour / 3600)
    for baseline in BASELINES:
        begun = time.process_time()
        rows = baseline.judge(data, material)
        cpu = time.process_time() - begun
        named = _whole_fleet([Claim(node, cache, score) for node, cache, score in rows], wanted, count)
        marks = mark(named, wanted, immaterial=slow)
        outcomes.append(Outcome(case, baseline.name, count, sure, tuple(slow), marks, tuple(named), len(named), cpu))
    return outcomes


def _whole_fleet(claims: list[Claim], wanted: list[Target], nodes: int) -> list[Claim]:
    """These methods cannot say "all nodes"; naming four fifths of them one by one counts as having said so."""
    for target in wanted:
        fitting = [claim for claim in claims if target.node is None and {claim.cache} & target.caches]
        if target.node is None and len({claim.node for claim in fitting}) >= 0.8 * nodes:
            first = claims.index(fitting[0])
            whole = Claim(None, fitting[0].cache, fitting[0].score)
            return [*claims[:first], whole, *(claim for claim in claims[first:] if claim not in fitting)]
    return claims
