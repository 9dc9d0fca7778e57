"""The known methods, from their definitions: slabdiff, MAD on growth and on slope, DBSCAN on growth, Mann-Kendall.

Each takes a Panel and gives every (node, cache) a score [N, C]; NaN is "cannot say", and from the method's limit on it
is a finding. All are helped in one way that their users would too: growth too slow to matter is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.buckets import WIDTHS, NodeSeries

__all__ = ["BASELINES", "Baseline", "Panel", "bucket_width", "dbscan_noise", "mad_scores", "mann_kendall", "panel"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Panel:
    """Allocated bytes of N nodes x T buckets x C caches by the kernel's names; NaN where not listed or not seen."""

    nodes: tuple[str, ...]
    caches: tuple[str, ...]
    time: Floats
    """[T] seconds from the window's start."""
    held: Floats
    """[N, T, C]"""
    memory: Floats
    """[N] bytes; NaN where unknown."""


def bucket_width(seconds: float) -> int:
    """The widest reduction that leaves a window at least 24 buckets."""
    return max((width for width in WIDTHS if seconds / width >= 24), default=WIDTHS[0])


def panel(nodes: Sequence[NodeSeries], start: float, end: float, width: int) -> Panel:
    """Rows of one name summed, boots joined: these methods know nothing of reboots."""
    names = sorted({row.name for node in nodes for boot in node.boots for row in boot.rows})
    column = {name: at for at, name in enumerate(names)}
    count = int((end - start) // width) + 1
    held = np.full((len(nodes), count, len(names)), np.nan)
    memory = np.full(len(nodes), np.nan)
    for n, node in enumerate(nodes):
        for boot in node.boots:
            at = np.clip(((boot.time - start) // width).astype(np.intp), 0, count - 1)
            for k, row in enumerate(boot.rows):
                c = column[row.name]
                known = np.isfinite(boot.num_min[:, k])
                if row.ordinal == 0:
                    held[n, at[known], c] = 0.0
                held[n, at[known], c] += boot.num_min[known, k] * float(row.obj_size)
            memory[n] = boot.memory[-1, 0]
    kept = np.isfinite(held).any(axis=(0, 2))
    time = (np.arange(count) * float(width))[kept]
    return Panel(tuple(node.node for node in nodes), tuple(names), time, held[:, kept], memory)


def growth(data: Panel) -> Floats:
    """[N, C] last minus first, in bytes."""
    known = np.isfinite(data.held)
    first = np.take_along_axis(data.held, known.argmax(axis=1)[:, None], axis=1)[:, 0]
    back = known.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    last: Floats = np.take_along_axis(data.held, back[:, None], axis=1)[:, 0]
    return last - first


def slope(data: Panel) -> Floats:
    """[N, C] least-squares slope, bytes a second; NaN below three points."""
    known = np.isfinite(data.held)
    n = known.sum(axis=1)
    t = np.where(known, data.time[None, :, None], 0.0)
    y = np.where(known, data.held, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(known, t - (t.sum(axis=1) / n)[:, None], 0.0)
        result: Floats = (t * y).sum(axis=1) / (t * t).sum(axis=1)
    return np.where(n >= 3, result, np.nan)


def mad_scores(values: Floats, least: float) -> Floats:
    """[N, C] distance from the nodes' median in robust standard deviations, which are at least `least`.

    NaN for caches on fewer than three nodes.
    """
    with np.errstate(all="ignore"):
        middle = _median(values)
        spread = np.maximum(1.4826 * _median(np.abs(values - middle)), least)
    enough = np.isfinite(values).sum(axis=0) >= 3
    return np.where(enough, (values - middle) / spread, np.nan)


def _median(values: Floats) -> Floats:
    """[C] medians of the known values of each column; NaN where there are none."""
    ordered = np.sort(values, axis=0)
    n = np.isfinite(values).sum(axis=0)
    low, high = np.maximum((n - 1) // 2, 0), np.minimum(n // 2, len(values) - 1)
    columns = np.arange(values.shape[1])
    result: Floats = (ordered[low, columns] + ordered[high, columns]) / 2
    return result


def dbscan_noise(values: Floats, eps: float, fewest: int) -> Bools:
    """Which of the values [N] DBSCAN (Ester and others 1996) leaves out of every cluster.

    A point with at least `fewest` points (itself too) within `eps` is a core; noise is within `eps` of no core.
    """
    near = np.abs(values[:, None] - values[None, :]) <= eps
    core = near.sum(axis=1) >= fewest
    noise: Bools = ~(near & core[None, :]).any(axis=1)
    return noise


def _dbscan(data: Panel) -> Floats:
    """1 for noise above the median; eps is three robust standard deviations, a cluster takes half of the nodes."""
    values = growth(data)
    scores = np.full(values.shape, np.nan)
    for c in range(values.shape[1]):
        known = np.flatnonzero(np.isfinite(values[:, c]))
        if len(known) < 3:
            continue
        y = values[known, c]
        eps = max(3 * 1.4826 * float(np.median(np.abs(y - np.median(y)))), SLAB)
        noise = dbscan_noise(y, eps, max(2, len(y) // 2))
        far = (y - np.median(y)) / eps
        scores[known, c] = np.where(noise & (far > 0), far, 0.0)
    return scores


def mann_kendall(y: Floats) -> Floats:
    """[C] the standard normal score of the Mann-Kendall trend test of each column [T, C], with its tie correction.

    NaN values are left out; below four points the score is NaN.
    """
    count = np.isfinite(y).sum(axis=0)
    s = np.zeros(y.shape[1])
    for at in range(len(y) - 1):
        s += np.nansum(np.sign(y[at + 1 :] - y[at]), axis=0)
    n = count.astype(np.float64)
    variance = n * (n - 1) * (2 * n + 5)
    for c in np.flatnonzero(count >= 4):
        _, ties = np.unique(y[np.isfinite(y[:, c]), c], return_counts=True)
        variance[c] -= float((ties * (ties - 1.0) * (2.0 * ties + 5)).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(variance > 0, (s - np.sign(s)) / np.sqrt(variance / 18), 0.0)
    return np.where(count >= 4, z, np.nan)


def _kendall(data: Panel) -> Floats:
    return np.stack([mann_kendall(one) for one in data.held])


def _top(data: Panel) -> Floats:
    """The last line of slabdiff's output on every node: the growth of what grew most, and nothing else."""
    values = np.nan_to_num(growth(data), nan=-np.inf)
    top = values == values.max(axis=1, keepdims=True)
    return np.where(top, values, np.minimum(values, 0.0))


SLAB = 32768.0
"""Bytes of the largest usual slab: no spread is less."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A method and the least score that it calls a finding."""

    name: str
    limit: float
    score: Callable[[Panel], Floats]

    def judge(self, data: Panel, material: Floats) -> list[tuple[str, str, float]]:
        """(node, cache, score) of every finding, the greatest score first; `material` [N] is bytes a second."""
        scores = self.score(data)
        seconds = float(data.time[-1] - data.time[0]) if len(data.time) else 0.0
        with np.errstate(invalid="ignore"):
            found = (scores >= self.limit) & (growth(data) >= (material * seconds)[:, None])
        rows = [(data.nodes[n], data.caches[c], float(scores[n, c])) for n, c in zip(*np.nonzero(found), strict=True)]
        return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))


BASELINES = (
    Baseline("slabdiff, top growth", 1.0, _top),
    Baseline("MAD on growth", 6.0, lambda data: mad_scores(growth(data), SLAB)),
    Baseline("MAD on slope", 6.0, lambda data: mad_scores(slope(data), SLAB / max(float(np.ptp(data.time)), 1.0))),
    Baseline("DBSCAN on growth", 1e-9, _dbscan),
    Baseline("Mann-Kendall", 3.0902, _kendall),
)
"""Limits: 6 robust standard deviations are the usual setting of outlier monitors; 3.09 is a one-sided p of 0.001."""
