"""The outlier report as text. It takes the contract's JSON, so that `report` and `analyze` look alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.terminal.colour import paint
from common.terminal.screen import Screen
from common.terminal.sparkline import sparkline
from common.terminal.table import Column, table
from common.terminal.text import escape, pad, wrap
from common.terminal.units import age, count, counted, rate, size, span, when
from common.times import parse_time

__all__ = ["Points", "exit_status", "render_report"]

Points = Sequence[tuple[float, float | None]]
"""(epoch seconds, allocated bytes) by time."""
Report = Mapping[str, Any]
Finding = Mapping[str, Any]

_SPARK, _LEAST_SPARK = 40, 8
_INDENT = "    "


def exit_status(report: Report) -> int:
    """1 when there are findings; else 2 when nothing could be judged; else 0."""
    if report["findings"]:
        return 1
    return 0 if any(group["series"] for group in report["groups"]) else 2


def render_report(
    report: Report, screen: Screen, series: Callable[[Finding], Points | None] = lambda _finding: None
) -> list[str]:
    """The lines of a report; `series` gives the points of a finding's cache, where they are at hand."""
    start, end = (parse_time(report["window"][edge]) for edge in ("from", "to"))
    lines = [
        paint(f"slab caches from {when(start)} to {when(end)} ({span(end - start)})", "head", colour=screen.colour)
    ]
    lines += [
        f"  group {escape(group['group'])}: {counted(group['nodes'], 'node')}, {count(group['series'])} series judged"
        for group in report["groups"]
    ]
    lines += ["", *_verdict(report, screen)]
    for finding in report["findings"]:
        lines += ["", *_finding(finding, screen, start, end, series(finding))]
    if report["truncated"]:
        lines += ["", f"{count(report['truncated'])} more findings are not shown"]
    if report["watch"]:
        lines += ["", paint("to watch (weaker signs; nothing to wake anyone for):", "head", colour=screen.colour)]
        lines += _watch(report["watch"], screen, end)
    if report["notes"]:
        lines += ["", paint("notes:", "head", colour=screen.colour)]
        for note in _folded(report["notes"]):
            lines += _hanging("  - ", note, screen.width)
    return lines


def _folded(notes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The notes as text; nodes of which the same is said share one line, and past five are only counted."""
    about: dict[str, list[str]] = {}
    for note in notes:
        about.setdefault(note["note"], []).extend([escape(note["node"])] if note["node"] else [])
    folded = []
    for text, nodes in about.items():
        named = ", ".join(nodes[:5]) + (f" and {count(len(nodes) - 5)} more" if len(nodes) > 5 else "")
        folded.append((f"{named}: " if named else "") + escape(text))
    return folded


def _verdict(report: Report, screen: Screen) -> list[str]:
    found = len(report["findings"]) + report["truncated"]
    if found:
        text, style = (
            "1 finding:" if found == 1 else f"{count(found)} findings, in the order in which to look:",
            "alarm",
        )
    elif exit_status(report):
        why = "no series is long enough" if report["groups"] else "no node has a snapshot"
        text, style = f"nothing could be judged: {why} in this window", "warn"
    else:
        text, style = "no findings: no cache grows as a leak does", "good"
    return [paint(text, style, colour=screen.colour)]


def _finding(finding: Finding, screen: Screen, start: float, end: float, points: Points | None) -> list[str]:
    place = escape(finding["node"]) if finding["node"] else f"every node of {escape(finding['group'])}"
    head = f"{finding['rank']:>2}. {place}  {escape(finding['cache'])}"
    facts = f"{rate(finding['bytes_per_hour'], sign=True)}  {finding['kind']}"
    room = screen.width - len(facts) - 2
    if len(head) <= room:
        lines = [paint(pad(head, room), "alarm", colour=screen.colour) + "  " + facts]
    else:
        lines = [paint(line, "alarm", colour=screen.colour) for line in _hanging("", head, screen.width)]
        lines.append(_INDENT + facts)
    if points:
        levels = _levels(points)
        room = max(screen.width - len(_INDENT) - 2 - len(levels), _LEAST_SPARK)
        if spark := sparkline(points, min(_SPARK, room), start=start, end=end, unicode=screen.unicode):
            lines.append(f"{_INDENT}{paint(spark, 'warn', colour=screen.colour)}  {levels}")
    for text in _details(finding, end):
        lines += _hanging(_INDENT, text, screen.width)
    return lines


def _levels(points: Points) -> str:
    known = [value for _, value in points if value is not None]
    return f"{size(known[0])} -> {size(known[-1])}"


def _details(finding: Finding, end: float) -> list[str]:
    since = parse_time(finding["since"])
    began = f"since {when(since)}" + (", where the data begin" if finding["since_open"] else "")
    peers = finding["peer_bytes_per_hour"]
    growth = f"{size(finding['growth_bytes'], sign=True)} {began} ({age(since, end)}), {finding['shape']}"
    objects = f"{count(finding['objects_per_hour'])} objects/h"
    beside = f"peers {'do not list it' if peers is None else rate(peers, sign=True)}"
    if finding["kind"] == "fleet":
        beside = "as on the median node"
    texts = [
        escape(finding["summary"]),
        f"{growth}; {objects}; {beside}",
        f"{_exhausts(finding, end)}; score {finding['score']:.1f}, q {finding['q_value']:.2g}",
    ]
    also = [f"{escape(a['cache'])} {rate(a['bytes_per_hour'], sign=True)}" for a in finding["also"]]
    names = [escape(name) for name in finding["members"] if finding["members"] != [finding["cache"]]]
    aliases = [escape(name) for name in finding["aliases"]]
    if also:
        texts.append("grows in lockstep: " + ", ".join(also))
    if names:
        texts.append("the kernel's names: " + ", ".join(names))
    if aliases:
        texts.append("the kernel merged into it: " + ", ".join(aliases))
    if finding["reclaimable"]:
        texts.append("reclaimable: the kernel may shrink it under pressure")
    return texts


def _exhausts(finding: Finding, end: float) -> str:
    if finding["exhausts_at"] is None:
        return "memory lasts for more than a year, or its size is unknown"
    at = parse_time(finding["exhausts_at"])
    return f"at this pace memory runs out {age(at, end)}, {when(at)}"


def _watch(findings: Sequence[Finding], screen: Screen, end: float) -> list[str]:
    columns = (
        Column("node", least=8),
        Column("cache", least=12),
        Column("growth", right=True),
        Column("peers", right=True),
        Column("shape"),
        Column("since", right=True),
        Column("score", right=True),
        Column("q", right=True),
    )
    rows = [
        (
            f["node"] or f"all of {f['group']}",
            f["cache"],
            rate(f["bytes_per_hour"], sign=True),
            rate(f["peer_bytes_per_hour"], sign=True),
            f["shape"],
            ("> " if f["since_open"] else "") + span(end - parse_time(f["since"])),
            f"{f['score']:.1f}",
            f"{f['q_value']:.2g}",
        )
        for f in findings
    ]
    return table(columns, rows, screen, indent="  ")


def _hanging(first: str, text: str, width: int) -> list[str]:
    """Wrapped text whose first line begins with `first`, the others with as many blanks."""
    lines = wrap(text, width, " " * len(first))
    return [first + lines[0][len(first) :], *lines[1:]] if lines else []
