"""Whether a node's other caches grew with one: a task's do, a leak's do not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from server.analysis.lockstep import LIKENESS as IN_LOCKSTEP
from server.analysis.lockstep import like
from server.analysis.medians import midst
from server.analysis.survey import Fit

__all__ = ["MANY_MORE", "WORK", "alongside", "company", "usual_company"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LIKENESS, CLOSELY, SHARE, LEAST = 0.7, 0.95, 0.4, 4 * 4096.0
"""What grows with one: correlation of the floors, and with a straight one, share of its growth over level, bytes."""
AS_MANY = 1.15
"""What grows by as many objects, within so many times, is of the same things: a descriptor is an object in each of five
caches, a process in a dozen."""
MANY_MORE, WORK = 3, 6
"""Other caches that rise along with one: over less than a day that is more work for all nodes, where it rises on nearly
all of them; more work for a few, where it does so on these. What the kernel can shrink does not count for the latter:
after a boot it fills beside everything. A leak of processes, namespaces or cgroups goes through several caches, too."""


def company(one: Fit, column: int, usual: Floats, *, straight: bool = False) -> Bools:
    """[C] which other caches of the node grew with this one: along its curve, by a like share of their level or more.

    A leak is alone, or nearly; a task that starts, a backup, a surge of requests moves many.
    `usual` [C] is what each grew by over its level on the peers meanwhile, at least 0: what all do is no company. What
    grows in lockstep by as many objects is none either: work moves each cache in proportion to what it held, one leak's
    caches hold as many objects more.
    """
    rises = _rises(one, usual, _share(one, column, usual))
    rises[column] = False
    alike = _likeness(one, rises, one.cells().allocated[:, column])
    objects = (one.last - one.first) / one.sizes
    least, most = objects[column] / AS_MANY, objects[column] * AS_MANY
    same = (alike >= IN_LOCKSTEP) & (least <= objects) & (objects <= most)
    return np.asarray((alike >= (CLOSELY if straight else LIKENESS)) & ~same)


def alongside(one: Fit, column: int) -> frozenset[str]:
    """Which other caches of the node grew along this one's curve by a like share of their level or more, in all.

    For caches that many nodes show growing: which of the others belong to a leak of all nodes is not told.
    """
    usual = np.zeros(len(one.first))
    rises = _rises(one, usual, _share(one, column, usual))
    rises[column] = False
    along = _likeness(one, rises, one.cells().allocated[:, column]) >= LIKENESS
    return frozenset(one.track.names[place] for place in np.flatnonzero(along))


def usual_company(one: Fit, column: int, usual: Floats, peers: Sequence[Fit], *, straight: bool = False) -> float:
    """How many caches of the median peer rise along this one's curve so much, by chance. Arguments as above.

    Peers on which the cache itself does so may be at the same work: the others tell, if there are any.
    """
    part = one.cells()
    y = part.allocated[:, column]
    known, share = np.isfinite(y), _share(one, column, usual)
    name = one.track.names[column]
    apart: list[int] = []
    along: list[int] = []
    for peer in peers:
        own = usual
        if peer.track.names is not one.track.names:
            own = np.append(usual, 0.0)[_places(peer.track.names, one.track.names)]
        rises = _rises(peer, own, share)
        if not rises.any():
            apart.append(0)
            continue
        alike = _likeness(peer, rises, np.interp(peer.cells().time, part.time[known], y[known]))
        with_it = alike >= (CLOSELY if straight else LIKENESS)
        too = name in peer.track.index and bool(with_it[peer.track.index[name]])
        (along if too else apart).append(int(with_it.sum()))
    counts = apart or along
    return midst(np.array(counts, dtype=np.float64)) if counts else 0.0


@lru_cache(maxsize=64)
def _places(names: tuple[str, ...], others: tuple[str, ...]) -> NDArray[np.intp]:
    """Where each of the names stands among others; the place after the last where it does not."""
    place = {name: number for number, name in enumerate(others)}
    return np.array([place.get(name, len(others)) for name in names], dtype=np.intp)


def _share(one: Fit, column: int, usual: Floats) -> float:
    return SHARE * max(float(_beyond(one, usual)[column]), 0.0)


def _beyond(one: Fit, usual: Floats) -> Floats:
    return np.asarray((one.last - one.first) / np.maximum(one.first, 1.0) - usual)


def _rises(one: Fit, usual: Floats, share: float) -> Bools:
    """[C] which of a node's caches rose by so much beyond the usual."""
    return np.asarray((one.last - one.first >= LEAST) & (_beyond(one, usual) >= share))


def _likeness(one: Fit, chosen: Bools, curve: Floats) -> Floats:
    """[C] the correlation of the chosen caches with that curve; 0 of the others."""
    found = np.zeros(len(chosen))
    if chosen.any():
        found[chosen] = like(one.cells().allocated[:, chosen], curve)
    return found
