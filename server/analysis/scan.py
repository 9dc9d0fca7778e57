"""Judges the candidates of one span: own trend, node effect, peers, wander; gives signs, strong and weak."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.analysis.candidates import LEAST_KNOWN, LEAST_SCORE, Candidates, candidates_of
from server.analysis.company import company
from server.analysis.factors import companion_effect
from server.analysis.identity import kept_late
from server.analysis.medians import medians
from server.analysis.panel import Panel
from server.analysis.past import MOST_PEERS as MOST_COMPANIONS
from server.analysis.past import Past
from server.analysis.peers import Peers, robust_spreads, scales_to
from server.analysis.reclaim import pressed
from server.analysis.shape import is_over, levels_off, slackens
from server.analysis.survey import Fit, Survey, survey
from server.analysis.tracks import CacheFacts, Track, warm_up_seconds
from server.analysis.trend import fit, quantum
from server.analysis.windows import BRIEF, DAY, Span

__all__ = ["COHORT_SHARE", "COMPANY_WEIGHT", "FINDING_SCORE", "FLEET_SHARE", "MOST_NODE", "Scan", "Sign", "scan"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

FINDING_SCORE, PART_SCORE, BRIEF_SCORE = 6.0, 8.0, 4.5
"""Least score of a finding (see Sign.score): over the whole window; over a part of it, as there are many; over a window
under BRIEF, in which nothing but noise and company has time to look like a leak."""
LAZY_SCORE = 16.0
"""Least score of a cache that the kernel can shrink: such fill each at its own pace."""
SLAB = 0.7
"""Of a slab: so much of a growth is never known."""
OVER_SCORE = 16.0
"""Least score of a rise that is over."""
PEERLESS_SCORE, PEERLESS_PART, PEERLESS_BRIEF = 10.0, 20.0, 7.0
"""Least score of a cache that no other node lists: over the whole window, a part of it, and a window under BRIEF."""
FLEET_SHARE = 0.8
"""Of the nodes that list a cache: so many must show its growth for it to be the fleet's (contract.md)."""
COHORT_SHARE = 0.35
"""Of the nodes that list a cache: from so many on that grow, the median of all is no measure (see cohort)."""
MOST_NODE = 0.3
"""Of a growth: what more of it is explained by the node's load is the load's."""
MOST_SLOWER = 2.0
"""What grew so many times faster just before a span is filling up, and slows."""
FILLS = 2.0
"""Times the bend that is most for a leak (see shape.slackens): so much is a cache's that fills."""
PLENTY = 8
"""Peers, from which on leaving one out makes little difference."""
COMPANY_WEIGHT = 0.25
"""Every other cache of the node that grows with it makes a sign so much weaker, in spans that hold no whole day."""
MOST_PEERS = 64
"""Peers that a candidate is compared with, evenly spread over the names: more would cost and add nothing."""


def _limit(span: Span) -> float:
    if not span.whole or span.ended:
        return PART_SCORE
    return BRIEF_SCORE if span.end - span.start < BRIEF else FINDING_SCORE


@dataclass(slots=True)
class Sign:
    """A (node, boot, cache) whose floor rises over a span. Bytes and seconds."""

    track: Track
    cache: str
    facts: CacheFacts
    span: Span
    growth: float
    error: float
    rate: float
    """Bytes a second."""
    removed: float
    """What the node effect explains beyond the peers' growth: by how much its caches rose more than its peers'."""
    together: float
    """What the node effect explains where there is no comparison with peers."""
    peers: Peers
    wander: float
    """How much this cache usually moves in as long a time, on this node or its peers."""
    own_wander: float
    lone_growth: float
    """Growth and its error without regard to what the nodes share: how it looks to one who sees this node only."""
    lone_error: float
    excess: float
    """Growth less what the node effect and the peers' median explain."""
    score: float
    """Excess over the root of the summed squares of own error, peers' spread and wander; less where it has company."""
    short: bool
    """Whether the span holds no whole day."""
    alongside: int = 0
    """How many other caches of the node rose along with it, in spans that hold no whole day: also those that the peers'
    did too. Known of caches that many nodes show growing."""
    failed: tuple[str, ...] = ()
    """The gates that it did not pass, by name."""
    evidence: dict[str, float | str | None] = field(default_factory=dict)

    @property
    def limit(self) -> float:
        """The least score with which this would be a finding."""
        return _limit(self.span)


@dataclass(slots=True)
class Scan:
    """The signs of one span, and how many series were judged."""

    span: Span
    signs: list[Sign]
    judged: dict[str, int]
    """Series judged on each node."""


