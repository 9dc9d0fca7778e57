"""Caches that grow on nearly all nodes of a group: one finding for the fleet, and none for each node."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from server.analysis.company import MANY_MORE
from server.analysis.exhaust import exhausts_at
from server.analysis.faint import MOST_NODE
from server.analysis.fdr import chance, q_values
from server.analysis.follow import node_load
from server.analysis.panel import material_rate
from server.analysis.past import Past
from server.analysis.sentence import describe, size
from server.analysis.shape import onset, shape_of
from server.analysis.sign import COMPANY_WEIGHT, FINDING_SCORE, FLEET_SHARE, Sign
from server.analysis.tracks import MEMORY_AVAILABLE, cells
from server.analysis.types import AnalysisSettings, Finding

__all__ = ["RISE_SCORE", "failed_by_all", "fleet_findings", "grown_alike", "own_limit"]

SHORT_FLEET_SCORE, RISE_SCORE, RISE = 12.0, 30.0, 3 * 3600.0
"""Over a span that holds no whole day all nodes share the day's rise, so more is asked; most over so many seconds and
more, which may be nothing but that rise."""
WEAK, SURELY = 1 / 3, 2.0
"""Of its least score: a node's growth that counts for the fleet's if the median node's is so many times beyond it."""
ASKED = 8
"""Nodes, about, that are asked whether their cache fills."""
HARMLESS = frozenset({"peers", "material"})
"""Gates that a node's growth need not pass to count for the fleet's: they compare it with the fleet itself."""


def _own_score(sign: Sign) -> float:
    noise = math.hypot(sign.lone_error, sign.own_wander)
    doubt = 1.0 + COMPANY_WEIGHT * len(sign.alongside)  # what many caches do is the load's
    return (sign.lone_growth - sign.together) / noise / doubt if noise > 0 else 0.0


def own_limit(sign: Sign) -> float:
    """The least of a sign's growth over its own noise with which it counts for the fleet's."""
    if not sign.short:
        return FINDING_SCORE
    if not sign.span.whole:
        return SHORT_FLEET_SCORE
    return RISE_SCORE if sign.span.end - sign.span.start >= RISE else SHORT_FLEET_SCORE


def grown_alike(signs: Sequence[Sign], share: float = 1.0) -> dict[str, dict[str, Sign]]:
    """By cache and node, the longest sign of a growth that stands out from its node's own noise.

    `share`: of the least with which one counts for the fleet's (see own_limit), so much is enough over a whole day; in
    less, a deploy or an upgrade moves many nodes somewhat.
    """
    grown: dict[str, dict[str, Sign]] = {}
    for sign in signs:
        if not sign.span.of_all or set(sign.failed) - HARMLESS:
            continue
        least = own_limit(sign) * (1.0 if sign.short else share)
        if sign.together > MOST_NODE * sign.growth or _own_score(sign) < least:
            continue
        known = grown.setdefault(sign.cache, {})
        old = known.get(sign.track.node)
        if old is None or _preference(sign) > _preference(old):
            known[sign.track.node] = sign
    return grown


def _preference(sign: Sign) -> tuple[bool, float]:
    return _own_score(sign) >= own_limit(sign), sign.span.end - sign.span.start


def fleet_findings(
    signs: Sequence[Sign],
    listing: Mapping[str, set[str]],
    past: Past,
    end: float,
    settings: AnalysisSettings,
) -> tuple[list[Finding], list[Finding], set[tuple[str, str]]]:
    """The fleet's findings, what is only watched, and the (node, cache) pairs that they speak for.

    A row that is only watched does not speak for nodes that are findings by themselves.

    FLEET_SHARE of the nodes that list a cache show its growth beyond the limit, or weakly and the median node surely.
    What fills on them, by the median of ASKED nodes, is watched, as is what many other caches do as well.
    """
    grown = grown_alike(signs, WEAK)
    findings: list[Finding] = []
    watch: list[Finding] = []
    covered: set[tuple[str, str]] = set()
    found_alone: dict[str, set[str]] = defaultdict(set)
    for sign in signs:
        if not sign.failed and sign.score >= sign.limit:
            found_alone[sign.cache].add(sign.track.node)
    for cache in sorted(grown):
        nodes = grown[cache]
        listed = len(listing.get(cache, nodes))  # what came between two readings is in no list of the first
        if len(nodes) < 2 or len(nodes) < FLEET_SHARE * listed:
            continue
        score = float(np.median([_own_score(sign) for sign in nodes.values()]))
        least = float(np.median([own_limit(sign) for sign in nodes.values()]))
        clear = sum(_own_score(sign) >= own_limit(sign) for sign in nodes.values())
        least *= 1.0 if clear >= FLEET_SHARE * listed else SURELY
        short = any(sign.short for sign in nodes.values())
        q = float(q_values([chance(score, short=short)], len(listing))[0])
        if score < least or q > settings.q_limit:
            continue
        grew = [nodes[name] for name in sorted(nodes)]
        if np.median([sign.rate - material_rate(sign.track, settings) for sign in grew]) < 0.0:
            continue
        found = _finding(cache, grew, listed, past, end, score, q)
        failed = failed_by_all(grew, past, many=_shared(grew) >= MANY_MORE)
        # What is only watched must not hide a node that leaks beyond what all do.
        leaking = found_alone[cache] if failed else set()
        covered.update((node, cache) for node in nodes if node not in leaking)
        if failed:
            watch.append(replace(found, evidence={**found.evidence, "not_passed": ", ".join(failed)}))
        else:
            findings.append(found)
    return findings, watch, covered


