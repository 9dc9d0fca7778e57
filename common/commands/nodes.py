"""`slabhound nodes`: every node a server knows."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from common.commands.options import GROUP, JSON, SERVER, TOKEN_FILE
from common.terminal.table import Cell, Column, table
from common.terminal.units import counted, size, span
from common.terminal.waiting import Waiting

if TYPE_CHECKING:
    import httpx

OPTIONS = (SERVER, GROUP, JSON, TOKEN_FILE)

_COLUMNS = (
    Column("node", least=12),
    Column("group", least=7),
    Column("kernel", least=10),
    Column("up", right=True),
    Column("seen", right=True),
    Column("slab", right=True),
    Column("clock", right=True),
    Column("state", least=5),
)
_LABEL = "waiting for the list of nodes"


def run(options: Namespace, *, transport: httpx.BaseTransport | None = None) -> int:
    """Prints a line a node, the stale ones marked."""
    from common.commands.client import Client  # noqa: PLC0415 - httpx is loaded only to be used

    with Client(options.server, options.token_file, transport=transport) as client, Waiting(options.screen, _LABEL):
        nodes = list(client.items("/nodes", {"group": options.group}))
    if options.json:
        options.screen.write([json.dumps({"items": nodes, "next": None})])
        return 0
    stale = sum(1 for node in nodes if node["stale"])
    options.screen.write([counted(len(nodes), "node") + (f", {stale} stale" if stale else "")])
    if nodes:
        options.screen.write(table(_COLUMNS, [_row(node) for node in nodes], options.screen))
    return 0


def _row(node: dict[str, Any]) -> list[Cell]:
    offset = node["clock_offset_seconds"]
    off = "" if offset is None or abs(offset) < 1 else f"{'+' if offset > 0 else '-'}{span(abs(offset))}"
    state: Cell = ("stale", "warn") if node["stale"] else ""
    return [
        node["node"],
        node["group"],
        node["kernel"] or "-",
        span(node["uptime_seconds"]),
        f"{span(node['seen_seconds_ago'])} ago",
        size(node["allocated_bytes"]),
        off,
        state,
    ]
