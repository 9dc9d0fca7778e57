"""What the objects in use do on a candidate's peers: what is allocated tells less, as half empty slabs are kept.

A slab goes back only once it is empty (__slab_free and min_partial in mm/slub.c). So what is allocated stays near the
most that was ever in use, stands still while the load moves below that, and moves only on the node where the load
passes it: there it looks like a leak.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.analysis.bench import Bench, Compared
from server.analysis.candidates import Candidates, in_use
from server.analysis.peers import robust_spreads
from server.analysis.survey import Survey
from server.analysis.trend import fit

__all__ = ["peers_in_use"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def peers_in_use(surveyed: Survey, bench: Bench, candidates: Candidates, compared: Compared) -> tuple[Floats, Floats]:
    """[S] the median of what the peers' objects in use grow by over each candidate's span, scaled, and its spread.

    In bytes; NaN without peers. See peers.robust_spreads.
    """
    caches, place = np.unique(candidates.columns, return_inverse=True)
    rate, error = (np.full((len(bench.peers), len(caches)), np.nan) for _ in range(2))
    for part in surveyed.parts:
        theirs = np.flatnonzero(np.isin(bench.peers, part.members))
        theirs = theirs[np.argsort(bench.peers[theirs])]
        peer, cache = np.nonzero(surveyed.panel.listed[np.ix_(bench.peers[theirs], caches)])
        if not len(peer):
            continue
        rows = bench.peers[theirs[peer]]
        trend = fit(part.t, in_use(surveyed.panel, part, rows, caches[cache]))
        rate[theirs[peer], cache] = trend.growth / surveyed.length[rows]
        error[theirs[peer], cache] = trend.error / surveyed.length[rows]
    length = (surveyed.length[candidates.rows] * compared.scale)[:, None]
    rates, errors = (np.where(compared.known, values[:, place].T * length, np.nan) for values in (rate, error))
    return robust_spreads(rates, np.where(np.isnan(rates), np.nan, errors))
