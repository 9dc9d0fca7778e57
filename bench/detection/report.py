"""The results as Markdown: by method, by family and length, by size, each rate with its n and 95 % Wilson interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from bench.detection.recordings import Recording
from bench.detection.replay import Replay
from bench.detection.runs import OURS, Outcome
from bench.detection.scenarios import FORMS
from bench.detection.score import Rate
from server.simulator.families import FAMILIES

__all__ = [
    "LARGE",
    "curve",
    "families",
    "left_out",
    "methods",
    "precision",
    "recall",
    "recorded",
    "replays",
    "table",
    "troubles",
]

LARGE = 5.0
"""Leaks whose lost bytes are at least so many times their cache's floor spread must be found."""
Group = Sequence[Outcome]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A Markdown table; the first column is text, the others are figures."""
    yield "| " + " | ".join(head) + " |"
    yield "| --- |" + " ---: |" * (len(head) - 1)
    for row in rows:
        yield "| " + " | ".join(map(str, row)) + " |"
    yield ""


def percent(rate: Rate) -> str:
    """`98.2 % (97.0-99.0, n = 612)`."""
    if not rate.n:
        return "-"
    low, high = rate.interval()
    return f"{100 * rate.value:.1f} % ({100 * low:.1f}-{100 * high:.1f}, n = {rate.n})"


def short(rate: Rate) -> str:
    return f"{100 * rate.value:.0f} %" if rate.n else "-"


def recall(outcomes: Iterable[Outcome], low: float = LARGE, high: float = math.inf) -> Rate:
    """Leaks found, of those whose size lies in [low, high)."""
    hits = [
        rank is not None
        for one in outcomes
        for target, rank in zip(one.wanted, one.marks.ranks, strict=True)
        if low <= target.size < high
    ]
    return Rate(sum(hits), len(hits))


def precision(outcomes: Iterable[Outcome]) -> Rate:
    """True findings of all findings; a second finding for one leak counts as neither."""
    true = false = 0
    for one in outcomes:
        true += sum(rank is not None for rank in one.marks.ranks)
        false += len(one.marks.false)
    return Rate(true, true + false)


def kept(outcomes: Iterable[Outcome], fits: Callable[[Outcome], bool]) -> list[Outcome]:
    return [one for one in outcomes if fits(one)]


def by(outcomes: Iterable[Outcome], key: Callable[[Outcome], str]) -> dict[str, list[Outcome]]:
    """The outcomes under each value of the key, in the order in which they first come."""
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault(key(one), []).append(one)
    return groups


def by_family(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Our own outcomes by family, in the order of FAMILIES."""
    groups = by(kept(outcomes, lambda one: one.method == OURS), lambda one: one.case.family)
    return {name: groups[name] for name in FAMILIES if name in groups}


def methods(outcomes: Group) -> Iterator[str]:
    """Ours beside the baselines."""
    rows = []
    for name, mine in by(outcomes, lambda one: one.method).items():
        leaking = kept(mine, lambda one: FAMILIES[one.case.family].leaks)
        quiet = kept(mine, lambda one: not FAMILIES[one.case.family].leaks)
        ordinary = kept(leaking, lambda one: not FAMILIES[one.case.family].hard)
        hard = kept(leaking, lambda one: FAMILIES[one.case.family].hard)
        ranks = [rank for one in leaking for rank in one.marks.ranks if rank is not None]
        first = [min(r for r in one.marks.ranks if r is not None) for one in leaking if any(one.marks.ranks)]
        rows.append(
            (
                name,
                percent(recall(leaking)),
                percent(precision(ordinary)),
                percent(precision(hard)),
                percent(Rate(sum(bool(one.marks.false) for one in quiet), len(quiet))),
                f"{sum(rank == 1 for rank in first)} of {len(first)}; {max(ranks, default=0)}",
                f"{1000 * sum(one.cpu for one in mine) / max(sum(one.nodes for one in mine), 1):.1f}",
            )
        )
    head = ["method", "recall, size >= 5", "precision, ordinary", "precision, hard"]
    head += ["healthy fleets accused", "true leak first; worst place", "CPU ms a node"]
    yield from table(head, rows)