def failed_by_all(signs: Sequence[Sign], past: Past, *, many: bool) -> tuple[str, ...]:
    """The gates that the growth of one cache on many nodes does not pass on the median of them.

    `bends`: by ASKED of the nodes it fills. `load`: over less than a day `many` other caches rise along with it.
    """
    asked = signs[:: max(1, len(signs) // ASKED)]
    bent = np.median([past.bent(sign.track.node, sign.track.boot, sign.cache) for sign in asked]) > 1.0
    short = any(sign.short for sign in signs)
    return tuple(name for name, failed in (("bends", bent), ("load", short and many)) if failed)


def _shared(signs: Sequence[Sign]) -> int:
    """How many caches rise along with one on most of its nodes: chance lets others do so on each node."""
    counts = Counter(name for sign in signs for name in sign.alongside)
    return sum(2 * count > len(signs) for count in counts.values())


def _finding(cache: str, signs: Sequence[Sign], listed: int, past: Past, end: float, score: float, q: float) -> Finding:
    ordered = sorted(signs, key=lambda sign: (sign.rate, sign.track.node))
    middle = ordered[len(ordered) // 2]
    rate = float(np.median([sign.rate for sign in signs])) * 3600.0
    gone = []
    for sign in signs:
        available = sign.track.memory[:, MEMORY_AVAILABLE]
        available = available[np.isfinite(available)]
        if len(available) and (at := exhausts_at(end, float(available[-1]), sign.rate * 3600.0)) is not None:
            gone.append(at)
    part = cells(middle.track, middle.span.start, middle.span.end, middle.span.width)
    y = part.allocated[:, part.index[cache]]
    kept = np.isfinite(y)
    t, y, active = part.time[kept], y[kept], part.active[kept]
    whole = past.series(middle.track.node, middle.track.boot, cache)
    if not middle.span.whole and len(whole[0]):
        t, y = whole
    first = onset(t, y)
    load = node_load(active[first:], part.index[cache]) if middle.span.whole else None
    since, growth = float(t[first]), float(np.median([max(sign.growth, 0.0) for sign in signs]))
    shape = shape_of(t[first:], y[first:], load)
    exhausted = min(gone) if gone and shape != "stopped" else None
    text = describe(
        where=f"{len(signs)} of {listed} nodes of {middle.track.group}",
        cache=cache,
        growth=growth,
        seconds=end - since,
        bytes_per_hour=rate,
        peers=0,
        peer_bytes_per_hour=None,
        also=0,
        reboots=0,
        stopped=shape == "stopped",
        exhausts_at=exhausted,
    )
    return Finding(
        kind="fleet",
        node=None,
        group=middle.track.group,
        cache=cache,
        members=tuple(sorted({member for sign in signs for member in sign.facts.members})),
        also=(),
        growth_bytes=growth,
        bytes_per_hour=rate,
        objects_per_hour=rate / middle.facts.obj_size if middle.facts.obj_size else 0.0,
        peer_bytes_per_hour=None,
        score=score,
        q_value=q,
        shape=shape,
        since=since,
        since_open=first == 0,
        exhausts_at=exhausted,
        reclaimable=middle.facts.reclaimable,
        aliases=middle.facts.aliases,
        summary=text,
        evidence={
            "nodes_growing": float(len(signs)),
            "nodes_listing": float(listed),
            "slowest": size(ordered[0].rate * 3600.0) + "/h",
            "fastest": size(ordered[-1].rate * 3600.0) + "/h",
        },
    )
