"""A cache that grows on a good part of a group's nodes and stands still on the rest: two kinds of nodes, told apart.

The median of all others says nothing then: it lies with whichever half is larger. So the nodes that grow are compared
with those that do not, under harder conditions than an outlier: a clear gap between the two, and a score as a fleet's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from server.analysis.company import WORK
from server.analysis.fleet import RISE_SCORE, failed_by_all, grown_alike, own_limit
from server.analysis.panel import material_rate
from server.analysis.past import Past
from server.analysis.peers import compare_to_peers
from server.analysis.sentence import size
from server.analysis.sign import COHORT_SHARE, COMPANY_WEIGHT, FLEET_SHARE, Sign
from server.analysis.tracks import MEMORY_TOTAL, Track, cells
from server.analysis.trend import fit
from server.analysis.types import AnalysisSettings, Note

__all__ = ["split_cohorts"]

FEWEST, FEWEST_SHORT = 2, 3
"""Nodes that grow; one that stands still is enough, as it is for a pair. In a span that holds no whole day two may well
be at the same task (recorded: vmap_area on two of four for ten minutes), so three must grow, and stand out as a fleet's
do over hours."""
GAP = 4.0
"""The slowest that grows does so by that many times the fastest of the others, error and all."""
MORE = 1.5
"""So many times the memory makes another kind of node."""
Floats = NDArray[np.float64]


def split_cohorts(
    group: str,
    signs: Sequence[Sign],
    listing: Mapping[str, set[str]],
    coarse: Sequence[Track],
    past: Past,
    settings: AnalysisSettings,
) -> tuple[list[Sign], list[Note]]:
    """Signs of caches that part the group in two, compared anew with the nodes that do not grow; a note on each.

    `listing` are the nodes that list each cache, `coarse` cells of the group's nodes over the whole window. What fills
    on the median of the nodes, or what many other caches do as well, is only watched; file caches that fill after the
    boot into a new kernel do not count, nor a leak's own lockstep caches: unlike the fleet's, the others stand still.
    """
    newest = {track.node: track for track in coarse if track.last}
    found: list[Sign] = []
    notes: list[Note] = []
    for cache, nodes in sorted(grown_alike(signs).items()):
        others = sorted(listing.get(cache, set()) - set(nodes))
        listed = len(nodes) + len(others)
        short = any(sign.short for sign in nodes.values())
        if len(nodes) < (FEWEST_SHORT if short else FEWEST) or not COHORT_SHARE <= len(nodes) / listed < FLEET_SHARE:
            continue
        growing = [nodes[name] for name in sorted(nodes)]
        still = [newest[name] for name in others if name in newest]
        rates, errors = _rates(still, cache, growing[0])
        least = min(sign.rate for sign in growing)
        if not len(rates) or least < GAP * float(np.max(np.abs(rates) + errors)):
            continue
        kind = _told_apart([newest.get(sign.track.node, sign.track) for sign in growing], still)
        cohort = f"{len(growing)} of {listed} nodes grow" + (f": those with {kind}" if kind else "")
        anew = [_compared(sign, rates, errors, cohort, settings) for sign in growing]
        strong = [sign for sign in anew if not sign.failed]
        many = bool(np.median([sign.at_work for sign in growing]) >= WORK)
        failed = failed_by_all(growing, past, many=many)
        found += [replace(one, failed=failed) for one in strong]
        if strong and not failed:
            notes.append(Note(None, f"group {group}: {cache}: {cohort}, the others stand still"))
    return found, notes


def _rates(still: Sequence[Track], cache: str, like: Sign) -> tuple[Floats, Floats]:
    """Growth and its error, bytes a second, of that cache on other nodes over the span of a sign."""
    rates, errors = [], []
    for track in still:
        part = cells(track, like.span.start, like.span.end, like.span.width)
        if cache not in part.index or len(part.time) < 4:
            continue
        y = part.allocated[:, part.index[cache]]
        kept = np.isfinite(y)
        if kept.sum() < 4:
            continue
        trend, length = fit(part.time[kept], y[kept, None]), float(part.time[kept][-1] - part.time[kept][0])
        rates.append(float(trend.growth[0]) / length)
        errors.append(max(float(trend.error[0]), 1.0) / length)
    return np.array(rates), np.array(errors)


def _compared(sign: Sign, rates: Floats, errors: Floats, cohort: str, settings: AnalysisSettings) -> Sign:
    length = float(sign.evidence["window_seconds"] or 1.0)
    peers = compare_to_peers(rates * length, errors * length, np.ones(len(rates)))
    noise = math.hypot(sign.error, peers.spread, sign.own_wander)
    lasting = min(sign.growth, max(float(sign.evidence["active_growth"] or 0.0), 0.0)) if sign.short else sign.growth
    excess = lasting - sign.together - max(peers.median, 0.0)
    doubt = 1.0 + COMPANY_WEIGHT * float(sign.evidence["company"] or 0.0)
    score = excess / noise / doubt
    failed = set(sign.failed) - {"peers", "material"}
    if excess / length < material_rate(sign.track, settings):
        failed.add("material")
    limit = RISE_SCORE if sign.short else own_limit(sign)
    if score < limit:
        failed.add("cohort")
    evidence = sign.evidence | {
        "peers": float(peers.count),
        "peers_median": peers.median,
        "peers_spread": peers.spread,
        "wander": sign.own_wander,
        "cleared_below": lasting - excess + limit * noise * doubt,
        "effect": score,
        "cohort": cohort,
    }
    return replace(
        sign,
        peers=peers,
        wander=sign.own_wander,
        excess=excess,
        score=score,
        failed=tuple(sorted(failed)),
        evidence=evidence,
    )


def _told_apart(growing: Sequence[Track], still: Sequence[Track]) -> str | None:
    """What all nodes that grow have and no other has: the kernel, else a label, else more or less memory."""
    kernels = {track.kernel for track in growing}
    if None not in kernels and not kernels & {track.kernel for track in still}:
        return "kernel " + ", ".join(sorted(str(kernel) for kernel in kernels))
    shared = set.intersection(*(set(track.labels.items()) for track in growing))
    shared -= {label for track in still for label in track.labels.items()}
    if shared:
        return "label {}={}".format(*min(shared))
    theirs, others = _memory(growing), _memory(still)
    if not len(theirs) or not len(others):
        return None
    if theirs.min() > MORE * others.max():
        return f"{size(float(theirs.min()))} of memory or more"
    if theirs.max() * MORE < others.min():
        return f"{size(float(theirs.max()))} of memory or less"
    return None


def _memory(tracks: Sequence[Track]) -> Floats:
    totals = np.array([track.memory[-1, MEMORY_TOTAL] if len(track.time) else np.nan for track in tracks])
    known: Floats = totals[np.isfinite(totals)]
    return known
