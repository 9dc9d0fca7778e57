"""What an agent sends without names and geometry comes back from a real aggregator exactly as what it sends in full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from agent.packing import Fresh
from agent.pusher import Pusher, Verdict
from agent.transport import OneConnection
from common.snapshot import Snapshot, to_wire
from server.demo_server import ServerProcess
from tests.factories import fleet_snapshots, make_fleet

SNAPSHOTS = list(fleet_snapshots(make_fleet(nodes=1, hours=1.0)))


class Counting(httpx.BaseTransport):
    """Passes requests on and notes the size of each body."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._inner = OneConnection(timeout=20)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sizes.append(len(request.content))
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def stored(server: ServerProcess, snapshot: Snapshot) -> dict[str, Any]:
    address = f"{server.address}/api/v1/nodes/{snapshot.node}/snapshots/{snapshot.taken_at:.3f}"
    answer: dict[str, Any] = httpx.get(address, trust_env=False).raise_for_status().json()
    return answer


def test_what_was_sent_in_short_is_stored_in_full(server: ServerProcess) -> None:
    wire = Counting()
    pusher = Pusher(server.address, wire)
    for snapshot in SNAPSHOTS:
        in_full = Fresh(replace(snapshot, node="in-full")).full()
        assert pusher.push([in_full]).verdict is Verdict.STORED
    wire.sizes.clear()
    for snapshot in SNAPSHOTS:
        assert pusher.push([Fresh(snapshot)]).verdict is Verdict.STORED
    pusher.close()
    assert len(wire.sizes) == len(SNAPSHOTS)
    assert wire.sizes[0] > 2000
    assert median(wire.sizes[1:]) <= 1100
    for snapshot in SNAPSHOTS:
        short, full = stored(server, snapshot), stored(server, replace(snapshot, node="in-full"))
        own = {name: short[name] for name in ("node", "received_at", "clock_offset_seconds") if name in short}
        assert short == full | own
        assert short["caches"] == to_wire(snapshot)["caches"]


def test_an_aggregator_with_an_empty_store_asks_for_the_full_form(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    wire = Counting()
    with ServerProcess(first) as server:
        port = int(server.address.rpartition(":")[2])
        pusher = Pusher(server.address, wire)
        for snapshot in SNAPSHOTS[:2]:
            assert pusher.push([Fresh(snapshot)]).verdict is Verdict.STORED
    with ServerProcess(second, port=port) as server:
        wire.sizes.clear()
        for snapshot in SNAPSHOTS[2:4]:
            assert pusher.push([Fresh(snapshot)]).verdict is Verdict.STORED
        pusher.close()
        again, full, steady = wire.sizes
        assert again < full > steady
        assert stored(server, SNAPSHOTS[2])["caches"]["name"] == SNAPSHOTS[2].caches.name
        assert stored(server, SNAPSHOTS[3])["caches"]["num_objs"] == SNAPSHOTS[3].caches.num_objs
