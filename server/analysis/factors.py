"""What moves a node's caches together: load, a bigger task, warm-up. A leak moves one cache, or a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["companion_effect", "companions", "greatest_swings", "node_effect", "node_scales"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEWEST = 12
"""With fewer varying caches there is no saying what moves a node as a whole."""
ALIKE = 0.6
"""Correlation on the peers above which a cache is taken to follow the same load."""
FEWEST_COMPANIONS, MOST_COMPANIONS = 4, 20
SHARE = 60.0
"""The percentile of relative growth that is put down to the node: above the median, so as to err to its side."""


def node_effect(relative: Floats, swing: Floats, varies: Bools, reclaimable: Bools) -> float:
    """The relative growth that this node's caches have in common, at least 0.

    `relative` [C] is each cache's growth over its level; `swing` [C] the most that it moved, relative to its level, on
    any other node of the group in the same time (NaN where none lists it): load moves a cache on every node sooner or
    later, so what moves here alone, or here by far more, is not put down to the node. Only caches that vary here are
    counted; reclaimable ones fill at their own pace and are left out where enough others remain.
    """
    chosen = varies & np.isfinite(relative) & np.isfinite(swing)
    if (chosen & ~reclaimable).sum() >= FEWEST:
        chosen = chosen & ~reclaimable
    if chosen.sum() < FEWEST:
        return 0.0
    return max(0.0, float(np.percentile(np.minimum(relative[chosen], swing[chosen]), SHARE)))


def greatest_swings(swings: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """For each node, the greatest swing of every cache on the *other* nodes, given each node's own."""
    first: dict[str, tuple[float, int]] = {}
    second: dict[str, float] = {}
    for index, own in enumerate(swings):
        for name, value in own.items():
            if name not in first:
                first[name] = (value, index)
            elif value > first[name][0]:
                second[name] = first[name][0]
                first[name] = (value, index)
            elif name not in second or value > second[name]:
                second[name] = value
    return [
        {
            name: value if at != index else second[name]
            for name, (value, at) in first.items()
            if at != index or name in second
        }
        for index in range(len(swings))
    ]


def companions(y: Floats, column: int) -> Floats:
    """How much each column of y [K, C] moves with one of them: the correlation of what their straight lines leave."""
    t = np.linspace(-1.0, 1.0, len(y))
    centred = y - y.mean(axis=0)
    centred = centred - np.outer(t, (t[:, None] * centred).sum(axis=0) / (t**2).sum())
    norm = np.sqrt((centred**2).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = (centred * centred[:, column, None]).sum(axis=0) / (norm * norm[column])
    alike = np.where(np.isfinite(alike), alike, 0.0)
    alike[column] = 0.0
    return alike


def companion_effect(alike: Floats, relative: Floats, swing: Floats, own_swing: float) -> float:
    """What the load explains of one cache's relative growth on one node, at least 0.

    `alike` [C] says how much each other cache moves with it on the peers, `relative` [C] how much each grew here
    beside its level, `swing` [C] how far each usually moves on the peers in as long a time. The caches that follow
    the same load on the peers say how far that load rose here, in swings of their own; the median of them times the
    cache's own swing is what it would have grown with them. A leak, even through several caches, moves but few of
    its peers' companions.
    """
    chosen = (alike >= ALIKE) & np.isfinite(relative) & (swing > 0)
    if chosen.sum() < FEWEST_COMPANIONS:
        return 0.0
    best = np.argsort(-np.where(chosen, alike, -1.0), kind="stable")[: min(int(chosen.sum()), MOST_COMPANIONS)]
    return max(0.0, float(np.median(relative[best] / swing[best]))) * own_swing


def node_scales(levels: Floats) -> Floats:
    """How big and busy each of N nodes is beside the others: the natural logarithm of its scale, 0 in the middle.

    `levels` [N, C] are the nodes' levels of the caches that vary on most of them; NaN where not listed. A scale is the
    median over the caches of the level's ratio to the median node's, so that no single cache (a leak) sways it.
    """
    scales = np.zeros(len(levels))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(levels)
    logs = np.where(np.isfinite(logs), logs, np.nan)
    logs = logs[:, np.isfinite(logs).sum(axis=0) >= 2]
    if logs.shape[1] < FEWEST:
        return scales
    apart = logs - np.nanmedian(logs, axis=0)
    for n in range(len(levels)):
        known = apart[n][np.isfinite(apart[n])]
        if len(known) >= FEWEST:
            scales[n] = float(np.median(known))
    return scales
