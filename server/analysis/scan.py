"""Judges the candidates of one span: own trend, node effect, peers, wander; gives signs, strong and weak."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.times import format_time
from server.analysis.bench import Bench, Compared
from server.analysis.candidates import LEAST_SCORE, Candidates, candidates_of
from server.analysis.company import WORK, alongside, company, usual_company
from server.analysis.faint import MOST_NODE, Faint, counts, faint
from server.analysis.identity import kept_late
from server.analysis.medians import medians
from server.analysis.panel import Panel
from server.analysis.past import RETURNED, Past, bends, by_chance
from server.analysis.peers import Peers
from server.analysis.reclaim import pressed
from server.analysis.shape import FASTER, is_over, levels_off, restarted, slackens
from server.analysis.sign import (
    COHORT_SHARE,
    COMPANY_WEIGHT,
    LAZY_SCORE,
    LEAST_IN_USE,
    OVER_SCORE,
    PEERLESS_BRIEF,
    PEERLESS_PART,
    PEERLESS_SCORE,
    PLAIN_IN_USE,
    PLAIN_SCORE,
    Sign,
    least_score,
)
from server.analysis.steady import is_sure
from server.analysis.survey import Fit, Survey, survey
from server.analysis.tracks import warm_up_seconds
from server.analysis.trend import Trend, is_straight
from server.analysis.weigh import Scales, Weighed
from server.analysis.windows import BRIEF, DAY, SOME_HOURS, Span

__all__ = ["Scan", "scan"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

MOST_ASKED = 8
"""Peers, about, that are asked how many of their caches grow alike by chance."""
UNEVEN = 0.45
"""Of a rise over a day and more that gets no faster: an increment of more than this share may be a step, be it a wide
one. Of 262 simulated leaks that were named over a day and a week none had more than 0.34."""
DOUBTFUL = 2.0
"""Standard errors of a bend."""
MOST_SLOWER = 2.0
"""What grew so many times faster just before a span is filling up, and slows."""
FILLS = 2.0
"""Times the bend that is most for a leak (see shape.slackens): so much is a cache's that fills."""


@dataclass(slots=True)
class Scan:
    """The signs of one span, and how many series were judged."""

    span: Span
    signs: list[Sign]
    faint: list[Faint]
    judged: dict[str, int]
    """Series judged on each node."""


def scan(panel: Panel, span: Span, past: Past) -> Scan:
    """All signs of growth in `span`; `past` holds coarse cells of the same nodes over the whole window."""
    surveyed = survey(panel, span)
    judged: dict[str, int] = {}
    for row in surveyed.judged.tolist():
        track = panel.tracks[row]
        judged[track.node] = max(judged.get(track.node, 0), len(track.names))
    columns = [part.columns[chosen] for part, chosen in zip(surveyed.parts, surveyed.candidates, strict=True)]
    rising = np.bincount(np.concatenate([np.zeros(0, np.intp), *columns]), minlength=len(panel.names))
    if not rising.any():
        return Scan(span, [], [], judged)
    least = np.maximum(2, COHORT_SHARE * panel.listed[surveyed.judged].sum(axis=0))
    many = (rising >= least) & span.of_all
    bench = Bench(surveyed, np.flatnonzero(rising))
    found = candidates_of(surveyed, bench.promising(many))
    found = [one.take(one.excused(surveyed, many[one.columns])) for one in found]
    common = many & (_grown_by(panel, found, many) >= least)
    signs = _Signs(surveyed, bench, past, len(judged))
    return Scan(span, [sign for one in found for sign in signs.of(one, common)], signs.faint, judged)


def _grown_by(panel: Panel, found: Sequence[Candidates], asked: Bools) -> Indices:
    """[C] how many series of each of the `asked` caches grow in use, too; 0 for others."""
    count = np.zeros(len(asked), dtype=np.intp)
    for one in found:
        some = one.take(asked[one.columns])
        if len(some.rows):
            np.add.at(count, some.columns[some.lasting(some.active(panel))], 1)
    return count