def families(outcomes: Group, *, leaks: bool) -> Iterator[str]:
    """Our figures by family and length: leaks found of the large ones and false findings, or fleets accused."""
    rows = []
    for name, own in by_family(outcomes).items():
        if FAMILIES[name].leaks != leaks:
            continue
        parts = by(own, lambda one: one.case.form.name)
        cells = [_cell(parts.get(form.name, []), leaks=leaks) for form in FORMS]
        shown = f"{name}{' (hard)' if FAMILIES[name].hard else ''}"
        extra = sum(one.marks.extra for one in own)
        rows.append((shown, *cells, percent(recall(own)), percent(precision(own)), extra) if leaks else (shown, *cells))
    lengths = [form.name for form in FORMS]
    yield from table(
        ["family", *lengths, "recall", "precision", "named twice"] if leaks else ["family", *lengths], rows
    )


def _cell(part: Group, *, leaks: bool) -> str:
    if not part:
        return "-"
    if not leaks:
        return f"{sum(bool(one.marks.false) for one in part)}/{len(part)}"
    wrong, found = sum(len(one.marks.false) for one in part), recall(part)
    return f"{found.hits}/{found.n}" + (f", {wrong} false" if wrong else "")


def curve(outcomes: Group) -> Iterator[str]:
    """Recall against size, for every method."""
    edges = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 50.0, math.inf)
    groups = by(outcomes, lambda one: one.method)
    rows = []
    for low, high in pairwise(edges):
        rates = {name: recall(group, low, high) for name, group in groups.items()}
        cells = [percent(rate) if name == OURS else short(rate) for name, rate in rates.items()]
        rows.append((f"{low:g} to {high:g}" if high < math.inf else f"from {low:g}", *cells))
    yield from table(["lost bytes / floor spread", *groups], rows)


def replays(results: Sequence[Replay]) -> Iterator[str]:
    """Alarms a thousand healthy node-days, time to detection, and findings that came and went."""
    rows = []
    for name, family in FAMILIES.items():
        own = [one for one in results if one.case.family == name]
        if own and not family.leaks:
            rows.append(_alarm_row(name + (" (hard)" if family.hard else ""), own))
    quiet = [one for one in results if not FAMILIES[one.case.family].leaks]
    rows.append(_alarm_row("all", quiet))
    yield from table(["healthy family", "node-days", "false (node, leak)", "for 1,000 node-days"], rows)
    rows = []
    for name, family in FAMILIES.items():
        own = [one for one in results if one.case.family == name and family.leaks]
        delays = [delay for one in own for delay in one.delays]
        known = [delay for delay in delays if delay is not None]
        if delays:
            rows.append(
                (
                    name,
                    f"{len(known)}/{len(delays)}",
                    f"{np.median(known):.0f}" if known else "-",
                    f"{max(known):.0f}" if known else "-",
                    sum(one.flaps for one in own),
                    sum(len(one.alarms) for one in own),
                )
            )
    head = ["leaking family", "named in 48 h", "median hours to it", "longest", "came and went", "false (node, leak)"]
    yield from table(head, rows)


def _alarm_row(name: str, own: Sequence[Replay]) -> tuple[object, ...]:
    days, alarms = sum(one.node_days for one in own), sum(len(one.alarms) for one in own)
    # Alarms are rare and a node-day has none or one: their share of the node-days has a Wilson interval.
    rate = Rate(min(alarms, int(days)), int(days))
    low, high = rate.interval()
    share = 1000 * alarms / days if days else 0.0
    return name, f"{days:g}", alarms, f"{share:.2f} ({1000 * low:.2f}-{1000 * high:.2f})"


def recorded(results: Sequence[Recording]) -> Iterator[str]:
    """Real kernels: whole recordings, and a report every minute."""
    rows = [
        (
            one.name,
            ("named" if all(one.marks.ranks) else "missed") if one.leaks else "nothing leaks",
            "-" if one.named_after is None else f"{one.named_after:.0f}",
            len(one.marks.false),
            one.reports,
            ", ".join(one.alarms) or "-",
        )
        for one in results
    ]
    head = ["recording", "at its end", "seconds from the leak's start", "false at its end", "reports before"]
    yield from table([*head, "false in any of them"], rows)


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
