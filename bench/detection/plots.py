"""Draws every family, the leaking node beside its peers and what was found: `python -m bench.detection.plots DIR`."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.detection.baselines import BASELINES, bucket_width, panel
from bench.detection.runs import SETTINGS, claims_of, ours, targets_of
from bench.detection.scenarios import FORMS, HUGE, LEAST_NODES, REPORTING, Case, build, shows
from bench.detection.score import mark
from bench.detection.source import held
from bench.detection.svg import Drawing, Line
from server.analysis.identity import fold
from server.analysis.types import Finding
from server.buckets import WIDTHS, NodeSeries
from server.simulator.families import FAMILIES, Family

__all__ = ["main", "picture"]

WIDE, HIGH, MARGIN = 300.0, 96.0, 12.0
SHOWN = tuple(form for form in FORMS if form.name != "24 h at 1 min")
POINTS, PEERS = 90, 12
LEAKING, HEALTHY, FOUND, WRONG = "#c0392b", "#2471a3", "#dff3e3", "#fbd9d3"


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
    row = HIGH + 58
    drawing = Drawing(MARGIN + len(SHOWN) * (WIDE + MARGIN), 30 + row * len(families))
    for column, form in enumerate(SHOWN):
        drawing.words(MARGIN + column * (WIDE + MARGIN), 18, form.name, size=13, bold=True)
    for number, family in enumerate(families):
        top = 30 + row * number
        drawing.words(MARGIN, top + 14, f"{family.name}: {family.about}", size=12, bold=True)
        for column, form in enumerate(SHOWN):
            x = MARGIN + column * (WIDE + MARGIN)
            case = Case(family.name, form, seed + 10 * number + column, LEAST_NODES.get(family.name, 6))
            if shows(case) and (family.name not in HUGE or form.interval == 600):
                _draw(drawing, x, top + 20, _panel(case))
    return drawing.text()


def _draw(drawing: Drawing, x: float, top: float, one: Panel) -> None:
    if one.band is not None:
        drawing.box(x + one.band * WIDE, top + 14, (1 - one.band) * WIDE, HIGH, fill=FOUND if one.true else WRONG)
    drawing.box(x, top + 14, WIDE, HIGH, fill="none", stroke="#ddd")
    drawing.lines(x, top + 14, WIDE, HIGH, one.lines)
    if one.onset is not None and 0 <= one.onset <= 1:
        drawing.upright(x + one.onset * WIDE, top + 14, top + 14 + HIGH, "#555")
    drawing.words(x, top + 10, one.title, colour="#555")
    drawing.words(x + 3, top + 26, one.verdict, colour="#1e7d34" if one.good else "#b03a2e")


def _panel(case: Case) -> Panel:
    scenario = build(case)
    spec = scenario.spec
    source, start, end = held(spec), spec.start, spec.start + spec.hours * 3600
    judged, _ = ours(source, start, end)
    wanted = targets_of(case)
    marks = mark(claims_of(judged), wanted)
    width = max((width for width in WIDTHS if width <= (end - start) / POINTS), default=WIDTHS[0])
    series = list(source.window(start, end, width))
    node: str | None
    named: Finding | None = None
    if wanted:
        target, truth = wanted[0], scenario.truths[0]
        node, names, onset = truth.nodes[0], _named(series, truth.nodes[0], truth.caches[0]), truth.onset
        found = marks.ranks[0]
        named = judged.findings[found - 1] if found is not None else None
        verdict = "missed" if named is None else f"found: score {named.score:.0f}, {named.shape}"
        verdict += f"; {len(marks.false)} false" if marks.false else ""
        title = f"{truth.caches[0]} on {node}, {target.lost / 1e6:,.1f} MB lost"
    else:
        onset = None
        if marks.false:
            named = next(one for one in judged.findings if one.cache == marks.false[0].cache)
            node, names = named.node, {named.cache}
            verdict = f"false: score {named.score:.0f}"
        else:
            changed = next(((one.name, one.changes[0].caches[0]) for one in spec.nodes if one.changes), None)
            node, cache = changed or _naive(series, start, end)
            names, verdict = {fold(cache)}, "rightly silent"
        title = f"{'/'.join(sorted(names))} on {node}"
    shown = [one for one in series if one.node != node][:PEERS] + [one for one in series if one.node == node]
    held_bytes = [_points(one, names) for one in shown]
    lines, most = _scaled(held_bytes, start, end)
    colour = LEAKING if wanted else HEALTHY
    drawn = tuple(
        Line(points, colour if one.node == node else "#aaa", 1.6 if one.node == node else 0.7)
        for one, points in zip(shown, lines, strict=True)
    )
    good = (named is not None) == bool(wanted) and not marks.false
    begun = None if onset is None else (onset - start) / (end - start)
    band = None if named is None else min(1.0, max(0.0, (named.since - start) / (end - start)))
    return Panel(f"{title}; up to {most / 1e6:,.1f} MB", verdict, good, drawn, begun, band, bool(wanted))


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


def _points(node: NodeSeries, names: Collection[str]) -> list[tuple[float, float] | None]:
    """(epoch, bytes) of the rows of these folded names together; None between two boots."""
    points: list[tuple[float, float] | None] = []
    for boot in node.boots:
        chosen = [k for k, row in enumerate(boot.rows) if fold(row.name) in names]
        if not chosen:
            continue
        sizes = np.array([boot.rows[k].obj_size for k in chosen], dtype=np.float64)
        y = np.nansum(boot.num_min[:, chosen] * sizes, axis=1)
        points += [*([None] if points else []), *zip(boot.time.tolist(), y.tolist(), strict=True)]
    return points


def _scaled(
    lines: list[list[tuple[float, float] | None]], start: float, end: float
) -> tuple[list[list[tuple[float, float] | None]], float]:
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
