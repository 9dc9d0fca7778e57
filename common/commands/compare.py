"""`slabhound compare CACHE`: one cache on every node, side by side."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial
from typing import TYPE_CHECKING, Any

from common.commands.options import AT, GROUP, JSON, SERVER, TOKEN_FILE, WINDOW
from common.commands.series import points
from common.terminal.colour import paint
from common.terminal.sparkline import sparkline
from common.terminal.table import Cell, Column, table
from common.terminal.text import escape, wrap
from common.terminal.units import count, counted, rate, size, span, when
from common.terminal.waiting import Waiting
from common.times import parse_time

if TYPE_CHECKING:
    import httpx

    from common.terminal.screen import Screen

OPTIONS = (SERVER, WINDOW, AT, GROUP, JSON, TOKEN_FILE)

_SPARK = 32
_POINTS = 128
_NODES = 1000
_LABEL = "waiting for the comparison"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("cache", metavar="CACHE", help="the cache's name, as `slabhound caches` or the kernel has it")


def run(options: Namespace, *, transport: httpx.BaseTransport | None = None) -> int:
    """Prints a line a node, those that stand out first, with its growth and its series."""
    from common.commands.client import Client  # noqa: PLC0415 - httpx is loaded only to be used

    wanted = {"cache": options.cache, "window": options.window, "at": options.at, "group": options.group}
    with Client(options.server, options.token_file, transport=transport) as client, Waiting(options.screen, _LABEL):
        if options.json:
            lines = [client.get_text("/compare", {**wanted, "limit": _NODES})]
        else:
            comparison = client.get("/compare", {**wanted, "points": _POINTS, "limit": _NODES})
            lines = _lines(comparison, options.screen)
    options.screen.write(lines)
    return 0


def _lines(comparison: dict[str, Any], screen: Screen) -> list[str]:
    start, end = (parse_time(comparison["window"][edge]) for edge in ("from", "to"))
    nodes, peers = comparison["nodes"], comparison["peers"]
    cache = escape(comparison["cache"])
    lines = [paint(f"{cache} from {when(start)} to {when(end)} ({span(end - start)})", "head", colour=screen.colour)]
    if comparison["members"] != [comparison["cache"]]:
        names = ", ".join(map(escape, comparison["members"]))
        lines += wrap(f"the kernel's names: {names}", screen.width, "  ")
    if not nodes:
        return [*lines, "  no node lists it in this window"]
    standing = sum(1 for node in nodes if node["stands_out"])
    usual = f"median {rate(peers['bytes_per_hour'], sign=True)}, spread {rate(peers['spread_bytes_per_hour'])}"
    lines.append(
        f"  on {counted(len(nodes) + comparison['truncated'], 'node')}, {standing} of them outstanding; {usual}"
    )
    columns = (
        Column("node", least=12),
        Column("group", least=7),
        Column("growth", right=True),
        Column("score", right=True),
        Column("first", right=True),
        Column("last", right=True),
        Column("over time, one scale for all" if screen.width >= 90 else "over time", least=10, drawn=_SPARK),
    )
    series = [points(node["series"]) for node in nodes]
    rise = max(
        (max(known) - min(known) for line in series if (known := [v for _, v in line if v is not None])), default=0
    )

    def row(node: dict[str, Any], line: Any) -> list[Cell]:
        style = "alarm" if node["stands_out"] else None
        known = [value for _, value in line if value is not None]
        draw = partial(sparkline, line, start=start, end=end, span=rise, unicode=screen.unicode)
        return [
            (node["node"], style),
            node["group"],
            (rate(node["bytes_per_hour"], sign=True), style),
            "-" if node["score"] is None else f"{node['score']:.1f}",
            size(known[0] if known else None),
            size(known[-1] if known else None),
            (draw, style),
        ]

    lines += table(columns, [row(node, line) for node, line in zip(nodes, series, strict=True)], screen, indent="  ")
    if comparison["truncated"]:
        lines.append(f"  {count(comparison['truncated'])} more nodes are not shown: choose a --group")
    return lines
