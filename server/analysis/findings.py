"""From signs to findings: windows and boots of one leak joined, lockstep caches gathered, since, shape and rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.analysis.choice import RISEN
from server.analysis.exhaust import exhausts_at
from server.analysis.follow import node_load
from server.analysis.lockstep import LIKENESS, likeness
from server.analysis.past import Past
from server.analysis.sentence import describe
from server.analysis.shape import is_over, leaks_again, onset, shape_of
from server.analysis.sign import Sign
from server.analysis.survey import material_rate
from server.analysis.tracks import MEMORY_AVAILABLE, Track, cells
from server.analysis.trend import fit, theil_sen
from server.analysis.types import AnalysisSettings, Finding, Lockstep, Shape

__all__ = ["Leak", "finding", "gather", "goes_on"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
MOST_PEERS = 12
UNLIKE = 3.0
"""A lockstep cache grows by so many times the fastest that it moves on any of MOST_PEERS peers."""

FEWEST_CELLS = 4
GIVEN_BACK = 0.5
"""Of what was allocated before a restart above its least, so much must go with it for a rise to begin there."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One leak of one node: its leading sign, the same cache's signs on earlier boots, and the lockstep caches."""

    sign: Sign
    earlier: tuple[Sign, ...]
    also: tuple[Lockstep, ...]
    q_value: float
    strong: bool


def _curve(sign: Sign) -> Track:
    return cells(sign.track, sign.span.start, sign.span.end, sign.span.width)


def lockstep(sign: Sign, others: Sequence[Track], settings: AnalysisSettings) -> tuple[Lockstep, ...]:
    """The caches of the sign's node whose floor follows the same curve, unlike their peers', by bytes an hour.

    `others` are coarse cells of the group's nodes; only other nodes' are used.
    """
    part = _curve(sign)
    column = part.index[sign.cache]
    alike = likeness(part.allocated, column)
    alike[column] = 0.0
    least = 0.1 * material_rate(sign.track, settings)
    like = np.flatnonzero(alike >= LIKENESS)
    rates = theil_sen(part.time, part.allocated[:, like])
    like, rates = like[rates > least], rates[rates > least]
    names = [part.names[other] for other in like]
    fastest = np.zeros(len(names))
    peers: dict[int, list[tuple[Floats, Floats, int]]] = {}
    for track in [track for track in others if track.node != sign.track.node][:MOST_PEERS] if names else ():
        peer = cells(track, sign.span.start, sign.span.end, sign.span.width)
        listed = [place for place, name in enumerate(names) if name in peer.index]
        if len(peer.time) >= FEWEST_CELLS:
            of = peers.setdefault(len(peer.time), [])
            of += ((peer.time, peer.allocated[:, peer.index[names[place]]], place) for place in listed)
    for some in peers.values():
        if some:
            times, series = (np.stack([one[k] for one in some], axis=1) for k in (0, 1))
            np.fmax.at(fastest, [place for _, _, place in some], np.abs(fit(times, series).rate))
    found = [
        Lockstep(name, float(rate) * 3600.0)
        for name, rate, most in zip(names, rates, fastest, strict=True)
        if rate > UNLIKE * most
    ]
    return tuple(sorted(found, key=lambda one: (-one.bytes_per_hour, one.cache)))


