"""Every miss and every false finding, with the call that builds its fleet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.detection.rates import LARGE, Group, kept
from bench.detection.replay import Replay
from bench.detection.runs import OURS

__all__ = ["troubles"]


def troubles(outcomes: Group, results: Sequence[Replay]) -> Iterator[str]:
    """Every miss of a large leak and every false finding of ours, with the call that builds its fleet."""
    mine = kept(outcomes, lambda one: one.method == OURS)
    missed = [
        (target.size, one, target)
        for one in mine
        for target, rank in zip(one.wanted, one.marks.ranks, strict=True)
        if rank is None and target.size >= LARGE
    ]
    yield f"Missed, {len(missed)}:"
    yield ""
    for size, one, target in sorted(missed, key=lambda row: (row[1].case.family, -row[0])):
        watched = [claim for claim in one.claims[one.findings :] if claim.node == target.node]
        seen = f"; watched: {watched[0].cache}, score {watched[0].score:.1f}" if watched else ""
        names = "/".join(sorted(target.caches))
        yield f"- {target.node or 'all'} {names}, size {size:.1f} ({target.lost / 1e6:.2f} MB){seen}: `{one.case}`"
    wrong = [(one, claim) for one in mine for claim in one.marks.false]
    yield ""
    yield f"False, {len(wrong)}:"
    yield ""
    for one, claim in sorted(wrong, key=lambda row: (row[0].case.family, -row[1].score)):
        yield f"- {claim.node} {claim.cache}, score {claim.score:.1f}, q {claim.q_value:.2g}: `{one.case}`"
    alarms = [(one, alarm) for one in results for alarm in one.alarms]
    yield ""
    yield f"False in hourly reports, {len(alarms)}:"
    yield ""
    for again, alarm in alarms:
        shown = f"{alarm.hours[0]:g}" if len(alarm.hours) == 1 else f"{alarm.hours[0]:g} to {alarm.hours[-1]:g}"
        yield f"- {alarm.node} {alarm.cache} at hour {shown}, score {alarm.score:.1f}: `{again.case}`"
    yield ""
