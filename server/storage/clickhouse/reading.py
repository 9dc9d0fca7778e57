"""Reading snapshots back: one at an instant, and which instants there are."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np

from server.storage.base import Instant, Stored
from server.storage.clickhouse.client import Client
from server.storage.clickhouse.counts import COLUMNS, restored
from server.storage.clickhouse.native import Answer, quote
from server.storage.layouts import Layout
from server.storage.record import facts_of, to_snapshot
from server.storage.samples import Samples

__all__ = ["LATEST_FIRST", "find", "instants", "latest", "stored"]

_SAMPLE = "taken, boot, layout, received, offset, uptime, read_seconds, memory, facts"
LATEST_FIRST = "least(taken, received) DESC, taken DESC, boot DESC, received"
"""See server.storage.base.NodeState."""


def find(client: Client, node: str, forgotten: int, until: int | None) -> Answer:
    """The row of the newest snapshot at or before `until` (milliseconds); with None of the oldest of all.

    Of two boots' snapshots at one instant, the greater label is the newer; of one that came twice, the first stays.
    """
    order = "taken, boot, received" if until is None else "taken DESC, boot DESC, received"
    bound = "" if until is None else f"AND taken <= {until} "
    return client.ask(
        f"SELECT {_SAMPLE}, {', '.join(COLUMNS)} FROM snapshots "  # noqa: S608 - constants; quote() below
        f"WHERE node = {quote(node)} {bound}AND received >= {forgotten} ORDER BY {order} LIMIT 1"
    )


def latest(client: Client, node: str, forgotten: int) -> int | None:
    """When the latest snapshot was taken (milliseconds); None when there is none."""
    found = client.ask(
        f"SELECT taken FROM snapshots WHERE node = {quote(node)} AND received >= {forgotten} "  # noqa: S608 - quote(); the rest is constant
        f"ORDER BY {LATEST_FIRST} LIMIT 1"
    )
    return int(found["taken"][0]) if found else None


def _samples(row: Answer) -> Samples:
    numbers: dict[str, Any] = {name: row[name] for name in ("taken", "received", "offset", "uptime", "read_seconds")}
    return Samples(**numbers, memory=np.stack(row["memory"]), facts=row["facts"])


def stored(node: str, row: Answer, layout: Layout) -> Stored:
    """What `find` gave, as it was sent."""
    samples = _samples(row)
    counts = restored([row[name][0] for name in COLUMNS], layout.per_slab)
    return Stored(
        to_snapshot(node, samples, counts, 0, layout.caches),
        row["boot"][0],
        int(samples.received[0]) / 1000,
        _known(samples.offset[0]),
    )


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)


def instants(
    client: Client, node: str, forgotten: int, bounds: tuple[int, int], after: tuple[int, str] | None, limit: int
) -> list[Instant]:
    """Instants within `bounds` (milliseconds, both included), by (taken, boot), past `after`."""
    low, high = bounds
    past = ""
    if after is not None:
        low = max(low, after[0])
        past = f"AND (taken, boot) > ({after[0]}, {quote(after[1])}) "
    found = client.ask(
        "SELECT taken, boot, uptime, received, offset, facts, length(num_objs) AS caches "  # noqa: S608 - quote() below
        "FROM snapshots "
        f"WHERE node = {quote(node)} AND taken BETWEEN {low} AND {high} {past}AND received >= {forgotten} "
        f"ORDER BY taken, boot, received LIMIT 1 BY taken, boot LIMIT {limit}"
    )
    if not found:
        return []
    columns = (found[name] for name in ("taken", "boot", "uptime", "received", "offset", "facts", "caches"))
    return [
        Instant(
            int(taken) / 1000,
            boot,
            (facts := facts_of(text)).get("boot_id"),
            _known(uptime),
            int(received) / 1000,
            _known(offset),
            facts.get("kernel"),
            int(caches),
        )
        for taken, boot, uptime, received, offset, text, caches in zip(*columns, strict=True)
    ]
