"""The results as Markdown: by method, by family and length, by size, each rate with its n and 95 % Wilson interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from bench.detection.rates import Group, by, by_family, kept, percent, precision, recall, short, table
from bench.detection.recordings import Recording
from bench.detection.replay import Replay
from bench.detection.runs import OURS
from bench.detection.scenarios import FORMS
from bench.detection.score import Rate
from server.simulator.families import FAMILIES

__all__ = ["costs", "curve", "families", "methods", "recorded", "replays"]


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


def costs(outcomes: Group) -> Iterator[str]:
    """CPU of our analysis by the size of the fleet: linear when the last column is even."""
    groups = by(kept(outcomes, lambda one: one.method == OURS), lambda one: str(one.nodes))
    rows = []
    for nodes, own in sorted(groups.items(), key=lambda row: int(row[0])):
        each = sum(one.cpu for one in own) / len(own)
        rows.append((nodes, len(own), f"{each:.3f}", f"{1000 * each / int(nodes):.1f}"))
    yield from table(["nodes", "fleets", "CPU s", "ms a node"], rows)


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
    measures = ["node-days", "false (node, leak)", "for 1,000 node-days"]
    yield from table(["healthy family", *measures], rows)
    sizes = by(quiet, lambda one: one.nodes)
    yield from table(["nodes", *measures], [_alarm_row(str(nodes), sizes[nodes]) for nodes in sorted(sizes)])
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
