"""Pushes as agents make them, of snapshots that are all alike but for node and time: cheap to make in great numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from bench.performance.asking import Client
from bench.performance.fleets import FOREVER, Stock
from common.snapshot import Snapshot, layout_hash, to_wire
from server.storage import open_store

__all__ = ["JSON", "LINES", "Template", "newest", "push_all"]

JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}
_BATCH = 100


class Template:
    """A snapshot whose caches are encoded once."""

    def __init__(self, snapshot: Snapshot, later: float = 0.0) -> None:
        """`later`: seconds by which it is put off."""
        snapshot = self.snapshot = replace(snapshot, taken_at=round(snapshot.taken_at + later, 3))
        self.caches = len(snapshot.caches)
        self._full = _caches(to_wire(snapshot))
        self._short = _caches(to_wire(snapshot, layout=layout_hash(snapshot.caches)))
        self._head = {name: value for name, value in to_wire(snapshot).items() if name != "caches"}

    def body(self, node: str, later: float = 0.0, *, short: bool = False) -> bytes:
        """The snapshot's JSON as that node's, `later` seconds after the template's own time.

        `short`: with the layout's hash in place of names and geometry.
        """
        plain = self.snapshot
        head = {**self._head, "node": node, "taken_at": round(plain.taken_at + later, 3)}
        if plain.uptime_seconds is not None:
            head["uptime_seconds"] = round(plain.uptime_seconds + later, 2)
        return json.dumps(head).encode()[:-1] + b', "caches": ' + (self._short if short else self._full) + b"}"


def _caches(wire: dict[str, object]) -> bytes:
    return json.dumps(wire["caches"], separators=(",", ":")).encode()


def newest(stock: Stock) -> list[Template]:
    """The newest snapshot of every node."""
    store = open_store(f"sqlite:///{stock.path}", retention=FOREVER)
    try:
        found = [store.at(state.node, None) for state in store.nodes()]
    finally:
        store.close()
    return [Template(one.snapshot) for one in found if one]


def push_all(client: Client, templates: Iterable[tuple[str, Template]], later: float) -> None:
    """One snapshot of every (node, template), 100 a request. Raises RuntimeError when one is refused."""
    lines: list[bytes] = []
    for node, snapshot in templates:
        lines.append(snapshot.body(node, later))
        if len(lines) == _BATCH:
            client.post("/api/v1/snapshots", b"\n".join(lines), LINES)
            lines = []
    if lines:
        client.post("/api/v1/snapshots", b"\n".join(lines), LINES)
