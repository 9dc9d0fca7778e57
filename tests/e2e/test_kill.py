"""kill -9 of the aggregator at any moment loses nothing that was acknowledged."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import httpx
import pytest

from common.snapshot import Snapshot, to_wire
from common.times import parse_time
from server.demo_server import ServerProcess
from tests.factories import START, make_snapshot


def body(*snapshots: Snapshot) -> bytes:
    return json.dumps([to_wire(snapshot) for snapshot in snapshots]).encode()


class Sender(threading.Thread):
    """Pushes small batches for one node, one after the other, until the aggregator is gone."""

    def __init__(self, address: str, node: str, first: int, size: int) -> None:
        super().__init__()
        self.node, self.acknowledged, self.many = node, set[float](), threading.Event()
        self._address, self._next, self._size = address, first, size

    def run(self) -> None:
        with httpx.Client(trust_env=False) as client:
            while True:
                times = [START + at for at in range(self._next, self._next + self._size)]
                batch = body(*(make_snapshot(self.node, at) for at in times))
                try:
                    answer = client.post(
                        f"{self._address}/api/v1/snapshots", content=batch, headers={"Content-Type": "application/json"}
                    )
                except httpx.TransportError:
                    return
                assert answer.status_code == 201, answer.text
                self.acknowledged.update(times)
                self._next += self._size
                if len(self.acknowledged) >= 20 * self._size:
                    self.many.set()


def stored(address: str, node: str) -> set[float]:
    times: set[float] = set()
    cursor: str | None = None
    while True:
        params = {"limit": "1000"} | ({"cursor": cursor} if cursor else {})
        answer = httpx.get(f"{address}/api/v1/nodes/{node}/snapshots", params=params, trust_env=False).json()
        times.update(parse_time(item["taken_at"]) for item in answer["items"])
        cursor = answer["next"]
        if cursor is None:
            return times


@pytest.mark.parametrize("rounds", [3])
def test_nothing_acknowledged_is_lost(tmp_path: Path, rounds: int) -> None:
    acknowledged: dict[str, set[float]] = {}
    for number in range(rounds):
        with ServerProcess(tmp_path) as server:
            senders = [Sender(server.address, f"n{i}", first=number * 10_000_000, size=1 + 4 * i) for i in range(3)]
            for sender in senders:
                sender.start()
            assert all(sender.many.wait(30) for sender in senders), server.said
            server.process.kill()
            for sender in senders:
                sender.join(30)
                acknowledged.setdefault(sender.node, set()).update(sender.acknowledged)
    with ServerProcess(tmp_path) as server:
        for node, times in acknowledged.items():
            assert times <= stored(server.address, node)