def gather(
    signs: Sequence[tuple[Sign, float, bool]], others: Sequence[Track], settings: AnalysisSettings
) -> list[Leak]:
    """One leak for each node and path: `signs` are the best of each (node, boot, cache) with q-value and strength.

    `others` are coarse cells of the group's nodes.
    """
    leaks: list[Leak] = []
    by_node: dict[str, list[tuple[Sign, float, bool]]] = {}
    for one in signs:
        by_node.setdefault(one[0].track.node, []).append(one)
    for node in sorted(by_node):
        by_cache: dict[str, list[tuple[Sign, float, bool]]] = {}
        for one in by_node[node]:
            by_cache.setdefault(one[0].cache, []).append(one)
        joined = []
        for same in by_cache.values():
            same.sort(key=lambda one: float(one[0].track.time[0]))
            best = max(range(len(same)), key=lambda k: (same[k][2], k))
            earlier = tuple(one[0] for one in same[:best])
            joined.append((same[best][0], earlier, min(one[1] for one in same), any(one[2] for one in same)))
        joined.sort(key=lambda one: (not one[3], one[0].facts.reclaimable, -one[0].rate, one[0].cache))
        taken: set[str] = set()
        for sign, earlier, q, strong in joined:
            if sign.cache in taken:
                continue
            also = tuple(one for one in lockstep(sign, others, settings) if one.cache not in taken)
            if "material" in sign.failed and not _matters(sign, also, settings):
                continue
            taken.update(one.cache for one in also)
            taken.add(sign.cache)
            leaks.append(Leak(sign, earlier, also, q, strong))
    return leaks


def _matters(sign: Sign, also: Sequence[Lockstep], settings: AnalysisSettings) -> bool:
    """Whether a cache that grows too slowly to matter does so with its lockstep caches that can't be reclaimed."""
    lazy = {name for name, facts in zip(sign.track.names, sign.track.facts, strict=True) if facts.reclaimable}
    others = sum(one.bytes_per_hour for one in also if one.cache not in lazy) / 3600.0
    own = sign.excess / float(sign.evidence["window_seconds"] or math.inf)
    return own + others >= material_rate(sign.track, settings)


def goes_on(sign: Sign, coarse: Sequence[Track]) -> bool:
    """Whether a leak seen on an earlier boot shows on the node's newest, at half its rate at least.

    True where the newest boot is too young to say. `coarse` are cells of the group's nodes, past warm-up.
    """
    for track in coarse:
        if track.node == sign.track.node and track.last and len(track.time) >= 6 and sign.cache in track.index:
            trend = fit(track.time, track.allocated[:, [track.index[sign.cache]]])
            return bool(trend.rate[0] >= 0.5 * sign.rate)
    return True


def _finer(sign: Sign, whole: Track) -> bool:
    """Whether the sign's part of the window has finer cells than the whole."""
    return len(whole.time) > 1 and sign.span.width < 0.7 * float(np.median(np.diff(whole.time)))


def _since(sign: Sign, coarse: Mapping[tuple[str, str], Track]) -> tuple[float, bool, float]:
    """When the rise began, whether it precedes the data, and the floor then.

    The cells of the whole window tell when; of a rise that came within a part with finer cells, but for RISEN of it,
    those do: of two hours, the cells of a day are too few.
    """
    whole = coarse.get((sign.track.node, sign.track.boot), sign.track)
    rough = _onset(whole, sign.cache)
    if rough is not None and not _finer(sign, whole):
        return rough
    part = _onset(_curve(sign), sign.cache)
    if part is None or rough is None:
        return part or rough or (float(sign.track.time[0]), True, float(sign.evidence["floor_before"] or 0.0))
    before = whole.allocated[whole.time < sign.span.start, whole.index[sign.cache]]
    before = before[np.isfinite(before)]
    risen = len(before) > 0 and float(before[-1]) - rough[2] > RISEN * sign.growth
    return rough if risen else (part[0], part[1] and not len(before), part[2])


def _onset(part: Track, cache: str) -> tuple[float, bool, float] | None:
    """When a cache's rise began, anew if it was restarted; whether that precedes the cells, and the floor then.

    None where too few are known.
    """
    column = part.index.get(cache)
    if column is None:
        return None
    kept = np.isfinite(part.allocated[:, column])
    t, y = part.time[kept], part.allocated[kept, column]
    if len(t) < FEWEST_CELLS:
        return None
    anew = leaks_again(part.active[kept, column])
    # Where its slabs were kept, what fell is load beside the leak.
    given_back = anew and float(y[anew:].min()) < float(y[:anew].min()) + GIVEN_BACK * float(np.ptp(y[:anew]))
    anew = anew if given_back and len(t) - anew >= FEWEST_CELLS else 0
    k = anew + onset(t[anew:], y[anew:])
    return float(t[k]), k == 0, float(np.median(y[anew : k + 1])) if k else float(y[0])


