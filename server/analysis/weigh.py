"""What of the candidates' growth nothing explains, and how much that is beside what is usual: node, peers, wander."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.analysis.bench import SLAB, Bench, Compared
from server.analysis.candidates import LEAST_SCORE, Candidates
from server.analysis.factors import companion_effect
from server.analysis.in_use import beside_peers
from server.analysis.past import MOST_PEERS as MOST_COMPANIONS
from server.analysis.past import Past
from server.analysis.survey import Survey
from server.analysis.trend import is_line
from server.analysis.windows import DAY

__all__ = ["Scales", "Weighed"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Weighed:
    """S candidates; bytes over each one's span."""

    removed: Floats
    """[S] what the node effect explains beyond the peers' growth."""
    together: Floats
    """[S] what it explains where there is no comparison with peers."""
    wander: Floats
    """[S] how much such a cache usually moves in as long a time; `own_wander` by this node alone."""
    own_wander: Floats
    noise: Floats
    """[S] the root of the summed squares of own error, slab, and the greater of peers' spread and wander."""
    excess: Floats
    """[S] growth less what the node effect and the peers' median explain."""
    score: Floats
    """[S] excess over noise."""
    beside: Floats
    """[S] the same of the objects in use beside the peers' (see in_use), in spans that hold no whole day; else inf."""
    short: Bools
    """[S] whether the span holds no whole day."""
    likely: Bools
    """[S] whether the score can be LEAST_SCORE; where not, companions have not been asked."""
    again: Bools
    """[S] whether it runs again in a straight line after a restart, so that earlier levels do not count."""


