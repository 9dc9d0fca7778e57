"""`slabhound analyze PATH...`: the outlier report over dumps on disk, without a server."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from common.commands.options import GROUP, JSON, PATHS_HELP, window_or_all
from common.config import Option
from common.dumps import Tally, read_inputs
from common.terminal.progress import Progress
from common.terminal.report import exit_status, render_report
from common.terminal.screen import Screen
from common.terminal.units import counted
from common.terminal.waiting import Waiting
from common.wire import load_snapshot
from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings
from server.buckets import WIDTHS
from server.dumps_source import MemorySource
from server.reports.outliers import ReportNote, lay_out

if TYPE_CHECKING:
    from common.terminal.report import Points
    from server.buckets import NodeSeries

__all__ = ["OPTIONS", "add_arguments", "run"]

OPTIONS = (
    Option("window", "how far back from the newest dump to look: all, 90m, 24h, 7d", type=window_or_all, metavar="all"),
    GROUP,
    JSON,
)

_MOST = 100
"""Findings shown, as of the server's report where no limit is given."""
_NAMED, _NAMED_IN_JSON = 5, 100
"""Of the inputs that were skipped."""
_POINTS = 60
"""Of a series, for its sparkline."""


def add_arguments(parser: ArgumentParser) -> None:
    """The dumps."""
    parser.add_argument("path", metavar="PATH", nargs="+", help=PATHS_HELP)


def run(options: Namespace) -> int:
    """Prints the report. 1 when there are findings; else 2 when nothing could be judged; else 0. Raises InputError."""
    tally = Tally()
    source = _read(options.path, options.screen, tally)
    first, end, astray = source.span()
    start = first if options.window is None else end - options.window
    with Waiting(options.screen, "judging"):
        judgement = judge(source, start=start, end=end, group=options.group, settings=AnalysisSettings())
    report = lay_out(judgement, limit=_MOST, generated_at=time.time())
    report.notes += [ReportNote(node=None, note=note) for note in _left_out(source, tally, astray, json=options.json)]
    if options.json:
        options.screen.write([report.model_dump_json()])
    else:
        shown = report.model_dump(mode="json")
        series = _Series(source, shown, start, end)
        options.screen.write(render_report(shown, options.screen, series.of))
    return exit_status(report.model_dump(mode="json"))


def _read(paths: Collection[str], screen: Screen, tally: Tally) -> MemorySource:
    source = MemorySource()
    with Progress(screen, "reading") as progress:

        def reach(done: float, total: float) -> None:
            progress.reach(done, total, f"{counted(source.snapshots, 'snapshot')} of {counted(len(source), 'node')}")

        for snapshot in read_inputs(list(paths), load_line=load_snapshot, tally=tally, progress=reach):
            source.add(snapshot)
    return source


def _left_out(source: MemorySource, tally: Tally, astray: int, *, json: bool) -> list[str]:
    notes = []
    if tally.skipped:
        notes.append(f"{counted(tally.skipped, 'input')} skipped")
        shown = tally.reasons[: _NAMED_IN_JSON if json else _NAMED]
        notes += [f"skipped: {why}" for why in shown]
        if tally.skipped > len(shown):
            notes.append(f"and {tally.skipped - len(shown)} more skipped")
    if source.duplicates:
        notes.append(f"{counted(source.duplicates, 'snapshot')} came twice; the first of each counts")
    if astray:
        notes.append(f"{counted(astray, 'snapshot')} left out: taken a year or more from the others, by a wrong clock")
    return notes


class _Series:
    """The findings' series, read from the source in one go."""

    def __init__(self, source: MemorySource, report: Mapping[str, Any], start: float, end: float) -> None:
        members = {name for finding in report["findings"] for name in finding["members"]}
        self._nodes = list(source.window(start, end, _width(end - start), caches=members)) if members else []

    def of(self, finding: Mapping[str, Any]) -> Points | None:
        """Allocated bytes of the finding's cache on its node (a fleet's: on the first node that lists it)."""
        for node in self._nodes:
            if finding["node"] in {None, node.node} and node.group == finding["group"]:
                points = _points(node, set(finding["members"]))
                if points:
                    return points
        return None


def _width(seconds: float) -> int:
    """The widest buckets that still give a sparkline's worth of points."""
    return max((width for width in WIDTHS if width <= seconds / _POINTS), default=WIDTHS[0])


def _points(node: NodeSeries, members: Collection[str]) -> list[tuple[float, float | None]]:
    """Allocated bytes by time, rows of all members summed, a gap between two boots."""
    points: list[tuple[float, float | None]] = []
    for boot in node.boots:
        sizes = np.array([row.obj_size if row.name in members else 0.0 for row in boot.rows])
        kept = sizes > 0
        listed = ~np.isnan(boot.num_min[:, kept]).all(axis=1)
        held = np.nansum(boot.num_min[:, kept] * sizes[kept], axis=1)
        if points and listed.any():
            points.append((float(boot.time[0]), None))
        points += zip(boot.time[listed].tolist(), held[listed].tolist(), strict=True)
    return points