class _Signs:
    """What becomes of candidates when all that is known of them and of their peers is looked at."""

    def __init__(self, surveyed: Survey, bench: Bench, past: Past, nodes: int) -> None:
        self._surveyed, self._span, self._bench, self._past, self._nodes = surveyed, surveyed.span, bench, past, nodes
        self._scales = Scales(surveyed, bench, past)
        self._fits: dict[int, Fit] = {}
        self._usual: dict[tuple[int, bytes], Floats] = {}
        self.faint: list[Faint] = []
        """What `of` met besides."""

    def _fit(self, row: int) -> Fit:
        """One of the judged tracks; that with several candidates is looked at once."""
        if row not in self._fits:
            self._fits[row] = self._surveyed.fit(row)
        return self._fits[row]

    def of(self, candidates: Candidates, common: Bools) -> list[Sign]:
        """The signs among the candidates: those that can reach LEAST_SCORE, and all of the `common` caches [C]."""
        trend = candidates.trend
        can = self._bench.can(candidates.rows, candidates.columns, trend.growth, trend.error)
        candidates = candidates.take(common[candidates.columns] | can)
        kept, compared = self._bench.compare(candidates, common[candidates.columns])
        candidates = candidates.take(kept)
        always = common[candidates.columns]
        wander = self._scales.wander(candidates, compared, always | (compared.best >= LEAST_SCORE))
        likely = np.flatnonzero(always | (self._bench.most(candidates, compared, wander) >= LEAST_SCORE))
        if not len(likely):
            return []
        active = candidates.take(likely).active(self._surveyed.panel)
        lasting = candidates.take(likely).lasting(active)
        likely, active = likely[lasting], active[lasting]
        candidates, compared, always = candidates.take(likely), compared.take(likely), always[likely]
        weighed = self._scales.weigh(candidates, compared, active, wander[likely], always)
        # How a growth looks to one who sees this node only matters where the span may tell of the fleet.
        lone = candidates.lone() if self._span.of_all else candidates.trend
        there = weighed.likely | always
        there &= candidates.excused(self._surveyed, there & ~always)
        chosen = there & counts(self._surveyed, candidates, weighed)
        self.faint += faint(self._surveyed, candidates, weighed, there & ~chosen)
        return [
            self._sign(candidates, k, compared, lone, float(active[k]), weighed, always=bool(always[k]))
            for k in np.flatnonzero(chosen).tolist()
        ]

    def _sign(
        self,
        candidates: Candidates,
        k: int,
        compared: Compared,
        lone: Trend,
        active: float,
        weighed: Weighed,
        *,
        always: bool,
    ) -> Sign:
        """The k-th candidate as a sign, with the gates it failed."""
        one, trend = self._fit(int(candidates.rows[k])), candidates.trend
        track, length = one.track, one.length
        cache = self._surveyed.panel.names[candidates.columns[k]]
        column = track.index[cache]
        level = float(one.first[column])
        growth, error = float(trend.growth[k]), float(max(trend.error[k], 1.0))
        chosen = np.flatnonzero(compared.known[k])
        peers = Peers(len(chosen), float(compared.rate[k]), float(compared.median[k]), float(compared.spread[k]))
        removed, together = float(weighed.removed[k]), float(weighed.together[k])
        wander, own_wander = float(weighed.wander[k]), float(weighed.own_wander[k])
        noise, excess, score = float(weighed.noise[k]), float(weighed.excess[k]), float(weighed.score[k])
        short, dayless = bool(weighed.short[k]), self._past.length < DAY
        slab, largest = (float(candidates.measures[name][k]) for name in ("slab", "largest_step"))
        straight = is_straight(length, growth, error, slab, largest)
        with_it, busy = 0.0, 0.0
        if short and score >= LEAST_SCORE:
            with_it, busy = self._company(one, column, chosen, straight=straight)
        doubt = 1.0 + COMPANY_WEIGHT * (with_it**2 if length < BRIEF else with_it)
        score /= doubt
        evidence: dict[str, float | str | None] = {
            "window_seconds": round(length, 3),
            "floor_before": level,
            "floor_after": float(one.last[column]),
            "growth": growth,
            "own_noise": error,
            "active_growth": active,
            "node_effect": removed,
            "peers": float(peers.count),
            "peers_median": peers.median if peers.count else None,
            "peers_spread": peers.spread if peers.count else None,
            "wander": wander,
            "cleared_below": growth - excess + least_score(self._span, length, dayless=dayless) * noise * doubt,
            "company": with_it,
            "in_use": round(float(weighed.beside[k]), 3) if math.isfinite(weighed.beside[k]) else None,
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
            float(lone.growth[k]),
            float(max(lone.error[k], 1.0)),
            excess,
            score,
            short,
            alongside(one, column) if always else frozenset(),
            _firm(one, company(one, column, np.zeros(len(track.names)))) if always else 0,
            dayless,
            float(weighed.beside[k]),
            evidence=evidence,
        )
        again = self._past.again(track.node, track.boot, cache) if weighed.again[k] else None
        if again is not None:
            evidence["restarted"] = format_time(again)
        sign.failed = self._failed(sign, one, column, straight=straight, again=again, busy=busy >= WORK)
        return sign

    def _failed(
        self, sign: Sign, one: Fit, column: int, *, straight: bool, again: float | None, busy: bool
    ) -> tuple[str, ...]:
        """The gates that a sign does not pass; of weak ones only where they may count for the fleet's growth.

        `again`: since when it runs again after a restart (see past.Past.again), if it does.
        """
        if sign.score < LEAST_SCORE and not self._span.of_all:
            return ("score",)
        if self._span.hasty and not _plain(sign):
            return ("moment",)
        growth, after = sign.growth, float(one.last[column])
        key = (sign.track.node, sign.track.boot, sign.cache)
        # Load that comes round again is not straight for days, and does not fall at once.
        new = self._span.whole or again is not None or (straight and one.length >= DAY)
        before = None if new else self._past.highest(*key, self._span.start)
        lazy = sign.facts.reclaimable and kept_late(sign.cache, after)
        gates = {
            "material": sign.excess / one.length < one.material,
            "seen before": before is not None and after - before < RETURNED * growth,
            "node": sign.removed > MOST_NODE * growth,
            "peers": not sign.peers.count and not self._alone(sign, one),
            "load": busy,
            "in use": sign.beside < LEAST_IN_USE,
        }
        if not self._span.ended and LEAST_SCORE <= sign.score < (math.inf if sign.short else OVER_SCORE):
            part = one.cells()
            gates["stopped"] = is_over(part.time, part.allocated[:, column])
        if not self._span.whole:
            earlier = self._past.rise_before(*key, self._span.start, one.length)
            t, y = self._past.series(*key)
            gates["slowing"] = earlier > MOST_SLOWER * growth or _levelled(t, y, again)
        if self._span.ended:
            t, y = self._past.series(*key)
            gates["given back"] = not len(y) or float(np.median(y[-max(len(y) // 4, 2) :])) < after - 0.3 * growth
            gates["slowing"] = len(y) > 0 and levels_off(t, y)
            gates["reclaimable"] = lazy
            gates["stopped"] = sign.score < OVER_SCORE
        elif lazy:
            gates["reclaimable"] = sign.score < LAZY_SCORE or _young(one) or not self._pressed(one, column)
        if sign.score >= LEAST_SCORE and not any(failed for name, failed in gates.items() if name != "material"):
            part = one.cells()
            bent = self._past.bent(*key)
            y = part.allocated[:, column]
            if not self._span.ended:
                bent = max(bent, bends(part, column))
            if BRIEF <= one.length < SOME_HOURS:
                sign.evidence["bend"] = slackens(part.time, y, DOUBTFUL)
            largest, late = (float(sign.evidence[name] or 0.0) for name in ("largest_step", "late_over_early"))
            one_step = one.length >= DAY and late < FASTER and largest > UNEVEN
            gates["step"] = one_step or by_chance(part.time, y)
            gates |= {"bends": 1.0 < bent <= FILLS and one.length >= BRIEF, "fills": bent > FILLS}
        return tuple(name for name, failed in gates.items() if failed)

    @staticmethod
    def _pressed(one: Fit, column: int) -> bool:
        """Whether memory pressure shows that the cache holds what the kernel cannot shrink (see reclaim.pressed)."""
        part, others = one.cells(), one.track.reclaimable.copy()
        others[column] = False
        return bool(pressed(part.allocated[:, column], part.allocated[:, others]))

    def _alone(self, sign: Sign, one: Fit) -> bool:
        """Whether a cache that no other node lists may be judged by itself.

        There must be other nodes, and the sign reach PEERLESS_SCORE over the whole window, PEERLESS_BRIEF over a brief
        one, PEERLESS_PART over a part; the next of them on a boot that is hardly older than the span is long (warm-up).
        """
        limits = [PEERLESS_BRIEF, PEERLESS_SCORE, PEERLESS_PART]
        place = 2 if not self._span.whole else 0 if one.length < BRIEF else 1
        least = limits[min(place + _young(one), 2)]
        return self._nodes > 1 and sign.score >= least

    def _company(self, one: Fit, column: int, chosen: Indices, *, straight: bool) -> tuple[float, float]:
        """How many other caches of the node grew with it, beyond those that do so by chance on the median peer.

        And how many of those that the kernel cannot shrink. In a brief window there is no telling chance.
        """
        usually = self._usually(one, chosen)
        others = company(one, column, usually, straight=straight)
        with_it, firm = int(others.sum()), _firm(one, others)
        if not with_it or one.length < BRIEF:
            return float(with_it), float(firm)
        some = [self._fit(row) for row in self._bench.peers[chosen[:: max(1, len(chosen) // MOST_ASKED)]].tolist()]
        chance = usual_company(one, column, usually, some, straight=straight)
        return max(with_it - chance, 0.0), max(firm - chance, 0.0)

    def _usually(self, one: Fit, chosen: Indices) -> Floats:
        """What each cache of a node grew by over its level on the median peer; no less than 0."""
        columns = self._surveyed.panel.places[one.row]
        key = (id(columns), chosen.tobytes())
        if key not in self._usual:
            grown = medians(self._surveyed.relative[np.ix_(self._bench.peers[chosen], columns)].T)
            self._usual[key] = np.fmax(grown, 0.0)
        return self._usual[key]


def _levelled(t: Floats, y: Floats, again: float | None) -> bool:
    """Whether a rise of y [K] at t [K] that goes on slowed on the way, anew from a restart on, and from its least."""
    anew = restarted(y) if again is None else int(np.searchsorted(t, again))
    if again is not None and anew < len(y):
        anew += int(np.argmin(y[anew:]))
    return anew < len(y) and levels_off(t[anew:], y[anew:], rests=False)


def _firm(one: Fit, caches: Bools) -> int:
    """How many of the caches [C] the kernel cannot shrink."""
    return int((caches & ~one.track.reclaimable).sum())


def _plain(sign: Sign) -> bool:
    """Whether a sign in a hasty part is no busy moment: strong, even (see steady.is_sure), and alone on its node."""
    sure = is_sure(sign.score, sign.evidence, reclaimable=sign.facts.reclaimable) and sign.score >= PLAIN_SCORE
    return sure and not sign.evidence["company"] and sign.beside >= PLAIN_IN_USE


def _young(one: Fit) -> bool:
    """Whether the boot is hardly older than the span is long: what fills after a boot may still do so."""
    uptime, length = float(one.cells().uptime[0]), one.length
    return uptime < length + warm_up_seconds(uptime + length)