def scan(panel: Panel, span: Span, past: Past) -> Scan:
    """All signs of growth in `span`; `past` holds coarse cells of the same nodes over the whole window."""
    surveyed = survey(panel, span)
    judged: dict[str, int] = {}
    for row in surveyed.judged.tolist():
        track = panel.tracks[row]
        judged[track.node] = max(judged.get(track.node, 0), len(track.names))
    found = candidates_of(surveyed)
    if not found:
        return Scan(span, [], judged)
    count = np.bincount(np.concatenate([one.columns for one in found]), minlength=len(panel.names))
    listed = panel.listed[surveyed.judged].sum(axis=0)
    common = (count >= 2) & (count >= (FLEET_SHARE if span.ended or not span.whole else COHORT_SHARE) * listed)
    bench = _Bench(surveyed, past, len(judged), np.flatnonzero(count))
    return Scan(span, [sign for one in found for sign in bench.signs(one, common)], judged)


def _sample(surveyed: Survey) -> Indices:
    """One track of each node (of several boots the longest), evenly thinned to MOST_PEERS and one."""
    best: dict[str, int] = {}
    for row in surveyed.judged.tolist():
        node = surveyed.panel.tracks[row].node
        old = best.get(node)
        if old is None or surveyed.length[row] > surveyed.length[old]:
            best[node] = row
    every = [best[node] for node in sorted(best)]
    chosen = np.linspace(0, len(every) - 1, min(len(every), MOST_PEERS + 1)).round().astype(int)
    return np.array([every[k] for k in np.unique(chosen)], dtype=np.intp)


@dataclass(frozen=True, slots=True)
class _Compared:
    """S candidates beside their peers; bytes over each candidate's span."""

    known: Bools
    """[S, P] which peers each is compared with."""
    rate: Floats
    """[S] the median of the peers' own growth, unscaled; NaN without peers, as `median` and `spread`."""
    median: Floats
    spread: Floats
    scale: Floats
    """[S] the median of what the peers were scaled by."""
    usual: Floats
    """[S] the peers' median level, scaled; without peers the own."""
    removed: Floats
    """[S] what the node effect explains beyond the peers' growth."""
    together: Floats
    """[S] what it explains where there is no comparison with peers."""
    best: Floats
    """[S] the most that the score can be: what else is looked at only lowers it."""


