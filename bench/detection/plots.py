"""Draws every family, the leaking node beside its peers and what was found: `python -m bench.detection.plots DIR`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench.detection.baselines import BASELINES, bucket_width, panel
from bench.detection.runs import SETTINGS, claims_of, ours, targets_of
from bench.detection.scenarios import FORMS, HUGE, LEAST_NODES, REPORTING, Case, build, shows
from bench.detection.score import mark
from bench.detection.source import held
from bench.detection.svg import Drawing, Line
from server.analysis.identity import fold
from server.analysis.types import Finding, Judgement
from server.buckets import WIDTHS, NodeSeries
from server.simulator.families import FAMILIES, Family, Truth
from server.simulator.fleet import FleetSpec

__all__ = ["main", "panel_of", "picture"]

WIDE, HIGH, MARGIN = 300.0, 96.0, 12.0
SHOWN = tuple(form for form in FORMS if form.name != "24 h at 1 min")
POINTS, PEERS = 90, 12
Points = list[tuple[float, float] | None]
LEAKING, HEALTHY, FOUND, WRONG = "#c0392b", "#2471a3", "#dff3e3", "#fbd9d3"
KEY = {
    True: "red: the leaking node, grey: its peers; dashed: the leak begins; green: the report says so, and since when",
    False: "blue: the node that changes or that a naive method would name first, grey: its peers; "
    "red ground: wrongly a finding",
}
KEY_HIGH, WORDS_HIGH = 24.0, 18.0
"""Of the key at the top, and of the verdict within a panel."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One scenario as drawn. Times are shares of the window."""

    title: str
    verdict: str
    good: bool
    lines: tuple[Line, ...]
    onset: float | None
    band: float | None
    """From where on the report says that it grows, rightly (`true`) or wrongly."""
    true: bool = False


def picture(families: Collection[Family], seed: int) -> str:
    """An SVG with a row for every family and a column for every length."""
    row, above = HIGH + 58, KEY_HIGH + 30
    drawing = Drawing(MARGIN + len(SHOWN) * (WIDE + MARGIN), above + row * len(families))
    key = " / ".join(KEY[leaks] for leaks in sorted({family.leaks for family in families}, reverse=True))
    drawing.words(MARGIN, 18, f"Allocated bytes. {key[0].upper()}{key[1:]}.", size=11)
    for column, form in enumerate(SHOWN):
        drawing.words(MARGIN + column * (WIDE + MARGIN), KEY_HIGH + 18, form.name, size=13, bold=True)
    for number, family in enumerate(families):
        top = above + row * number
        drawing.words(MARGIN, top + 14, f"{family.name}: {family.about}", size=12, bold=True)
        for column, form in enumerate(SHOWN):
            x = MARGIN + column * (WIDE + MARGIN)
            case = Case(family.name, form, seed + 10 * number + column, LEAST_NODES.get(family.name, 6))
            if shows(case) and (family.name not in HUGE or form.interval == 600):
                _draw(drawing, x, top + 20, panel_of(case))
    return drawing.text()