class Scales:
    """Weighs candidates of one span, many at once."""

    def __init__(self, surveyed: Survey, bench: Bench, past: Past) -> None:
        self._surveyed, self._span, self._bench, self._past = surveyed, surveyed.span, bench, past
        self._swings: dict[tuple[int, bytes], Floats] = {}

    def wander(self, candidates: Candidates, compared: Compared, asked: Bools) -> Floats:
        """[S] how far each candidate's cache usually moves on its peers, in spans that hold no whole day."""
        length = self._surveyed.length[candidates.rows]
        at = np.flatnonzero(asked & self._short(length))
        names, wander = self._surveyed.panel.names, np.zeros(len(length))
        caches = [names[column] for column in candidates.columns[at].tolist()]
        scale = np.where(compared.known[at].any(axis=1), compared.scale[at], 1.0)
        wander[at] = self._past.usual(self._bench.node[candidates.rows[at]].tolist(), caches, length[at]) * scale
        return wander

    def weigh(
        self, candidates: Candidates, compared: Compared, active: Floats, wander: Floats, always: Bools
    ) -> Weighed:
        """`active` [S] is what objects in use grew by; `always` [S] whose own wander is asked for at any score."""
        rows, trend, length = candidates.rows, candidates.trend, self._surveyed.length[candidates.rows]
        known, short = np.asarray(compared.known.any(axis=1)), self._short(length)
        error, slab = np.maximum(trend.error, 1.0), SLAB * candidates.measures["slab"]
        expected = np.where(known, np.maximum(compared.median, 0.0), 0.0)
        wander = np.maximum(wander, self._stepped(candidates, compared, known))
        # Both say how far such caches move by themselves in so long a time; and a slab may come or go.
        moves = np.maximum(wander, np.where(known, compared.spread, 0.0))
        noise = np.sqrt(error**2 + moves**2 + slab**2)
        likely = trend.growth - compared.removed - expected >= LEAST_SCORE * noise
        # What it fell by here only makes for more noise.
        asked = short & (likely | always)
        again = self._again(candidates, asked)
        own_wander = self._fallen(candidates, asked & ~again)
        wander = np.maximum(wander, own_wander)
        noise = np.sqrt(error**2 + np.maximum(moves, own_wander) ** 2 + slab**2)
        likely = trend.growth - compared.removed - expected >= LEAST_SCORE * noise
        level = self._surveyed.first[rows, candidates.columns]
        load = self._companions(candidates, compared, likely) * np.minimum(level, compared.usual)
        removed = np.where(likely, np.maximum(compared.removed, load - expected), compared.removed)
        together = np.where(likely, np.maximum(compared.together, load), compared.together)
        # In so short a time slabs are held by a few objects each after a burst; what leaks is in use.
        lasting = np.where(short, np.minimum(trend.growth, np.maximum(active, 0.0)), trend.growth)
        excess = lasting - removed - expected
        beside = np.full(len(rows), np.inf)
        at = np.flatnonzero(short & likely & known)
        if len(at):
            own, median, spread = beside_peers(self._surveyed, self._bench, candidates.take(at), compared.take(at))
            uncertain = np.sqrt(own.error**2 + spread**2 + slab[at] ** 2)
            beside[at] = (own.growth - removed[at] - np.maximum(median, 0.0)) / uncertain
        return Weighed(
            removed, together, wander, own_wander, noise, excess, excess / noise, beside, short, likely, again
        )

    def _again(self, candidates: Candidates, asked: Bools) -> Bools:
        """[S] which rise in a straight line after a restart, of those asked: what that gave back is no wander.

        For a day and more, the restart within it, or over a part that begins after it.
        """
        panel, measures, trend = self._surveyed.panel, candidates.measures, candidates.trend
        length, again = self._surveyed.length[candidates.rows], np.zeros(len(candidates.rows), dtype=np.bool_)
        for k in np.flatnonzero(asked).tolist():
            slab, largest = float(measures["slab"][k]), float(measures["largest_step"][k])
            if is_line(float(trend.growth[k]), float(trend.error[k]), slab, largest):
                track = panel.tracks[candidates.rows[k]]
                since = self._past.again(track.node, track.boot, panel.names[candidates.columns[k]])
                again[k] = since is not None and (length[k] >= DAY or since <= self._span.start)
        return again

    def _short(self, length: Floats) -> Bools:
        """Whether spans hold no whole day."""
        return np.asarray((length < DAY) | (not self._span.whole or self._span.ended))

    def _stepped(self, candidates: Candidates, compared: Compared, known: Bools) -> Floats:
        """[S] how far the peers' steps would carry each, where there are peers and the kernel can't shrink it."""
        panel, rows, columns = self._surveyed.panel, candidates.rows, candidates.columns
        at = np.flatnonzero(known & ~panel.reclaimable[rows, columns])
        tracks = [panel.tracks[row] for row in rows[at].tolist()]
        caches = [panel.names[column] for column in columns[at].tolist()]
        keys = [(track.node, track.boot, cache) for track, cache in zip(tracks, caches, strict=True)]
        found = np.zeros(len(rows))
        found[at] = self._past.stepped(keys, self._surveyed.length[rows[at]]) * compared.scale[at]
        return found

    def _fallen(self, candidates: Candidates, asked: Bools) -> Floats:
        """[S] how far each usually falls on its own node, of those asked."""
        at, names = np.flatnonzero(asked), self._surveyed.panel.names
        rows = candidates.rows[at]
        caches = [names[column] for column in candidates.columns[at].tolist()]
        found = np.zeros(len(asked))
        found[at] = self._past.fallen(self._bench.node[rows].tolist(), caches, self._surveyed.length[rows])
        return found

    def _companions(self, candidates: Candidates, compared: Compared, asked: Bools) -> Floats:
        """[S] what the load explains of each cache's relative growth (see factors.companion_effect), of those asked.

        Nodes with the same list of caches and the same first peers are asked together.
        """
        panel, alike = self._surveyed.panel, dict[tuple[int, int, bytes], list[int]]()
        for k in np.flatnonzero(asked).tolist():
            rows = self._bench.peers[np.flatnonzero(compared.known[k])[:MOST_COMPANIONS]]
            key = (id(panel.places[candidates.rows[k]]), int(candidates.columns[k]), rows.tobytes())
            alike.setdefault(key, []).append(k)
        found = np.zeros(len(asked))
        for (_, column, peers), those in alike.items():
            mine = candidates.rows[those]
            names, places = panel.tracks[mine[0]].names, panel.places[mine[0]]
            place, rows = int(np.searchsorted(places, column)), np.frombuffer(peers, dtype=np.intp)
            swing = self._swing(places, rows)
            like = self._past.alike(names, place, [(panel.tracks[row].node, panel.tracks[row].boot) for row in rows])
            relative = self._surveyed.relative[np.ix_(mine, places)]
            found[those] = companion_effect(like, relative, swing, float(swing[place]))
        return found

    def _swing(self, places: Indices, peers: Indices) -> Floats:
        """[C] how far each of a node's caches moved within the span on these peers, on average."""
        key = (id(places), peers.tobytes())
        if key not in self._swings:
            block = np.ix_(peers, places)
            listed = self._surveyed.panel.listed[block]
            seen, total = listed.sum(axis=0), np.where(listed, self._surveyed.swing[block], 0.0).sum(axis=0)
            self._swings[key] = np.where(seen > 0, total / np.maximum(seen, 1), 0.0)
        return self._swings[key]
