"""Leave one family out: the score limit chosen on all the other families, tried on this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from bench.detection.rates import LARGE, Group, by_family, percent, table
from bench.detection.runs import Outcome
from bench.detection.score import Rate
from server.simulator.families import FAMILIES

__all__ = ["left_out"]


def left_out(outcomes: Group) -> Iterator[str]:
    """Every leaking family judged at the least score that gives precision 0.98 on all the *other* families."""
    groups = by_family(outcomes)
    rows = []
    for name, own in groups.items():
        limit = _limit([one for other, group in groups.items() if other != name for one in group])
        found = percent(_recall_at(own, limit)) if FAMILIES[name].leaks else "-"
        rows.append((name, f"{limit:.1f}", found, _false_at(own, limit)))
    yield from table(["family left out", "score limit from the others", "its recall", "its false findings"], rows)


def _limit(outcomes: Group) -> float:
    for limit in (*np.arange(6.0, 12.0, 0.5), *np.arange(12.0, 40.0, 2.0)):
        true, false = _true_at(outcomes, limit), _false_at(outcomes, limit)
        if true >= 0.98 * (true + false):
            return float(limit)
    return 40.0


def _scored(outcomes: Iterable[Outcome]) -> Iterator[tuple[float, float | None]]:
    """(size, score of the finding that named it or None) of every target."""
    for one in outcomes:
        for target, rank in zip(one.wanted, one.marks.ranks, strict=True):
            yield target.size, None if rank is None else one.claims[rank - 1].score


def _true_at(outcomes: Group, limit: float) -> int:
    return sum(score is not None and score >= limit for _, score in _scored(outcomes))


def _recall_at(outcomes: Group, limit: float) -> Rate:
    hits = [score is not None and score >= limit for size, score in _scored(outcomes) if size >= LARGE]
    return Rate(sum(hits), len(hits))


def _false_at(outcomes: Iterable[Outcome], limit: float) -> int:
    return sum(claim.score >= limit for one in outcomes for claim in one.marks.false)
