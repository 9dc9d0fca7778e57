"""Rates of a set of outcomes, told with their n and 95 % Wilson interval, and Markdown tables of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from bench.detection.runs import OURS, Outcome
from bench.detection.score import Rate
from server.simulator.families import FAMILIES

__all__ = ["LARGE", "Group", "by", "by_family", "kept", "percent", "precision", "recall", "short", "table"]

LARGE = 5.0
"""Leaks whose lost bytes are at least so many times their cache's floor spread must be found."""
Group = Sequence[Outcome]
T = TypeVar("T")
Key = TypeVar("Key", bound=Hashable)


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


def by(results: Iterable[T], key: Callable[[T], Key]) -> dict[Key, list[T]]:
    """The results under each value of the key, in the order in which they first come."""
    groups: dict[Key, list[T]] = {}
    for one in results:
        groups.setdefault(key(one), []).append(one)
    return groups


def by_family(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Our own outcomes by family, in the order of FAMILIES."""
    groups = by(kept(outcomes, lambda one: one.method == OURS), lambda one: one.case.family)
    return {name: groups[name] for name in FAMILIES if name in groups}