class _Bench:
    """What candidates are measured against: the peers' growth of every wanted cache, in bytes a second."""

    def __init__(self, surveyed: Survey, past: Past, nodes: int, wanted: Indices) -> None:
        self._surveyed, self._span, self._past, self._nodes = surveyed, surveyed.span, past, nodes
        panel = surveyed.panel
        self._peers = peers = _sample(surveyed)
        self._node = np.array([track.node for track in panel.tracks], dtype=object)
        self._place = np.full(len(panel.names), -1)
        self._place[wanted] = np.arange(len(wanted))
        at = np.ix_(peers, wanted)
        length = surveyed.length[peers, None]
        self._level = np.nan_to_num(surveyed.first[at])
        # What does not vary has neither growth nor noise; the rest is fitted.
        self._rate = np.where(panel.listed[at], 0.0, np.nan)
        self._error, self._noise = self._rate + 1.0 / length, self._rate.copy()
        peer = np.full(len(panel.tracks), -1)
        peer[peers] = np.arange(len(peers))
        for part in surveyed.parts:
            mine = np.flatnonzero((peer[part.rows] >= 0) & (self._place[part.columns] >= 0))
            to = (peer[part.rows[mine]], self._place[part.columns[mine]])
            y = surveyed.curves.cleaned(part.block(mine))
            trend, seconds = fit(part.t, y, quantum(part.y[:, mine])), surveyed.length[part.rows[mine]]
            known = np.isfinite(y).mean(axis=0) >= LEAST_KNOWN
            self._rate[to] = np.where(known, trend.growth / seconds, np.nan)
            self._error[to] = np.where(known, np.maximum(trend.error, 1.0) / seconds, np.nan)
            self._noise[to] = trend.noise
        self._usual = robust_spreads(self._rate.T, self._error.T)
        few = np.isfinite(self._rate).sum(axis=0) < PLENTY
        for values in self._usual:
            values[few] = 0.0

    def signs(self, candidates: Candidates, common: Bools) -> list[Sign]:
        """The signs among the candidates: those that can reach LEAST_SCORE, and all of the `common` caches [C]."""
        candidates = candidates.take(common[candidates.columns] | self._promising(candidates))
        if not len(candidates.rows):
            return []
        compared = self._compare(candidates)
        always = common[candidates.columns]
        likely = np.flatnonzero(always | (compared.best >= LEAST_SCORE)).tolist()
        found = (self._sign(candidates, k, compared, always=bool(always[k])) for k in likely)
        return [sign for sign in found if sign is not None]

    def _promising(self, candidates: Candidates) -> Bools:
        """Whether candidates can reach LEAST_SCORE at all, by a comparison with all peers, unscaled."""
        length = self._surveyed.length[candidates.rows]
        median, spread = (values[self._place[candidates.columns]] for values in self._usual)
        noise = np.hypot(np.maximum(candidates.trend.error, 1.0), 0.5 * spread * length)
        return np.asarray(candidates.trend.growth - np.maximum(median, 0.0) * length >= LEAST_SCORE * noise)

    def _compare(self, candidates: Candidates) -> _Compared:
        """Every candidate beside its peers, leaving out its own node."""
        surveyed, rows, trend = self._surveyed, candidates.rows, candidates.trend
        place = self._place[candidates.columns]
        length, level = surveyed.length[rows, None], surveyed.first[rows, candidates.columns]
        rate, levels = self._rate[:, place].T, self._level[:, place].T
        rate[self._node[rows][:, None] == self._node[self._peers]] = np.nan
        known = np.isfinite(rate)
        bigger = np.exp(surveyed.scale[rows, None] - surveyed.scale[self._peers])
        scales = scales_to(level[:, None], trend.noise[:, None], levels, self._noise[:, place].T, bigger)
        scales[~known] = np.nan
        median, spread = robust_spreads(rate * length * scales, self._error[:, place].T * length * scales)
        alone = ~known.any(axis=1)
        usual = np.where(alone, level, medians(levels * scales))
        effect, base = surveyed.effect[rows], np.minimum(level, usual)
        theirs = medians(np.where(known, surveyed.effect[self._peers], np.nan))
        removed = np.maximum(effect - np.where(alone, 0.0, theirs), 0.0) * base
        noise = np.hypot(np.maximum(trend.error, 1.0), np.where(alone, 0.0, spread))
        best = (trend.growth - removed - np.where(alone, 0.0, np.maximum(median, 0.0))) / noise
        return _Compared(
            known, medians(rate * length), median, spread, medians(scales), usual, removed, effect * base, best
        )

    def _sign(self, candidates: Candidates, k: int, compared: _Compared, *, always: bool) -> Sign | None:
        """The k-th candidate as a sign, with the gates it failed; None below LEAST_SCORE, unless `always`."""
        one, trend = self._surveyed.fit(int(candidates.rows[k])), candidates.trend
        track, length = one.track, one.length
        cache = self._surveyed.panel.names[candidates.columns[k]]
        column = track.index[cache]
        level = float(one.first[column])
        growth, error = float(trend.growth[k]), float(max(trend.error[k], 1.0))
        chosen = np.flatnonzero(compared.known[k])
        peers = Peers(len(chosen), float(compared.rate[k]), float(compared.median[k]), float(compared.spread[k]))
        usual, removed = float(compared.usual[k]), float(compared.removed[k])
        together = float(compared.together[k])
        expected = max(peers.median, 0.0) if peers.count else 0.0
        own_wander, wander, before = 0.0, 0.0, None
        short = length < DAY or not self._span.whole or self._span.ended
        if short:
            own_wander, peers_wander = self._past.wander(track.node, cache, length)
            wander = max(own_wander, peers_wander * (float(compared.scale[k]) if peers.count else 1.0))
        if peers.count and not self._surveyed.panel.reclaimable[candidates.rows[k], candidates.columns[k]]:
            steps = self._past.stepped(track.node, track.boot, cache, length) * float(compared.scale[k])
            wander = max(wander, steps)
        # Both say how far such caches move by themselves in so long a time; and a slab may come or go.
        moves = max(wander, peers.spread if peers.count else 0.0)
        noise = math.sqrt(error**2 + moves**2 + (SLAB * float(candidates.measures["slab"][k])) ** 2)
        if growth - removed - expected < LEAST_SCORE * noise:
            if not always:
                return None
        else:
            load = self._load(one, column, chosen) * min(level, usual)
            removed, together = max(removed, load - expected), max(together, load)
        # In so short a time slabs are held by a few objects each after a burst; what leaks is in use.
        lasting = min(growth, max(float(candidates.active.growth[k]), 0.0)) if short else growth
        excess = lasting - removed - expected
        score = excess / noise
        with_it = company(one, column, self._usually(one, chosen)) if short and score >= LEAST_SCORE else 0
        doubt = 1.0 + COMPANY_WEIGHT * with_it
        score /= doubt
        if not self._span.whole:
            before = self._past.highest(track.node, track.boot, cache, self._span.start)
        evidence: dict[str, float | str | None] = {
            "window_seconds": round(length, 3),
            "floor_before": level,
            "floor_after": float(one.last[column]),
            "growth": growth,
            "own_noise": error,
            "active_growth": float(candidates.active.growth[k]),
            "node_effect": removed,
            "peers": float(peers.count),
            "peers_median": peers.median if peers.count else None,
            "peers_spread": peers.spread if peers.count else None,
            "wander": wander,
            "cleared_below": growth - excess + _limit(self._span) * noise * doubt,
            "company": float(with_it),
            "effect": score,
            **{name: float(values[k]) for name, values in candidates.measures.items()},
        }
        facts = track.facts[column]
        rate = float(trend.rate[k])
        sign = Sign(
            track,
            cache,
            facts,
            self._span,
            growth,
            error,
            rate,
            removed,
            together,
            peers,
            wander,
            own_wander,
            float(candidates.lone.growth[k]),
            float(max(candidates.lone.error[k], 1.0)),
            excess,
            score,
            short,
            company(one, column, np.zeros(len(track.names))) if short and always else 0,
            evidence=evidence,
        )
        sign.failed = self._failed(sign, one, column, before)
        return sign

    def _failed(self, sign: Sign, one: Fit, column: int, before: float | None) -> tuple[str, ...]:
        """The gates that a sign does not pass."""
        growth, after = sign.growth, float(one.last[column])
        key = (sign.track.node, sign.track.boot, sign.cache)
        lazy = sign.facts.reclaimable and kept_late(sign.cache, after)
        gates = {
            "material": sign.excess / one.length < one.material,
            "seen before": before is not None and after - before < 0.3 * growth,
            "node": sign.removed > MOST_NODE * growth,
            "peers": not sign.peers.count and not self._alone(sign, one),
        }
        if not self._span.ended and LEAST_SCORE <= sign.score < (math.inf if sign.short else OVER_SCORE):
            part = one.cells()
            gates["stopped"] = is_over(part.time, part.allocated[:, column])
        if not self._span.whole:
            earlier = self._past.rise_before(*key, self._span.start, one.length)
            gates["slowing"] = earlier > MOST_SLOWER * growth or levels_off(*self._past.series(*key), rests=False)
        if self._span.ended:
            t, y = self._past.series(*key)
            gates["given back"] = not len(y) or float(np.median(y[-max(len(y) // 4, 2) :])) < after - 0.3 * growth
            gates["slowing"] = len(y) > 0 and levels_off(t, y)
            gates["reclaimable"] = lazy
            gates["stopped"] = sign.score < OVER_SCORE
        elif lazy:
            part, others = one.cells(), one.track.reclaimable.copy()
            others[column] = False
            kept = pressed(part.allocated[:, column], part.allocated[:, others])
            gates["reclaimable"] = sign.score < LAZY_SCORE or _young(one) or not kept
        if sign.score >= LEAST_SCORE and not any(gates.values()):
            part = one.cells()
            bent = self._past.bent(*key)
            if not self._span.ended:
                bent = max(bent, slackens(part.time, part.allocated[:, column]))
            gates |= {"bends": 1.0 < bent <= FILLS and one.length >= BRIEF, "fills": bent > FILLS}
        return tuple(name for name, failed in gates.items() if failed)

    def _alone(self, sign: Sign, one: Fit) -> bool:
        """Whether a cache that no other node lists may be judged by itself.

        There must be other nodes, and the sign reach PEERLESS_SCORE over the whole window, PEERLESS_PART over a part of
        it or on a boot that is hardly older than the span is long (warm-up), PEERLESS_BRIEF over a brief window.
        """
        least = PEERLESS_BRIEF if one.length < BRIEF else PEERLESS_SCORE
        least = PEERLESS_PART if not self._span.whole or _young(one) else least
        return self._nodes > 1 and sign.score >= least

    def _usually(self, one: Fit, chosen: Indices) -> Floats:
        """What each cache of a node grew by over its level on the median peer; NaN where none lists it."""
        names = self._surveyed.panel.names
        place = {name: number for number, name in enumerate(names)}
        columns = np.array([place[name] for name in one.track.names])
        return medians(self._surveyed.relative[np.ix_(self._peers[chosen], columns)].T)

    def _load(self, one: Fit, column: int, chosen: Indices) -> float:
        """What the load explains of a cache's relative growth (see factors.companion_effect)."""
        names = one.track.names
        peers = [self._surveyed.fit(row) for row in self._peers[chosen[:MOST_COMPANIONS]].tolist()]
        alike = self._past.alike(names, column, [(peer.track.node, peer.track.boot) for peer in peers])
        total, seen = np.zeros(len(names)), np.zeros(len(names))
        for peer in peers:
            if peer.track.names == names:
                total, seen = total + peer.swing, seen + 1
                continue
            place = np.array([peer.track.index.get(name, -1) for name in names])
            total[place >= 0] += peer.swing[place[place >= 0]]
            seen += place >= 0
        swing = np.where(seen > 0, total / np.maximum(seen, 1), 0.0)
        return companion_effect(alike, one.relative, swing, float(swing[column]))


def _young(one: Fit) -> bool:
    """Whether the boot is hardly older than the span is long: what fills after a boot may still do so."""
    uptime, length = float(one.cells().uptime[0]), one.length
    return uptime < length + warm_up_seconds(uptime + length)
