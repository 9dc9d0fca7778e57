"""What moves a node's caches together: load, a bigger task, warm-up. A leak moves one cache, or a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["greatest_swings", "node_effect"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEWEST = 12
"""With fewer varying caches there is no saying what moves a node as a whole."""
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
