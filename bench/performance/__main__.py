"""Measures everything, or some of it, and writes docs/performance.md: `python -m bench.performance [--only TOPIC]`."""

from __future__ import annotations

import argparse
import shlex
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.performance import page
from bench.performance.fleets import HOUR, Filled, Stock, fill, fleet, multiply
from bench.performance.ingest import ingest_output
from bench.performance.machine import describe
from bench.performance.others import measure_others
from bench.performance.pushes import newest
from bench.performance.questions import FAILURES, Asked, Process, Server, ask_all, process_of
from bench.performance.storage import sizes

TOPICS = ("ingest", "storage", "questions", "engines")
_DAY = 24.0
_ABOUT = """{nodes} nodes, {hours:g} h, a snapshot a minute, the same to each; the first {singly:,} one a request,
the rest ten. Slabhound gets them as its agents send them (gzip; one by one with the layout's hash, in
tens in full, as from a spool), the others by remote write (snappy's literal form). They keep one number
of each cache, the allocated bytes, where Slabhound keeps four, and memory, boot and geometry: four of
theirs stand against one cache-sample of ours. Their "report" is the nearest that can be asked in one
query, every cache's `deriv` over 24 h less its peers' median, the first hundred; what it finds is no
report ([detection](detection.md) compares such methods). Prometheus's bytes are those of its finished
blocks, of two hours and some merged: older ones are merged further. The series is `GET /compare`, which
judges the cache on every node besides. What was acknowledged before kill -9 is five snapshots of every
node, sent within a second or two before."""


@dataclass(slots=True)
class _Fleets:
    """The stores everything is asked of."""

    day: Stock
    week: Stock | None = None
    measured: list[tuple[Stock, Filled, dict[str, float]]] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=TOPICS, action="append", help="leave the rest out")
    parser.add_argument("--simulated", type=int, default=50, help="nodes that are simulated; bigger fleets repeat them")
    parser.add_argument("--hours", type=float, default=168, help="history of the fleets of --nodes")
    parser.add_argument("--nodes", type=int, nargs="*", default=[100, 1000], help="fleets, multiples of --simulated")
    parser.add_argument("--day-nodes", type=int, nargs="*", default=[10_000], help="fleets that have a day of history")
    parser.add_argument("--engine-nodes", type=int, default=50, help="nodes that all engines get")
    parser.add_argument("--engine-hours", type=float, default=24)
    parser.add_argument("--singly", type=int, default=5000, help="snapshots that all engines get one a request")
    parser.add_argument("--ingest-args", default="", help="handed to bench.bench_ingest")
    parser.add_argument("--folder", type=Path, help="where the stores are made (default: the temporary folder)")
    parser.add_argument("--output", type=Path, help="the page whose figures are replaced; printed without it")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="slabhound-bench-") as folder:
        sections = _measure(Path(folder), options, _say(began))
    if options.output:
        page.put(options.output, sections)
        print(f"{options.output} is written, after {(time.monotonic() - began) / 60:.0f} minutes")
    else:
        print("\n\n".join(sections))


def _say(began: float) -> Callable[[str], None]:
    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    return say