def _draw(drawing: Drawing, x: float, top: float, one: Panel) -> None:
    if one.band is not None:
        drawing.box(x + one.band * WIDE, top + 14, (1 - one.band) * WIDE, HIGH, fill=FOUND if one.true else WRONG)
    drawing.box(x, top + 14, WIDE, HIGH, fill="none", stroke="#ddd")
    drawing.lines(x, top + 14, WIDE, HIGH, one.lines)
    if one.onset is not None and 0 <= one.onset <= 1:
        drawing.upright(x + one.onset * WIDE, top + 14 + WORDS_HIGH, top + 14 + HIGH, "#555")
    drawing.words(x, top + 10, one.title, colour="#555")
    drawing.words(x + 3, top + 26, one.verdict, colour="#1e7d34" if one.good else "#b03a2e")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What of a scenario is looked at, and what the report says of it."""

    node: str | None
    what: str
    verdict: str
    good: bool
    named: Finding | None
    points: Callable[[NodeSeries], Points]
    onset: float | None = None
    """Epoch seconds."""


def panel_of(case: Case) -> Panel:
    """The case as drawn."""
    scenario = build(case)
    spec = scenario.spec
    source, start, end = held(spec), spec.start, spec.start + spec.hours * 3600
    judged, _ = ours(source, start, end)
    width = max((width for width in WIDTHS if width <= (end - start) / POINTS), default=WIDTHS[0])
    series = list(source.window(start, end, width))
    truth = next(iter(scenario.truths), None)
    seen = _leak(case, truth, judged, series) if truth else _healthy(spec, judged, series, end)
    shown = [one for one in series if one.node != seen.node][:PEERS] + [one for one in series if one.node == seen.node]
    lines, most = _scaled([seen.points(one) for one in shown], start, end)
    colour = LEAKING if scenario.truths else HEALTHY
    drawn = tuple(
        Line(points, colour if one.node == seen.node else "#aaa", 1.6 if one.node == seen.node else 0.7)
        for one, points in zip(shown, lines, strict=True)
    )
    begun = None if seen.onset is None else (seen.onset - start) / (end - start)
    band = None if seen.named is None else min(1.0, max(0.0, (seen.named.since - start) / (end - start)))
    title = f"{seen.what}; up to {most / 1e6:,.1f} MB"
    return Panel(title, seen.verdict, seen.good, drawn, begun, band, bool(scenario.truths))


def _leak(case: Case, truth: Truth, judged: Judgement, series: list[NodeSeries]) -> _Seen:
    wanted = targets_of(case)
    marks = mark(claims_of(judged), wanted)
    ranks = [rank for rank in marks.ranks if rank is not None]
    first = marks.ranks[0]
    named = judged.findings[first - 1] if first is not None else None
    verdict = f"found: score {named.score:.0f}, {named.shape}" if named is not None else "missed"
    if len(wanted) > 1:
        verdict += f"; {len(ranks)} of {len(wanted)} nodes found"
    if named is not None and named.node is None:
        verdict += "; all nodes"
    if marks.false:
        verdict += f"; {len(marks.false)} false"
    node, cache = truth.nodes[0], truth.caches[0]
    names = _named(series, node, cache)
    good = len(ranks) == len(wanted) and not marks.false
    what = f"{cache} on {node}, {wanted[0].lost / 1e6:,.1f} MB lost"
    return _Seen(node, what, verdict, good, named, lambda one: _points(one, names), truth.onset)


def _healthy(spec: FleetSpec, judged: Judgement, series: list[NodeSeries], end: float) -> _Seen:
    """What was named wrongly; else memory that leaks in no cache; else what changes most, or would be named first."""
    if judged.findings:
        named = judged.findings[0]
        verdict = f"false: score {named.score:.0f}, {named.shape}"
        what = f"{named.cache} on {named.node}"
        return _Seen(named.node, what, verdict, False, named, lambda one: _points(one, {named.cache}))
    if leaking := next((one for one in spec.nodes if one.page_leaks), None):
        unlisted = leaking.page_leaks[0].in_slab
        noted = any(note.node == leaking.name and "grows" in note.note for note in judged.notes)
        verdict = "no finding; a note" if noted else "no finding, no note"
        what = f"{'slab in no cache' if unlisted else 'memory outside slab'} on {leaking.name}"
        points = partial(_memory_points, unlisted=unlisted)
        onset = spec.start + leaking.page_leaks[0].at * 3600
        return _Seen(leaking.name, what, verdict, noted, None, points, onset)
    if changed := [one for one in spec.nodes if one.changes]:
        cache = changed[0].changes[0].caches[0]
        names = {one.name for one in changed if one.changes[0].caches[0] == cache}
        moved = {one.node: _range(_points(one, {fold(cache)})) for one in series if one.node in names}
        node = max(moved, key=lambda name: moved[name])
    else:
        node, cache = _naive(series, spec.start, end)
    folded = fold(cache)
    return _Seen(node, f"{folded} on {node}", "rightly silent", True, None, lambda one: _points(one, {folded}))


def _named(series: list[NodeSeries], node: str, cache: str) -> set[str]:
    """The folded names under which that node lists a cache."""
    rows = [row for one in series if one.node == node for boot in one.boots for row in boot.rows]
    return {fold(row.name) for row in rows if cache in {row.name, fold(row.name), *row.aliases}}


def _naive(series: list[NodeSeries], start: float, end: float) -> tuple[str, str]:
    """The (node, cache) that growth against the peers' median would name first."""
    data = panel(series, start, end, bucket_width(end - start))
    material = data.memory * SETTINGS.material_fraction / (30 * 86400)
    for method in (BASELINES[1], BASELINES[0]):
        if rows := method.judge(data, np.nan_to_num(material)):
            return rows[0][:2]
    return series[0].node, "dentry"


def _points(node: NodeSeries, names: Collection[str]) -> Points:
    """(epoch, bytes) of the rows of these folded names together; None between two boots."""
    points: Points = []
    for boot in node.boots:
        chosen = [k for k, row in enumerate(boot.rows) if fold(row.name) in names]
        if not chosen:
            continue
        sizes = np.array([boot.rows[k].obj_size for k in chosen], dtype=np.float64)
        y = np.nansum(boot.num_min[:, chosen] * sizes, axis=1)
        points += [*([None] if points else []), *zip(boot.time.tolist(), y.tolist(), strict=True)]
    return points


def _memory_points(node: NodeSeries, *, unlisted: bool) -> Points:
    """(epoch, bytes) of memory outside slab, or of slab that no cache lists; see server.analysis.memory."""
    points: Points = []
    for boot in node.boots:
        total, available, soft, hard = boot.memory.T
        sizes = np.array([row.obj_size for row in boot.rows], dtype=np.float64)
        y = soft + hard - np.nansum(boot.num_min * sizes, axis=1) if unlisted else total - available - hard
        points += [*([None] if points else []), *zip(boot.time.tolist(), y.tolist(), strict=True)]
    return points


def _range(points: Points) -> float:
    values = [p[1] for p in points if p is not None]
    return max(values) - min(values) if values else 0.0


def _scaled(lines: list[Points], start: float, end: float) -> tuple[list[Points], float]:
    values = [p[1] for line in lines for p in line if p is not None] or [0.0]
    low, high = min(values), max(values)
    low = 0.0 if low < 0.5 * high else low
    room = max(high - low, 1.0) * 1.25
    return [[p and ((p[0] - start) / (end - start), (p[1] - low) / room) for p in line] for line in lines], high


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for name, leaks in (("leaking", True), ("healthy", False)):
        families = [family for family in FAMILIES.values() if family.leaks == leaks]
        (folder / f"detection-{name}.svg").write_text(picture(families, REPORTING), encoding="utf-8")


if __name__ == "__main__":
    main()
