"""What the objects in use do on a candidate's peers: what is allocated tells less, as half empty slabs are kept.

A slab goes back only once it is empty (__slab_free and min_partial in mm/slub.c). So what is allocated stays near the
most that was ever in use, stands still while the load moves below that, and moves only on the node where the load
passes it: there it looks like a leak.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.analysis.bench import Bench, Compared
from server.analysis.candidates import Candidates, used_bytes
from server.analysis.peers import robust_spreads
from server.analysis.shared import Block, Shared
from server.analysis.survey import Survey
from server.analysis.trend import Trend, fit

__all__ = ["beside_peers"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def beside_peers(
    surveyed: Survey, bench: Bench, candidates: Candidates, compared: Compared
) -> tuple[Trend, Floats, Floats]:
    """How the objects in use grow, without what the nodes share; and [S] the peers' median of it, and its spread.

    In bytes over each candidate's span, the peers' scaled; NaN without peers (see peers.robust_spreads).
    """
    panel, rows = surveyed.panel, np.sort(bench.peers)
    caches, place = np.unique(candidates.columns, return_inverse=True)
    theirs = [_block(surveyed, number, rows, caches) for number in range(len(surveyed.parts))]
    curves = Shared(theirs, rows, panel.listed[np.ix_(rows, caches)])
    rate, error = (np.full((len(panel.tracks), len(caches)), np.nan) for _ in range(2))
    for part, block in zip(surveyed.parts, theirs, strict=True):
        trend, at = fit(part.t, curves.cleaned(block)), (block.rows, block.columns)
        rate[at], error[at] = trend.growth, trend.error
    seconds = surveyed.length[:, None]
    rate, error = rate / seconds, error / seconds
    part, used = candidates.part, used_bytes(panel, candidates.part, candidates.rows, candidates.columns)
    own = fit(part.t, curves.cleaned(Block(part.t / part.width, used, candidates.rows, place)))
    length = (surveyed.length[candidates.rows] * compared.scale)[:, None]
    rates, errors = (np.where(compared.known, v[bench.peers][:, place].T * length, np.nan) for v in (rate, error))
    median, spread = robust_spreads(rates, np.where(np.isnan(rates), np.nan, errors))
    return own, median, spread


def _block(surveyed: Survey, number: int, rows: Indices, caches: Indices) -> Block:
    """What is in use of the caches on those rows (upwards) that are in a part; its columns are places in `caches`."""
    part, panel = surveyed.parts[number], surveyed.panel
    mine = rows[np.isin(rows, part.members)]
    row, column = np.nonzero(panel.listed[np.ix_(mine, caches)])
    used = used_bytes(panel, part, mine[row], caches[column]) if len(row) else np.zeros((len(part.t), 0))
    return Block(part.t / part.width, used, mine[row], column)