def _made_by(options: argparse.Namespace, topic: str) -> str:
    """When, where and how a topic's figures came about."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{day}, `{_command(options, topic)}`, on {describe()}."


def _command(options: argparse.Namespace, *topics: str) -> str:
    """What makes these figures again."""
    given: dict[str, tuple[float, float]] = {}
    if {"storage", "questions"} & set(topics or TOPICS):
        given |= {"--hours": (options.hours, 168.0), "--simulated": (options.simulated, 50)}
    if "engines" in (topics or TOPICS):
        given |= {
            "--engine-nodes": (options.engine_nodes, 50),
            "--engine-hours": (options.engine_hours, 24.0),
            "--singly": (options.singly, 5000),
        }
    lists: dict[str, tuple[list[int], list[int]]] = {}
    if "questions" in (topics or TOPICS):
        lists = {"--nodes": (options.nodes, [100, 1000]), "--day-nodes": (options.day_nodes, [10_000])}
    words = [word for topic in topics or options.only or () for word in ("--only", topic)]
    words += [word for name, (value, usual) in given.items() if value != usual for word in (name, f"{value:g}")]
    words += [word for name, (value, usual) in lists.items() if value != usual for word in (name, *map(str, value))]
    if options.ingest_args and "ingest" in (topics or TOPICS):
        words.append(shlex.quote(f"--ingest-args={options.ingest_args}"))
    return "make bench" + (f' BENCH_ARGS="{" ".join(words)}"' if words else "")


def _measure(folder: Path, options: argparse.Namespace, say: Callable[[str], None]) -> list[str]:
    topics, sections = options.only or TOPICS, []
    if "ingest" in topics:
        say("ingest")
        output = ingest_output(shlex.split(options.ingest_args))
        sections.append(page.ingest_section(output, _made_by(options, "ingest")))
    if "storage" in topics or "questions" in topics:
        fleets = _fill(folder, options, say)
        if "storage" in topics:
            sections.append(page.storage_section(fleets.measured, _made_by(options, "storage")))
        if "questions" in topics:
            asked, processes = _ask(folder, options, fleets, say)
            sections.append(page.questions_section(asked, _made_by(options, "questions")))
            sections.append(page.memory_section(processes, _made_by(options, "questions")))
    if "engines" in topics:
        nodes, hours, singly = options.engine_nodes, options.engine_hours, options.singly
        found, missing = measure_others(folder / "engines", nodes, hours, singly, say)
        about = _ABOUT.format(nodes=nodes, hours=hours, singly=singly)
        sections.append(page.engines_section(found, missing, about, _made_by(options, "engines")))
    return sections


def _fill(folder: Path, options: argparse.Namespace, say: Callable[[str], None]) -> _Fleets:
    """A day of the simulated nodes, and a copy of it that is filled on."""
    machines = fleet(options.simulated, options.hours)
    start, last = machines.spec.start, machines.spec.start + min(_DAY, options.hours) * HOUR
    (folder / "day").mkdir()
    empty = Stock(folder / "day", options.simulated, start, start - 1, 0, 0)
    day, filled = fill(empty, machines, last)
    say(f"{day.nodes} nodes, {day.hours:.0f} h are in")
    fleets = _Fleets(day)
    fleets.measured.append((day, filled, sizes(day)))
    if options.hours > _DAY:
        week = multiply(day, folder / "week", 1)
        week, filled = fill(week, machines, machines.end)
        say(f"{week.nodes} nodes, {week.hours:.0f} h are in")
        fleets.week = week
        fleets.measured.append((week, filled, sizes(week)))
    return fleets


def _ask(
    folder: Path, options: argparse.Namespace, fleets: _Fleets, say: Callable[[str], None]
) -> tuple[list[tuple[Stock, list[Asked]]], list[tuple[Stock, Process]]]:
    asked: list[tuple[Stock, list[Asked]]] = []
    processes: list[tuple[Stock, Process]] = []
    sized = [(nodes, fleets.week or fleets.day) for nodes in options.nodes]
    for nodes, base in [*sized, *((nodes, fleets.day) for nodes in options.day_nodes)]:
        place = folder / f"fleet{len(asked)}"
        stock = multiply(base, place, max(1, nodes // base.nodes))
        say(f"{stock.nodes} nodes, {stock.hours:.0f} h: {stock.path.stat().st_size / 1e6:.0f} MB")
        server = Server(stock, newest(base))
        asked.append((stock, ask_all(server, say)))
        try:
            processes.append((stock, process_of(server)))
        except FAILURES as error:
            say(f"{stock.nodes} nodes: memory and restart could not be measured: {error}")
        stock.path.unlink()
    return asked, processes


if __name__ == "__main__":
    main()
