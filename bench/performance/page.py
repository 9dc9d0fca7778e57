"""Lays the figures out as the tables of docs/performance.md; what people wrote around them stays."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.performance.asking import Cost
from bench.performance.fleets import Filled, Stock
from bench.performance.others import Measured
from bench.performance.questions import Asked, Process

__all__ = ["BEGIN", "END", "engines_section", "ingest_section", "put", "questions_section"]
__all__ += ["memory_section", "storage_section"]

BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of the figures -->"


def put(path: Path, sections: Sequence[str]) -> None:
    """Puts sections in place of those of the same titles; new ones go last. Raises ValueError without the marks."""
    text = path.read_text(encoding="utf-8")
    before, begun, rest = text.partition(BEGIN)
    inside, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{path} has no place for the figures: put {BEGIN} and {END} there")
    kept = {
        _title(section): section for section in re.split(r"^(?=## )", inside, flags=re.MULTILINE) if section.strip()
    }
    kept |= {_title(section): section for section in sections}
    figures = "\n\n".join(section.strip() for section in kept.values())
    path.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}", encoding="utf-8")


def _title(section: str) -> str:
    return section.strip().partition("\n")[0]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}" if seconds < 0.1 else f"{seconds * 1000:,.0f}"


def ingest_section(output: str | None, made: str) -> str:
    body = output.strip() if output else "Not measured: there is no `bench/bench_ingest.py` here."
    return f"## Ingest\n\n{made}\n\n{body}"


def storage_section(measured: Sequence[tuple[Stock, Filled, dict[str, float]]], made: str) -> str:
    """Bytes per cache-sample, a column a length of history."""
    stock = measured[0][0]
    head = ["bytes per cache-sample", *(f"{stock.hours:.0f} h" for stock, _, _ in measured)]
    rows = [[tier, *(f"{sizes[tier]:.3f}" for _, _, sizes in measured)] for tier in measured[0][2]]
    rows.append(["MB for a node and day, without free pages", *(f"{_node_day(s, b):.2f}" for s, _, b in measured)])
    costs = "; ".join(
        f"{f.append:.3f} CPU-s for 1,000 snapshots appended, {f.maintain:.3f} sealed ({s.hours:.0f} h)"
        for s, f, _ in measured
    )
    what = (
        f"{stock.nodes} nodes, a snapshot a minute, {stock.cells / stock.snapshots:.0f} caches each; a cache-sample is "
        "one row of a snapshot with its four counts. Free pages are used again; they come from a history that is put "
        "in at once."
    )
    return f"## Storage\n\n{made}\n\n{what}\n\n{_table(head, rows)}\n\nWithout HTTP: {costs}."


def _node_day(stock: Stock, sizes: dict[str, float]) -> float:
    used = sizes["the whole file"] - sizes["free pages"]
    return used * stock.cells / stock.nodes / (stock.hours / 24) / 1e6


def questions_section(stocks: Sequence[tuple[Stock, Sequence[Asked]]], made: str) -> str:
    """The questions, a table a size of fleet."""
    parts = [
        (
            f"## Questions\n\n{made}\n\nMilliseconds over HTTP, in brackets CPU milliseconds of the server. *Cold*: "
            "the server has just started and its files are out of the page cache. *Again*: the same question, the "
            "median of several. *A minute later*: every node has sent one more snapshot and the window has moved on "
            "(asked with `at`)."
        )
    ]
    for stock, asked in stocks:
        rows = [[one.question, _cost(one.cold), _cost(one.again), _cost(one.later)] for one in asked]
        head = ["question", "cold", "again", "a minute later"]
        parts.append(f"### {stock.nodes:,} nodes, {stock.hours:.0f} h\n\n{_table(head, rows)}")
    return "\n\n".join(parts)


def _cost(cost: Cost | None) -> str:
    if cost and math.isnan(cost.wall):
        return "failed"
    return "" if cost is None else f"{_ms(cost.wall)} ({_ms(cost.cpu)})"


def memory_section(measured: Sequence[tuple[Stock, Process]], made: str) -> str:
    """Resident memory and restarts, a column a size of fleet, and the growth from the first to the last."""
    head = ["", *(f"{stock.nodes:,} nodes" for stock, _ in measured)]
    rows = [
        ["MB resident when ready", *(f"{p.started / 1024:.0f}" for _, p in measured)],
        ["after a push of every node", *(f"{p.pushed / 1024:.0f}" for _, p in measured)],
        ["after a report over 24 h", *(f"{p.reported / 1024:.0f}" for _, p in measured)],
        ["seconds until ready after kill -9", *(f"{statistics.median(p.restarts):.2f}" for _, p in measured)],
    ]
    text = f"## Memory and restart\n\n{made}\n\n{_table(head, rows)}"
    if len(measured) > 1:
        (small, less), (big, more) = measured[0], measured[-1]
        each = [(b - a) / (big.nodes - small.nodes) for a, b in zip(_kib(less), _kib(more), strict=True)]
        text += f"\n\nKiB for each further node: {each[0]:.1f} when ready, {each[1]:.1f} after pushes, "
        text += f"{each[2]:.1f} after the report."
    return f"{text}\n\nThe time until ready includes starting Python; readiness is asked for every 50 ms."


def _kib(process: Process) -> tuple[int, int, int]:
    return process.started, process.pushed, process.reported


def engines_section(measured: Sequence[Measured], missing: Sequence[str], about: str, made: str) -> str:
    """The engines side by side, a column each."""
    head = ["", *(f"{one.name}" for one in measured)]
    rows = [
        ["stores of each cache", *(one.remark for one in measured)],
        ["server CPU-s for 1,000 snapshots, one a request", *(f"{one.single:.2f}" for one in measured)],
        ["server CPU-s for 1,000 snapshots, ten a request", *(f"{one.batches:.2f}" for one in measured)],
        ["bytes on disk per cache-sample", *(f"{one.bytes_per_sample:.2f}" for one in measured)],
        ["MB resident when all is in", *(f"{one.resident / 1024:.0f}" for one in measured)],
        ["seconds until ready after kill -9", *(f"{one.restart:.2f}" for one in measured)],
        [
            "lost of what was acknowledged right before it",
            *(f"{one.lost:,} of {one.pushed:,} {one.counted}" for one in measured),
        ],
    ]
    for question in measured[0].questions:
        costs = [one.questions[question] for one in measured]
        rows.append([f"{question}: ms cold", *(_cost(cold) for cold, _ in costs)])
        rows.append([f"{question}: ms again", *(_cost(again) for _, again in costs)])
    skipped = f"\n\nNot measured, as not installed: {', '.join(missing)} (Debian's packages)." if missing else ""
    return f"## The same work given to other engines\n\n{made}\n\n{about}\n\n{_table(head, rows)}{skipped}"
