"""Memory in use that grows on a node and that no slab cache explains: a note, so that nobody hunts for it in slab.

Two series of every node, from /proc/meminfo:

- *outside slab*: MemTotal - MemAvailable - SUnreclaim. MemAvailable counts free pages, page cache and reclaimable slab
  as available (mm/show_mem.c, si_mem_available), so what is left is held by processes, tmpfs, page tables, vmalloc,
  per-CPU areas, or pages that drivers took from the page allocator;
- *slab without a cache*: SReclaimable + SUnreclaim - what the listed caches hold. kmalloc of more than two pages goes
  to the page allocator; it is counted as slab since Linux 5.4 (commit 6a486c0ad4dc) and listed in no cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.analysis.medians import medians
from server.analysis.peers import Peers, compare_to_peers
from server.analysis.sentence import size, span_text
from server.analysis.sign import FLEET_SHARE
from server.analysis.survey import BLOCKS, LARGEST, RISING, material_rate
from server.analysis.tracks import Track
from server.analysis.trend import Trend, fit, floors, steps
from server.analysis.types import AnalysisSettings, Note
from server.analysis.windows import Span, plan

__all__ = ["memory_notes"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

TOTAL, AVAILABLE, SOFT, HARD = range(4)
"""Columns of Track.memory (server.buckets.MEMORY_COLUMNS)."""
TIMES_MATERIAL = 40.0
"""Processes come, go and grow: only so many times what matters in a cache is worth a note (by default 10 % of the
node's memory in 30 days)."""
SCORE, SHORT_SCORE, DAY = 5.0, 12.0, 22 * 3600.0
"""Least growth over its own noise and the peers' spread: over a day and more, and over less."""
SHORTEST = 1800.0
"""Seconds: in less, a process that starts looks like a leak."""
FEWEST_CELLS = 8
LISTED = 0.75
"""Share of the window's cells that a node's newest boot must cover."""
UNEXPLAINED = 0.5
"""Of what slab grew by, so much must be in no cache: slabs hold some more than their objects."""
MOST_PEERS = 64
OUTSIDE = {
    "what": "memory in use grows that slab does not explain",
    "look": "look at processes, tmpfs, page tables, vmalloc, per-CPU areas, pages taken by drivers (/proc/meminfo)",
}
UNLISTED = {
    "what": "slab grows in /proc/meminfo by more than its caches explain",
    "look": "kmalloc of more than two pages belongs to no cache (look at /proc/allocinfo or page_owner)",
}


@dataclass(frozen=True, slots=True)
class _Panel:
    """One kind of memory on all nodes. K cells, N nodes."""

    nodes: tuple[str, ...]
    time: Floats
    amount: Floats
    """[K, N] the least bytes in each cell."""
    explained: Floats
    """[N] bytes of growth that slab may explain."""
    least: Floats
    """[N] bytes of growth that are worth a note."""


def memory_notes(
    group: str, tracks: Sequence[Track], start: float, end: float, settings: AnalysisSettings
) -> list[Note]:
    """Notes on nodes of one group whose memory grows over a window unlike their peers', or on the group if all do.

    `tracks` are the group's boots without their warm-up, in the widest buckets of the window (see windows.plan); only
    each node's newest counts.
    """
    if end - start < SHORTEST:
        return []
    span = plan(start, end)[0].spans[0]
    newest = {track.node: track for track in tracks if track.last and len(track.time)}
    chosen = [newest[node] for node in sorted(newest)]
    alike = _alike(chosen, span)
    material = np.array([material_rate(track, settings) for track in chosen])
    outside, unlisted = (_panel(chosen, alike, material, span, listed=listed) for listed in (False, True))
    return _notes(group, outside, OUTSIDE) + _notes(group, unlisted, UNLISTED)


def _alike(tracks: Sequence[Track], span: Span) -> Mapping[bytes, list[int]]:
    """Places of the tracks whose buckets lie in the same cells of the span, by the cells' numbers, NaN outside."""
    alike: dict[bytes, list[int]] = {}
    for place, track in enumerate(tracks):
        number = track.time // span.width
        number[(track.time < span.start) | (track.time > span.end)] = np.nan
        alike.setdefault(number.tobytes(), []).append(place)
    return alike


def _panel(
    tracks: Sequence[Track], alike: Mapping[bytes, list[int]], material: Floats, span: Span, *, listed: bool
) -> _Panel:
    numbers = np.arange(span.start // span.width, span.end // span.width + 1)
    amounts, explained = np.full((len(tracks), len(numbers)), np.nan), np.zeros(len(tracks))
    for cells, members in alike.items():
        number = np.frombuffer(cells)
        inside = np.isfinite(number)
        if not inside.any():
            continue
        memory = np.stack([tracks[place].memory for place in members])[:, inside]
        if listed:
            held = np.stack([_held(tracks[place]) for place in members])[:, inside]
            amount = memory[:, :, SOFT] + memory[:, :, HARD] - held
            grown = UNEXPLAINED * _rises(held)
        else:
            amount, grown = (
                memory[:, :, TOTAL] - memory[:, :, AVAILABLE] - memory[:, :, HARD],
                _rises(memory[:, :, SOFT]),
            )
        starts = np.flatnonzero(np.diff(number[inside], prepend=np.nan))
        at = (number[inside][starts] - numbers[0]).astype(np.intp)
        amounts[np.ix_(members, at)] = floors(amount.T, starts).T
        explained[members] = np.maximum(grown, 0.0)
    known = np.isfinite(amounts)
    kept = np.flatnonzero(known.mean(axis=1) >= LISTED)
    for place in kept[~known[kept].all(axis=1)].tolist():
        own = known[place]
        amounts[place] = np.interp(numbers, numbers[own], amounts[place, own])
    least = TIMES_MATERIAL * material[kept] * (span.end - span.start)
    nodes = tuple(tracks[place].node for place in kept.tolist())
    return _Panel(nodes, numbers * span.width, amounts[kept].T, explained[kept], least)


def _held(track: Track) -> Floats:
    """[T] bytes that the listed caches hold."""
    held = track.allocated.sum(axis=1)
    gaps = np.isnan(held)
    held[gaps] = np.nansum(track.allocated[gaps], axis=1)
    return np.asarray(held)


def _rises(amount: Floats) -> Floats:
    """[N] what the median of the last quarter of [N, T] is above that of the first; 0 where nothing is known."""
    few = max(amount.shape[1] // 4, 1)
    return np.where(np.isfinite(amount).any(axis=1), medians(amount[:, -few:]) - medians(amount[:, :few]), 0.0)


@dataclass(frozen=True, slots=True)
class _Growth:
    """A node whose memory grows."""

    node: str
    bytes_: float
    seconds: float
    peers: Peers
    alone: bool
    """Unlike its peers, or it has none."""


def _growths(panel: _Panel) -> list[_Growth]:
    """The nodes whose floor rises steadily by enough, by name."""
    t, y = panel.time, panel.amount
    if len(t) < FEWEST_CELLS or not y.shape[1]:
        return []
    quarter = max(len(t) // 4, 1)
    likely = y[-quarter:].min(axis=0) - y[:quarter].min(axis=0) > 0.5 * (panel.least + panel.explained)
    if not likely.any():
        return []
    few = np.unique(np.linspace(0, y.shape[1] - 1, min(y.shape[1], MOST_PEERS)).round().astype(int))
    chosen = np.union1d(np.flatnonzero(likely), few)
    trend, spread = fit(t, y[:, chosen]), steps(t, y[:, chosen], BLOCKS)
    seconds = float(t[-1] - t[0])
    limit = SCORE if seconds >= DAY else SHORT_SCORE
    steady = (spread.largest <= LARGEST) & (spread.rising >= RISING) & (spread.late >= 0.4)
    steady &= (spread.drawdown <= 0.6 * trend.growth) & (trend.growth - panel.explained[chosen] > panel.least[chosen])
    steady &= trend.growth > limit * trend.error
    peers = np.isin(chosen, few)
    return [
        _growth(panel.nodes[chosen[k]], trend, k, np.flatnonzero(peers & (np.arange(len(chosen)) != k)), seconds, limit)
        for k in np.flatnonzero(steady).tolist()
    ]


def _growth(node: str, trend: Trend, k: int, others: Indices, seconds: float, limit: float) -> _Growth:
    own = float(trend.growth[k])
    peers = compare_to_peers(trend.growth[others], trend.error[others], np.ones(len(others)))
    spread = peers.spread if peers.count else 0.0
    expected = max(peers.median, 0.0) if peers.count else 0.0
    alone = own - expected > limit * float(np.hypot(trend.error[k], spread))
    return _Growth(node, own, seconds, peers, alone)


def _notes(group: str, panel: _Panel, text: Mapping[str, str]) -> list[Note]:
    grown = _growths(panel)
    if len(grown) >= 2 and len(grown) >= FLEET_SHARE * len(panel.nodes):
        middle = float(np.median([one.bytes_ for one in grown]))
        seconds = grown[0].seconds
        where = f"group {group}: {text['what']} on {len(grown)} of {len(panel.nodes)} nodes, in the median by "
        return [Note(None, where + f"{size(middle)} in {span_text(seconds)}: {text['look']}")]
    notes = []
    for one in grown:
        if one.alone:
            more = f"{text['what']}, by {size(one.bytes_)} in {span_text(one.seconds)}"
            if one.peers.count:
                who = "its peer" if one.peers.count == 1 else f"its {one.peers.count} peers"
                more += f", {who} by {size(one.peers.median)}"
            notes.append(Note(one.node, f"{more}: {text['look']}"))
    return notes
