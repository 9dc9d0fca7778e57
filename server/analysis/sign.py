"""A series whose floor rises over a span, with what it was measured against, and how strong it must be."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from server.analysis.peers import Peers
from server.analysis.tracks import CacheFacts, Track
from server.analysis.windows import BRIEF, DAY, SOME_HOURS, Span

__all__ = [
    "BRIEF_SCORE",
    "COHORT_SHARE",
    "COMPANY_WEIGHT",
    "DAYLESS_SCORE",
    "DAY_SCORE",
    "FINDING_SCORE",
    "FLEET_SHARE",
    "LAZY_SCORE",
    "LEAST_IN_USE",
    "OVER_SCORE",
    "PART_SCORE",
    "PEERLESS_BRIEF",
    "PEERLESS_PART",
    "PEERLESS_SCORE",
    "PLAIN_IN_USE",
    "PLAIN_SCORE",
    "Sign",
    "least_score",
]

FINDING_SCORE, PART_SCORE, BRIEF_SCORE = 6.0, 8.0, 5.0
"""Least score of a finding (see Sign.score): over the whole window; over a part of it, as there are many; over a window
under BRIEF, in which nothing but noise and company has time to look like a leak."""
DAYLESS_SCORE = 12.0
"""The same over some hours (windows.SOME_HOURS) where the window's data hold no day that tells how far caches move."""
DAY_SCORE = 8.5
"""The same over a whole window of a day and more. Of 435 simulated leaks none is lost by it; in 67,000 healthy
node-days two series had 6 to 8.5."""
LAZY_SCORE = 18.0
"""Least score of a cache that the kernel can shrink: such fill each at its own pace."""
OVER_SCORE = 16.0
"""Least score of a rise that is over."""
PLAIN_SCORE = 16.0
"""Least score over a part that is too short to tell a leak from a busy moment (see windows.Span.hasty)."""
PEERLESS_SCORE, PEERLESS_PART, PEERLESS_BRIEF = 10.0, 20.0, 7.0
"""Least score of a cache that no other node lists: over the whole window, a part of it, and a window under BRIEF."""
LEAST_IN_USE, PLAIN_IN_USE = 3.0, 5.0
"""Least score of what the objects in use grew by, beside the peers' alone, and in a hasty part (see Sign.beside)."""
FLEET_SHARE = 0.8
"""Of the nodes that list a cache: so many must show its growth for it to be the fleet's (contract.md)."""
COHORT_SHARE = 0.35
"""Of the nodes that list a cache: from so many on that grow, the median of all is no measure (see cohort)."""
COMPANY_WEIGHT = 0.25
"""Every other cache of the node that grows with it makes a sign so much weaker, in spans that hold no whole day; in one
under BRIEF, whatever the window, so much times their square: one may rise by chance there, but many do on a node that
takes up work."""


def least_score(span: Span, length: float, *, dayless: bool) -> float:
    """The least score of a finding over `length` seconds of a span; `dayless` as in Sign."""
    if span.hasty:
        return PLAIN_SCORE
    if dayless and length >= SOME_HOURS:
        return DAYLESS_SCORE
    if not span.whole or span.ended:
        return PART_SCORE
    if length >= DAY:
        return DAY_SCORE
    return BRIEF_SCORE if span.end - span.start < BRIEF else FINDING_SCORE


@dataclass(slots=True)
class Sign:
    """A (node, boot, cache) whose floor rises over a span. Bytes and seconds."""

    track: Track
    cache: str
    facts: CacheFacts
    span: Span
    growth: float
    error: float
    rate: float
    """Bytes a second."""
    removed: float
    """What the node effect explains beyond the peers' growth: by how much its caches rose more than its peers'."""
    together: float
    """What the node effect explains where there is no comparison with peers."""
    peers: Peers
    wander: float
    """How much this cache usually moves in as long a time, on this node or its peers."""
    own_wander: float
    lone_growth: float
    """Growth and its error without regard to what the nodes share: how it looks to one who sees this node only."""
    lone_error: float
    excess: float
    """Growth less what the node effect and the peers' median explain."""
    score: float
    """Excess over the root of the summed squares of own error, peers' spread and wander; less where it has company."""
    short: bool
    """Whether the span holds no whole day."""
    alongside: frozenset[str] = frozenset()
    """Which other caches of the node rose along with it, also those that the peers' did too. Known of caches that
    many nodes show growing."""
    at_work: int = 0
    """Of those, what the kernel cannot shrink and one leak's lockstep caches do not explain (see company)."""
    dayless: bool = False
    """Whether the group's data in the window hold no whole day."""
    beside: float = math.inf
    """What the objects in use grew by over what the peers' did (see weigh.Weighed.beside)."""
    failed: tuple[str, ...] = ()
    """The gates that it did not pass, by name."""
    evidence: dict[str, float | str | None] = field(default_factory=dict)

    @property
    def limit(self) -> float:
        """The least score with which this would be a finding."""
        return least_score(self.span, float(self.evidence["window_seconds"] or 0.0), dayless=self.dayless)
