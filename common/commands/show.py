"""`slabhound show NODE`: what a server knows of one node, its biggest caches, and what grew."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from functools import partial
from typing import TYPE_CHECKING, Any

from common.commands.options import JSON, SERVER, TOKEN_FILE, WINDOW
from common.errors import ConfigError
from common.names import NODE_RULE, is_node_name
from common.terminal.colour import paint
from common.terminal.progress import Progress
from common.terminal.sparkline import sparkline
from common.terminal.table import Cell, Column, table
from common.terminal.text import escape
from common.terminal.units import count, share, size, span, when
from common.times import format_time, parse_duration, parse_time

if TYPE_CHECKING:
    import httpx

    from common.terminal.screen import Screen

OPTIONS = (SERVER, WINDOW, JSON, TOKEN_FILE)

_BIGGEST, _GROWN = 12, 6
_SPARK = 24


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE", help="the node's name")


def run(options: Namespace, *, transport: httpx.BaseTransport | None = None) -> int:
    """Prints the node's facts, its biggest caches and those that grew most within the window."""
    from common.commands.client import Client, path_segment  # noqa: PLC0415 - httpx is loaded only to be used

    if not is_node_name(options.node):
        raise ConfigError(f"{options.node!r} is no node name: {NODE_RULE} (`slabhound nodes` lists them)")
    with Client(options.server, options.token_file, transport=transport) as client:
        base = f"/nodes/{path_segment(options.node)}"
        latest = client.get(f"{base}/snapshots/latest")
        start = parse_time(latest["taken_at"]) - parse_duration(options.window)
        first = client.get(f"{base}/snapshots", {"from": format_time(max(start, 0.0)), "limit": 1})["items"]
        since = first[0]["taken_at"] if first else latest["taken_at"]
        diff = client.get(f"{base}/diff", {"from": since, "to": latest["taken_at"], "metric": "allocated"})
        if options.json:
            options.screen.write([json.dumps({"snapshot": latest, "diff": diff})])
            return 0
        begin, end = parse_time(since), parse_time(latest["taken_at"])
        instants = [begin + (end - begin) * step / _SPARK for step in range(_SPARK)] if end > begin else []
        with Progress(options.screen, "reading its history", len(instants)) as progress:
            history = []
            for instant in instants:
                history.append(client.get(f"{base}/snapshots/{format_time(instant)}"))
                progress.advance()
    options.screen.write(_facts(latest, options.screen))
    options.screen.write(_caches(latest, diff, [*history, latest], options.screen))
    return 0


def _facts(latest: dict[str, Any], screen: Screen) -> list[str]:
    taken_at = parse_time(latest["taken_at"])
    received_at = parse_time(latest["received_at"])
    memory = latest.get("memory") or {}
    caches = latest["caches"]
    allocated = sum(n * s for n, s in zip(caches["num_objs"], caches["obj_size"], strict=True))
    active = sum(n * s for n, s in zip(caches["active_objs"], caches["obj_size"], strict=True))
    labels = " ".join(f"{escape(k)}={escape(v)}" for k, v in (latest.get("labels") or {}).items())
    system = [latest.get("kernel"), latest.get("machine"), f"{latest['cpus']} CPUs" if latest.get("cpus") else None]
    offset = latest.get("clock_offset_seconds")
    facts = [
        ("group", escape(latest["group"]) + (f"   {labels}" if labels else "")),
        ("kernel", escape(", ".join(str(part) for part in system if part)) or "-"),
        ("up", _boot(latest, taken_at)),
        ("dump", f"{when(taken_at)}, received {when(received_at)}"),
        ("memory", f"{size(memory.get('total'))}, {size(memory.get('available'))} available"),
        ("slab", f"{size(allocated)} allocated, {size(active)} in use, {count(len(set(caches['name'])))} caches"),
    ]
    if offset is not None and abs(offset) >= 1:
        facts.append(("clock", f"{span(abs(offset))} {'ahead of' if offset > 0 else 'behind'} the server's"))
    head = paint(escape(latest["node"]), "head", colour=screen.colour)
    return [head, *(f"  {title:<7} {text}" for title, text in facts)]


def _boot(latest: dict[str, Any], taken_at: float) -> str:
    up = latest.get("uptime_seconds")
    return "-" if up is None else f"{span(up)}, booted {when(taken_at - up)}"


def _caches(latest: dict[str, Any], diff: dict[str, Any], history: list[dict[str, Any]], screen: Screen) -> list[str]:
    totals = _totals(latest["caches"])
    past = [(parse_time(snapshot["taken_at"]), _totals(snapshot["caches"])) for snapshot in history]
    growth = {item["cache"]: item["bytes"] for item in diff["items"]}
    start, end = parse_time(diff["from"]["taken_at"]), parse_time(diff["to"]["taken_at"])
    columns = (
        Column("cache", least=16),
        Column("allocated", right=True),
        Column("in use", right=True),
        Column("objects", right=True),
        Column(f"in {span(end - start)}", right=True),
        Column("over time", least=8, drawn=_SPARK),
    )

    def row(name: str) -> list[Cell]:
        allocated, active, objects = totals.get(name, (0, 0, 0))
        series = [(time, float(then[name][0]) if name in then else None) for time, then in past]
        draw = partial(sparkline, series, start=start, end=end, unicode=screen.unicode)
        return [
            name,
            size(allocated),
            share(active, allocated),
            count(objects),
            size(growth.get(name, 0), sign=True),
            draw,
        ]

    biggest = sorted(totals, key=lambda name: -totals[name][0])[:_BIGGEST]
    grown = [name for name in sorted(growth, key=lambda name: -growth[name]) if growth[name] > 0][:_GROWN]
    colour = screen.colour
    lines = ["", paint(f"biggest of {count(len(totals))} caches", "head", colour=colour)]
    lines += table(columns, [row(name) for name in biggest], screen, indent="  ")
    lines += ["", paint(f"grown most since {when(start)} ({span(end - start)})", "head", colour=colour)]
    if diff["reboot"]:
        lines.append("  it rebooted in between: what differs between two boots is no growth")
    lines += table(columns, [row(name) for name in grown], screen, indent="  ") if grown else ["  nothing grew"]
    return lines


def _totals(caches: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Name -> allocated bytes, active bytes, objects; rows of one name are summed."""
    totals: dict[str, tuple[int, int, int]] = {}
    columns = zip(caches["name"], caches["num_objs"], caches["active_objs"], caches["obj_size"], strict=True)
    for name, num, active, obj_size in columns:
        before = totals.get(name, (0, 0, 0))
        totals[name] = (before[0] + num * obj_size, before[1] + active * obj_size, before[2] + active)
    return totals
