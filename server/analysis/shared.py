"""What one cache does on all nodes besides rising: the day's curve. Taken off, it is neither noise nor wander."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "Shared", "detrended"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

FEWEST = 2
"""Other nodes, from which on what they have in common can be told from what one of them does."""
PLENTY = 8
"""Nodes that list a cache, from which on leaving one out of their median makes little difference."""
MOST = 8.0
"""A node's swing is put down to the curve that all share up to so many times its share by its least level."""


@dataclass(frozen=True, slots=True)
class Block:
    """Series of some nodes in the same K cells. V series."""

    number: Floats
    """[K] of each cell: its time over the cells' width, rounded down."""
    y: Floats
    """[K, V] bytes."""
    rows: Indices
    """[V] whose each series is."""
    columns: Indices
    """[V] of which cache."""


class Shared:
    """The curves of C caches that the others of P nodes share, by cell: shares of their level, without their trend.

    `members` are rows (see Block), `listed` [P, C] which caches each of them lists: what does not vary is in no block
    and stands still.
    """

    def __init__(self, blocks: Iterable[Block], members: Indices, listed: NDArray[np.bool_]) -> None:
        blocks = list(blocks)
        numbers = np.concatenate([block.number for block in blocks]) if blocks else np.zeros(1)
        self._first = float(numbers.min())
        self._members = members
        cells = int(numbers.max() - self._first) + 1
        self._cube = np.full((cells, listed.shape[1], len(members)), np.nan)
        place = np.full(int(max(members.max(initial=-1), *(b.rows.max(initial=-1) for b in blocks), 0)) + 1, -1)
        place[members] = np.arange(len(members))
        for block in blocks:
            at = self._at(block.number)
            for member in np.unique(place[block.rows]).tolist():
                if member >= 0:
                    self._cube[np.ix_(at, np.flatnonzero(listed[member]), [member])] = 0.0
            mine = np.flatnonzero(place[block.rows] >= 0)
            mine = mine[np.isfinite(block.y[:, mine]).all(axis=0)]
            y = block.y[:, mine]
            level = np.abs(y).mean(axis=0)
            curve = np.divide(detrended(y), level, out=np.zeros_like(y), where=level > 0)
            self._cube[at[:, None], block.columns[mine], place[block.rows[mine]]] = curve
        self._many = listed.sum(axis=0) >= PLENTY
        self._common = _middle(self._cube) if self._many.any() else np.zeros(self._cube.shape[:2])
        self._place = place

    def _at(self, number: Floats) -> Indices:
        return np.asarray(number - self._first, dtype=np.intp)

    def cleaned(self, block: Block) -> Floats:
        """The block's series [K, V] without as much of the shared curve as each follows (least squares)."""
        at = self._at(block.number)
        outside = not len(block.columns) or at.min() < 0 or at.max() >= len(self._cube)
        if len(self._members) <= FEWEST or outside:
            return block.y
        curve = self._common[at].take(block.columns, axis=1)
        few = np.flatnonzero(~self._many[block.columns])
        if len(few):
            others, rows = self._cube[np.ix_(at, block.columns[few])], block.rows[few]
            own = np.where(rows < len(self._place), self._place[np.minimum(rows, len(self._place) - 1)], -1)
            others[:, np.arange(len(own))[own >= 0], own[own >= 0]] = np.nan
            curve[:, few] = _middle(others)
        curve = detrended(curve)
        power = (curve**2).sum(axis=0)
        follows = np.flatnonzero(power > 0)
        if not len(follows):
            return block.y
        y, curve = block.y.take(follows, axis=1), curve.take(follows, axis=1)
        share = (detrended(y) * curve).sum(axis=0) / power[follows]
        least = np.fmin.reduce(y, axis=0)  # what a leak has added since follows no load
        level = np.where(least > 0, least, np.abs(y).mean(axis=0))
        share = np.clip(np.where(np.isnan(share), 0.0, share), 0.0, MOST * level)
        y -= np.where(np.isnan(share), 0.0, share) * curve
        if len(follows) == len(power):
            return y
        result = block.y.copy()
        result[:, follows] = y
        return result


def _middle(curves: Floats) -> Floats:
    """[K, V] the median over the last axis of [K, V, P]; 0 where fewer than FEWEST are known."""
    ordered = np.sort(curves, axis=2)  # NaN comes last
    count = np.isfinite(ordered).sum(axis=2)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, curves.shape[2] - 1)
    pair = np.take_along_axis(ordered, np.stack([low, high], axis=2), axis=2)
    return np.where(count >= FEWEST, pair.mean(axis=2), 0.0)


def detrended(y: Floats) -> Floats:
    """The columns of y [K, C] less their least-squares lines."""
    t, power = _line(len(y))
    centred = y - y.mean(axis=0)
    return np.asarray(centred - t[:, None] * (t @ centred / power)) if power > 0 else centred


@lru_cache(maxsize=64)
def _line(length: int) -> tuple[Floats, float]:
    t = np.linspace(-1.0, 1.0, length)
    t -= t.mean()
    return t, float((t**2).sum())