def _shape(sign: Sign, part: Track, kept: Bools, past: Past) -> Shape:
    """The shape of a rise, the `kept` cells of `part`; over only if it is so without what the nodes share, too."""
    column = part.index[sign.cache]
    t, y = part.time[kept], part.allocated[kept, column]
    shape: Shape = "stopped" if sign.span.ended else shape_of(t, y, node_load(part.active[kept], column))
    if shape == "stopped" and not sign.span.ended:
        own_t, own = past.series(sign.track.node, sign.track.boot, sign.cache, own=True)
        since = own_t >= t[0]
        if np.isin(own_t[since], t).all() and not is_over(own_t[since], own[since]):
            return "steady"
    return shape


def finding(leak: Leak, coarse: Mapping[tuple[str, str], Track], past: Past, end: float) -> Finding:
    """The finding of one leak; `coarse` are cells over the whole window, warm-up and all, by (node, boot)."""
    sign = leak.sign
    first = leak.earlier[0] if leak.earlier else sign
    since, is_open, base = _since(first, coarse)
    part = coarse.get((sign.track.node, sign.track.boot), sign.track)
    if not sign.span.whole and (sign.span.start > since or _finer(sign, part)):
        part = _curve(sign)
    y = part.allocated[:, part.index[sign.cache]]
    kept = np.isfinite(y) & (part.time >= since)
    if kept.sum() < FEWEST_CELLS:
        part = _curve(sign)
        y = part.allocated[:, part.index[sign.cache]]
        kept = np.isfinite(y)
    t, y = part.time[kept], y[kept]
    growing = t <= sign.span.end if (t <= sign.span.end).sum() >= 4 else slice(None)
    rate = float(theil_sen(t[growing], y[growing][:, None])[0])
    if leak.earlier:
        growth = max(sign.growth, 0.0) + sum(max(one.growth, 0.0) for one in leak.earlier)
    else:
        growth = max(float(np.median(y[-2:])) - base, rate * 0.5 * float(t[growing][-1] - t[0]))
    shape = _shape(sign, part, kept, past)
    available = sign.track.memory[:, MEMORY_AVAILABLE]
    available = available[np.isfinite(available)]
    per_hour = rate * 3600.0
    together = per_hour + sum(one.bytes_per_hour for one in leak.also)
    gone = exhausts_at(end, float(available[-1]) if len(available) else float("nan"), together)
    gone = None if shape == "stopped" else gone
    peers = sign.peers.rate / float(sign.evidence["window_seconds"] or 1.0) * 3600.0 if sign.peers.count else None
    return Finding(
        kind="outlier",
        node=sign.track.node,
        group=sign.track.group,
        cache=sign.cache,
        members=sign.facts.members,
        also=leak.also,
        growth_bytes=growth,
        bytes_per_hour=per_hour,
        objects_per_hour=per_hour / sign.facts.obj_size if sign.facts.obj_size else 0.0,
        peer_bytes_per_hour=peers,
        score=sign.score,
        q_value=leak.q_value,
        shape=shape,
        since=since,
        since_open=is_open,
        exhausts_at=gone,
        reclaimable=sign.facts.reclaimable,
        aliases=sign.facts.aliases,
        summary=describe(
            where=sign.track.node,
            cache=sign.cache,
            growth=growth,
            seconds=end - since,
            bytes_per_hour=per_hour,
            peers=sign.peers.count,
            peer_bytes_per_hour=peers,
            also=len(leak.also),
            reboots=len(leak.earlier),
            stopped=shape == "stopped",
            exhausts_at=gone,
        ),
        evidence={**sign.evidence, "not_passed": ", ".join(sign.failed) or None},
    )
