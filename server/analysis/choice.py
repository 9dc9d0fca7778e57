"""Of all signs of one cache on one boot, the one that speaks for it: over the part of the window that shows it best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from server.analysis.sign import Sign
from server.analysis.steady import is_sure
from server.analysis.windows import BRIEF

__all__ = ["RISEN", "WATCH_SCORE", "Choice", "choose"]

Choice = tuple[Sign, float, bool]
"""A sign, its q-value, and whether it is a finding (else it is watched)."""
Key = tuple[str, str, str]
"""Node, boot, cache."""

WATCH_SCORE, BRIEF_WATCH = 5.0, 3.5
"""Least score (see Sign.score) of a row in `watch`, and in windows under windows.BRIEF."""
FILLING = frozenset({"bends", "fills"})
SOFT = FILLING | {"in use", "load", "peers", "reclaimable", "step", "stopped"}
"""Gates which a sign in `watch` need not have passed."""
LIGHT = ("material",)
"""What a sure sign may have failed: it may matter together with its lockstep caches (see findings.gather)."""
RISEN = 0.1
"""Of a rise: what came so far before a part of the window did not begin there."""


def choose(signs: Iterable[tuple[Sign, float]], q_limit: float) -> list[Choice]:
    """The best sign of each node, boot and cache, in order of appearance; `signs` come with their q-values.

    What bends in cells as fine as another sign's or finer, and has not risen by more in that one, fails `bends` there
    as well: a rise of two hours has too few of a day's cells to show that it slows, its last hour alone too straight.
    """
    signs = list(signs)
    bent = _bent([sign for sign, _ in signs])
    best: dict[Key, Choice] = {}
    for sign, q_value in signs:
        key = _key(sign)
        width, most = bent.get(key, (math.inf, 0.0))
        alike = set(sign.failed) <= set(LIGHT) and not sign.span.ended
        if alike and sign.span.width >= width and sign.growth <= most:
            sign.failed += ("bends",)
        passed = not sign.failed or (sign.failed == LIGHT and _sure(sign))
        least = BRIEF_WATCH if sign.span.end - sign.span.start < BRIEF else WATCH_SCORE
        if sign.score < least or not (passed or set(sign.failed) <= SOFT):
            continue
        one = (sign, q_value, passed and sign.score >= sign.limit and q_value <= q_limit)
        if key not in best or _rank(one) > _rank(best[key]):
            best[key] = one
    return list(best.values())


def _key(sign: Sign) -> Key:
    return sign.track.node, sign.track.boot, sign.cache


def _bent(signs: Sequence[Sign]) -> dict[Key, tuple[float, float]]:
    """The width of the finest cells in which a rise up to the window's end bends, and the most that it rises by."""
    found: dict[Key, tuple[float, float]] = {}
    for sign in signs:
        fills = FILLING & set(sign.failed) and set(sign.failed) <= FILLING.union(LIGHT)
        if fills and not sign.span.ended and sign.score >= WATCH_SCORE:
            one = (sign.span.width, -sign.growth)
            found[_key(sign)] = min(found.get(_key(sign), one), one)
    return {key: (width, -growth * (1 + RISEN)) for key, (width, growth) in found.items()}


def _rank(one: Choice) -> tuple[bool, bool, bool, bool, float]:
    """Findings first, then what matters by itself, what reaches the window's end, what is sure, then the longest.

    A leak that began two hours ago shows in the last four hours, too, but there unevenly.
    """
    sign, _, strong = one
    return strong, not sign.failed, not sign.span.ended, _sure(sign), sign.span.end - sign.span.start


def _sure(sign: Sign) -> bool:
    return is_sure(sign.score, sign.evidence, reclaimable=sign.facts.reclaimable)
