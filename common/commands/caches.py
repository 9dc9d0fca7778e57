"""`slabhound caches`: every slab cache a server knows, the biggest first."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from common.commands.options import AT, GROUP, JSON, SERVER, TOKEN_FILE, WINDOW
from common.terminal.table import Cell, Column, table
from common.terminal.units import count, counted, rate, share, size
from common.terminal.waiting import Waiting

if TYPE_CHECKING:
    import httpx

OPTIONS = (SERVER, WINDOW, AT, GROUP, JSON, TOKEN_FILE)

_COLUMNS = (
    Column("cache", least=16),
    Column("nodes", right=True),
    Column("allocated", right=True),
    Column("in use", right=True),
    Column("growth (median node)", right=True),
    Column(""),
)
_LABEL = "waiting for the list of caches"


def run(options: Namespace, *, transport: httpx.BaseTransport | None = None) -> int:
    """Prints a line a cache."""
    from common.commands.client import Client  # noqa: PLC0415 - httpx is loaded only to be used

    with Client(options.server, options.token_file, transport=transport) as client, Waiting(options.screen, _LABEL):
        wanted = {"window": options.window, "at": options.at, "group": options.group}
        caches = list(client.items("/caches", wanted))
    if options.json:
        options.screen.write([json.dumps({"items": caches, "next": None})])
        return 0
    total = sum(cache["allocated_bytes"] for cache in caches)
    options.screen.write([f"{counted(len(caches), 'cache')}, {size(total)} allocated on all nodes"])
    if caches:
        options.screen.write(table(_COLUMNS, [_row(cache) for cache in caches], options.screen))
    return 0


def _row(cache: dict[str, Any]) -> list[Cell]:
    allocated, active = cache["allocated_bytes"], cache["active_bytes"]
    growing: Cell = ("grows on most nodes", "warn") if cache["fleet_growth"] else ""
    return [
        cache["cache"],
        count(cache["nodes"]),
        size(allocated),
        share(active, allocated),
        rate(cache["bytes_per_hour"], sign=True),
        growing,
    ]
