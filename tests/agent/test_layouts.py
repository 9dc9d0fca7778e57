"""Names and geometry go over the wire once, and again whenever the server needs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.courier import Courier
from agent.layouts import MISSES
from agent.packing import Fresh, unpack
from agent.pusher import Pusher, Verdict
from agent.spool import BLOCK, DiskSpool
from agent.transport import OneConnection
from common.snapshot import Snapshot, layout_hash, to_wire
from tests.agent.fake_server import Answer, FakeServer, Received, serve
from tests.factories import make_caches, make_history, make_snapshot

STEADY = make_history(count=12)


class Aggregator:
    """Answers as one that knows layouts; `old` has never heard of them."""

    def __init__(self, *, old: bool = False) -> None:
        self.known: set[str] = set()
        self.old = old

    def __call__(self, request: Received) -> Answer:
        for caches in (snapshot["caches"] for snapshot in request.snapshots):
            if "layout" not in caches:
                geometry = ("name", "obj_size", "objs_per_slab", "pages_per_slab", "reclaimable", "aliases")
                full = replace(make_caches(), **{name: caches.get(name) for name in geometry})
                self.known.add(layout_hash(full))
            elif self.old:
                return Answer(422, {"detail": "/caches/name: Field required"})
            elif caches["layout"] not in self.known:
                return Answer(409, {"detail": "unknown", "layouts": [caches["layout"]]})
        return Answer()


class Bench:
    def __init__(self, server: FakeServer, folder: Path) -> None:
        self.server = server
        self.now = 0.0
        self.spool = DiskSpool(folder, limit=1000 * BLOCK)
        transport = OneConnection(timeout=5, clock=lambda: self.now)
        self.pusher = Pusher(server.url, transport)
        self.courier = Courier(self.pusher, self.spool, say=lambda _: None, clock=lambda: self.now, random=Random(1))

    def carry(self, *snapshots: Snapshot, apart: float = 60.0) -> list[str]:
        """Sends them one by one, `apart` seconds from one another; the forms that went over the wire."""
        before = len(self.server.received)
        for snapshot in snapshots:
            self.courier.offer(Fresh(snapshot))
            while (due := self.courier.next_at) is not None:
                self.now = max(self.now, due)
                self.courier.send()
            self.now += apart
        return [form(request) for request in self.server.received[before:]]


def form(request: Received) -> str:
    (snapshot,) = request.snapshots
    return "short" if "layout" in snapshot["caches"] else "full"


@contextmanager
def bench(tmp_path: Path, judge: Any) -> Iterator[Bench]:
    with serve() as server:
        server.judge = judge
        made = Bench(server, tmp_path / "spool")
        try:
            yield made
        finally:
            made.pusher.close()
            made.spool.close()


def test_only_the_first_push_is_in_full(tmp_path: Path) -> None:
    with bench(tmp_path, Aggregator()) as b:
        assert b.carry(*STEADY[:5]) == ["full", *["short"] * 4]
        short = to_wire(STEADY[1], layout=layout_hash(STEADY[1].caches)) | {"taken_at": STEADY[1].taken_at}
        assert b.server.received[1].snapshots == [short]


def test_so_it_is_where_every_push_opens_a_connection(tmp_path: Path) -> None:
    with bench(tmp_path, Aggregator()) as b:
        assert b.carry(*STEADY[:4], apart=600.0) == ["full", "short", "short", "short"]
        assert b.server.connections == 4


def test_a_cache_that_appears_makes_a_new_layout(tmp_path: Path) -> None:
    with bench(tmp_path, Aggregator()) as b:
        other = make_snapshot(taken_at=STEADY[5].taken_at)
        assert b.carry(STEADY[0], STEADY[1], other, other, STEADY[2]) == ["full", "short", "full", "short", "full"]


def test_a_server_that_forgot_is_told_in_full_at_once(tmp_path: Path) -> None:
    aggregator = Aggregator()
    with bench(tmp_path, aggregator) as b:
        b.carry(*STEADY[:2])
        aggregator.known.clear()
        assert b.carry(*STEADY[2:5]) == ["short", "full", "short", "short"]
        assert b.server.received[3].snapshots == [to_wire(STEADY[2])]
        assert b.server.connections == 1


def test_an_older_server_is_asked_once_and_nothing_is_set_aside(tmp_path: Path) -> None:
    with bench(tmp_path, Aggregator(old=True)) as b:
        assert b.carry(*STEADY[:5]) == ["full", "short", "full", "full", "full", "full"]
        assert b.spool.rejected == 0
        assert not list((tmp_path / "spool/rejected").iterdir())


def test_a_server_that_makes_other_hashes_is_not_asked_for_ever(tmp_path: Path) -> None:
    def forgetful(request: Received) -> Answer:
        return Answer(409) if form(request) == "short" else Answer()

    with bench(tmp_path, forgetful) as b:
        forms = b.carry(*STEADY)
        assert forms.count("short") == MISSES
        assert forms[-3:] == ["full"] * 3


def test_a_bad_snapshot_is_set_aside_in_full_and_the_short_form_goes_on(tmp_path: Path) -> None:
    aggregator = Aggregator()

    def strict(request: Received) -> Answer:
        return Answer(422) if request.snapshots[0]["cpus"] == 13 else aggregator(request)

    with bench(tmp_path, strict) as b:
        bad = replace(STEADY[2], cpus=13)
        assert b.carry(*STEADY[:2], bad, *STEADY[3:5]) == ["full", "short", "short", "full", "short", "short"]
        (rejected,) = (tmp_path / "spool/rejected").iterdir()
        assert json.loads(unpack(rejected.read_bytes())) == to_wire(bad)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_what_waits_is_on_disk_in_full(tmp_path: Path, status: int) -> None:
    aggregator = Aggregator()
    with bench(tmp_path, aggregator) as b:
        b.carry(*STEADY[:2])
        b.server.judge = lambda _: Answer(status)
        b.courier.offer(Fresh(STEADY[2]))
        assert b.courier.send().verdict is Verdict.AWAY
        ((_, kept),) = b.spool.oldest(9)
        assert json.loads(unpack(kept)) == to_wire(STEADY[2])
        b.server.judge = aggregator
        b.courier.offer(Fresh(STEADY[3]))
        b.now += 600
        b.courier.send()
        assert b.server.received[-1].snapshots == [to_wire(snapshot) for snapshot in STEADY[2:4]]
        assert len(b.spool) == 0


def test_a_backlog_goes_in_full(tmp_path: Path) -> None:
    with bench(tmp_path, Aggregator()) as b:
        for snapshot in STEADY[:3]:
            b.courier.offer(Fresh(snapshot))
        b.courier.send()
        (request,) = b.server.received
        assert request.snapshots == [to_wire(snapshot) for snapshot in STEADY[:3]]
