"""What moves a node's caches together: load, a bigger task, warm-up. A leak moves one cache, or a few."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.analysis.medians import medians

__all__ = ["Moving", "companion_effect", "node_effects", "node_scales", "others_greatest"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEWEST = 12
"""With fewer varying caches there is no saying what moves a node as a whole."""
ALIKE = 0.6
"""Correlation on the peers above which a cache is taken to follow the same load."""
FEWEST_COMPANIONS, MOST_COMPANIONS = 4, 20
SHARE = 60.0
"""The percentile of relative growth that is put down to the node: above the median, so as to err to its side."""


def node_effects(relative: Floats, swing: Floats, varies: Bools, reclaimable: Bools) -> Floats:
    """The relative growth [N] that each node's caches have in common, at least 0.

    All [N, C]: `relative` is each cache's growth over its level; `swing` the most that it moved, relative to its
    level, on any other node in the same time (NaN where none lists it): load moves a cache on every node sooner or
    later, so what moves here alone, or here by far more, is not put down to the node. Only caches that vary here are
    counted; reclaimable ones fill at their own pace and are left out where enough others remain.
    """
    if relative.shape[1] < FEWEST:
        return np.zeros(len(relative))
    chosen = varies & np.isfinite(relative) & np.isfinite(swing)
    firm = chosen & ~reclaimable
    chosen = np.where((firm.sum(axis=1) >= FEWEST)[:, None], firm, chosen)
    count = chosen.sum(axis=1)
    values = np.sort(np.where(chosen, np.minimum(relative, swing), np.inf), axis=1)
    at = np.ceil(SHARE / 100 * np.maximum(count - 1, 0)).astype(np.intp)
    effect = np.where(count >= FEWEST, values[np.arange(len(values)), at], 0.0)
    return np.asarray(np.maximum(effect, 0.0))


def others_greatest(swing: Floats) -> Floats:
    """For each row of [N, C] the greatest value of every column in the *other* rows; NaN where none has one."""
    if len(swing) < 2:
        return np.full_like(swing, np.nan)
    known = np.where(np.isnan(swing), -np.inf, swing)
    greatest = known.max(axis=0)
    own = known == greatest
    own &= own.sum(axis=0) == 1
    best = np.where(own, np.where(own, -np.inf, known).max(axis=0), greatest)
    return np.where(np.isfinite(best), best, np.nan)


class Moving:
    """What the straight lines of y [K, C] leave."""

    def __init__(self, y: Floats) -> None:
        t = np.linspace(-1.0, 1.0, len(y))
        centred = y - y.mean(axis=0)
        self._left = centred - np.outer(t, (t[:, None] * centred).sum(axis=0) / (t**2).sum())
        self._norm = np.sqrt((self._left**2).sum(axis=0))

    def companions(self, column: int) -> Floats:
        """How much each column moves with one of them: the correlation of what the lines leave; 0 with itself."""
        with np.errstate(divide="ignore", invalid="ignore"):
            alike = (self._left * self._left[:, column, None]).sum(axis=0) / (self._norm * self._norm[column])
        alike = np.where(np.isfinite(alike), alike, 0.0)
        alike[column] = 0.0
        return alike


def companion_effect(alike: Floats, relative: Floats, swing: Floats, own_swing: float) -> Floats:
    """What the load explains of one cache's relative growth on each of N nodes, at least 0.

    `alike` [C] says how much each other cache moves with it on the peers, `relative` [N, C] how much each grew here
    beside its level, `swing` [C] how far each usually moves on the peers in as long a time. The caches that follow
    the same load on the peers say how far that load rose here, in swings of their own; the median of them times the
    cache's own swing is what it would have grown with them. A leak, even through several caches, moves but few of
    its peers' companions.
    """
    chosen = np.flatnonzero((alike >= ALIKE) & (swing > 0))
    best = chosen[np.argsort(-alike[chosen], kind="stable")]
    known = np.isfinite(relative[:, best])
    share = np.where(known & (known.cumsum(axis=1) <= MOST_COMPANIONS), relative[:, best] / swing[best], np.nan)
    rose = np.maximum(medians(share), 0.0) * own_swing
    return np.where(known.sum(axis=1) >= FEWEST_COMPANIONS, rose, 0.0)


def node_scales(levels: Floats) -> Floats:
    """How big and busy each of N nodes is beside the others: the natural logarithm of its scale, 0 in the middle.

    `levels` [N, C] are the nodes' levels of the caches that vary on most of them; NaN where not listed. A scale is the
    median over the caches of the level's ratio to the median node's, so that no single cache (a leak) sways it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(levels)
    logs = np.where(np.isfinite(logs), logs, np.nan)
    logs = logs[:, np.isfinite(logs).sum(axis=0) >= 2]
    enough = np.isfinite(logs).sum(axis=1) >= FEWEST
    scales = np.zeros(len(levels))
    if enough.any():
        scales[enough] = medians((logs - medians(logs.T))[enough])
    return scales
