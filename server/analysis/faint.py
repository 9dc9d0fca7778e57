"""Signs that can count for nothing but their number, told from the others before anything is made of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.analysis.candidates import LEAST_SCORE, Candidates
from server.analysis.identity import kept_late
from server.analysis.survey import Survey
from server.analysis.weigh import Weighed

__all__ = ["MOST_NODE", "Faint", "counts", "faint"]

Bools = NDArray[np.bool_]

MOST_NODE = 0.3
"""Of a growth: what more of it is explained by the node's load is the load's."""


class Faint(NamedTuple):
    """A sign too weak by itself that is not to be the fleet's either. Only q-values ask how many of which score."""

    node: str
    cache: str
    score: float
    short: bool


def counts(surveyed: Survey, candidates: Candidates, weighed: Weighed) -> Bools:
    """[S] whether each may be a finding or count for the fleet's (see fleet.grown_alike), by what is known so far."""
    strong: Bools = weighed.score >= LEAST_SCORE
    if not surveyed.span.of_all:
        return strong
    own = np.maximum(weighed.removed, weighed.together) <= MOST_NODE * candidates.trend.growth
    panel, at = surveyed.panel, (candidates.rows, candidates.columns)
    held = zip(candidates.columns.tolist(), surveyed.last[at].tolist(), strict=True)
    late = np.array([kept_late(panel.names[column], after) for column, after in held], dtype=np.bool_)
    return np.asarray(strong | (own & ~(panel.reclaimable[at] & late)))


def faint(surveyed: Survey, candidates: Candidates, weighed: Weighed, chosen: Bools) -> list[Faint]:
    """The `chosen` [S] as such."""
    panel = surveyed.panel
    found = (candidates.rows, candidates.columns, weighed.score, weighed.short)
    return [
        Faint(panel.tracks[row].node, panel.names[column], score, short)
        for row, column, score, short in zip(*(values[chosen].tolist() for values in found), strict=True)
    ]
