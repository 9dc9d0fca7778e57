"""Two shards, one of them killed; two aggregators side by side; an insert whose answer is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from common.errors import StoreError
from server.storage import Retention
from server.storage.base import Appended, Received
from tests.server.harness import NOW, aggregator, wire
from tests.server.storage.clickhouse_server import INSTALLED, ClickHouseServer, free_ports
from tests.server.storage.histories import START, history, received, snapshot
from tests.server.storage.naive import NaiveStore, described

if not INSTALLED:
    pytest.skip("chdb-core is not installed: make test-clickhouse", allow_module_level=True)

from server.storage.clickhouse import ClickHouseStore, Target
from server.storage.clickhouse.client import Client, LostAnswerError
from server.storage.clickhouse.schema import init

Shards = list[ClickHouseServer]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shards]:
    ports = free_ports(4)
    cluster = ports[2:]
    servers = [
        ClickHouseServer(tmp_path_factory.mktemp(f"shard-{i}"), http=ports[i], tcp=ports[2 + i], shards=cluster)
        for i in range(2)
    ]
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.kill()


def target(server: ClickHouseServer, database: str) -> Target:
    return Target.parse(f"clickhouse://default@127.0.0.1:{server.http}/{database}?cluster=slabs")


def opened(server: ClickHouseServer, database: str, **settings: Any) -> ClickHouseStore:
    return ClickHouseStore(target(server, database), linger=0, **settings)


@pytest.fixture
def database(shards: Shards, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"d_{request.node.name[:40]}"
    for server in shards:
        init(target(server, name), Retention(), forget=False)
    yield name
    for server in shards:
        server.ask(f"DROP DATABASE {name}")


def everything(store: ClickHouseStore, width: int = 300) -> dict[str, Any]:
    return {s.node: described(s, width) for s in store.window(START - 1e6, START + 1e6, width)}


def test_aggregators_side_by_side_give_the_same_answers(shards: Shards, database: str) -> None:
    """Each at another door of the cluster, with half of the snapshots and some of the other's."""
    a, b = opened(shards[0], database), opened(shards[1], database)
    naive, coming = NaiveStore(), history(7, nodes=6, steps=30)
    try:
        for at in range(0, len(coming), 20):
            batch, store = coming[at : at + 20], (a, b)[at // 20 % 2]
            assert store.append(batch).result(30) == Appended(*naive.append(batch))
            again = batch[:3]
            other = b if store is a else a
            assert other.append(again).result(30) == Appended(*naive.append(again))
        assert a.nodes() == b.nodes()
        assert {s.node: s.last_seen for s in a.nodes()} == dict(naive.seen)
        assert sum(len(v) for v in naive.stored.values()) == a.status().snapshots == b.status().snapshots
        for width in (60, 300, 3600):
            expected = naive.window(START - 1e6, START + 1e6, width, None, None)
            assert everything(a, width) == expected
            assert everything(b, width) == expected
        for node in naive.stored:
            assert a.at(node, None) == b.at(node, None) == naive.of(node)[-1]
        counts = [int(s.ask(f"SELECT count() FROM {database}.snapshots_local")) for s in shards]
        assert min(counts) > 0  # they do share the work
    finally:
        a.close()
        b.close()


def test_the_same_snapshot_through_two_aggregators_at_once_counts_once(shards: Shards, database: str) -> None:
    """As when an agent's first try was slow, not lost: neither aggregator saw the other's when it looked."""
    a, b = opened(shards[0], database), opened(shards[1], database)
    try:
        item = snapshot("n", START, 5)
        first, second = Received(item, START + 1), Received(item, START + 9)
        for store, given in ((a, first), (b, second)):  # behind the look for duplicates
            portion = store._begin([])
            portion.add([store._encode(given)])
            portion.insert(store._client, f"token {given.received_at}")
        assert int(shards[0].ask(f"SELECT count() FROM {database}.snapshots")) == 2
        stored = a.at("n", None)
        assert stored is not None
        assert stored.received_at == START + 1
        assert len(a.instants("n", None, None, after=None, limit=9)) == 1
        for width in (60, 300):
            (series,) = a.window(START, START + 300, width)
            assert series.boots[0].samples.tolist() == [1]
    finally:
        a.close()
        b.close()


def test_a_killed_shard_is_missed_loudly_and_nothing_acknowledged_is_lost(shards: Shards, database: str) -> None:
    store, naive, coming = opened(shards[0], database), NaiveStore(), history(3, nodes=8, steps=12)
    try:
        for at in range(0, len(coming), 16):
            batch = coming[at : at + 16]
            assert store.append(batch).result(30) == Appended(*naive.append(batch))
        expected = naive.window(START - 1e6, START + 1e6, 300, None, None)
        assert everything(store) == expected
        here = set(shards[0].ask(f"SELECT DISTINCT node FROM {database}.snapshots_local").split())
        there = naive.stored.keys() - here
        assert here
        assert there
        shards[1].kill()
        for question in (
            lambda: everything(store),
            store.nodes,
            lambda: store.at(min(there), None),
            lambda: store.append([received(snapshot(min(there), START + 5e5))]).result(30),
        ):
            with pytest.raises(StoreError, match="a shard does not answer"):
                question()
        status = store.status()
        assert not status.writable
        assert "a shard does not answer" in (status.problem or "")
        living = min(here)
        assert store.at(living, None) == naive.of(living)[-1]
        again = [replace(naive.of(living)[-1].snapshot, taken_at=START + 4e5)]
        batch = [received(item) for item in again]  # its shard, its layout: nothing of it concerns the dead one
        assert store.append(batch).result(30) == Appended(*naive.append(batch))
        expected = naive.window(START - 1e6, START + 1e6, 300, None, None)
        shards[1].start()
        assert everything(store) == expected
        batch = [received(snapshot(node, START + 5e5)) for node in sorted(naive.stored)]
        assert store.append(batch).result(30) == Appended(*naive.append(batch))
        assert everything(store) == naive.window(START - 1e6, START + 1e6, 300, None, None)
        assert store.status().writable
    finally:
        store.close()


def test_readyz_and_every_question_about_all_nodes_say_that_a_shard_is_down(shards: Shards, database: str) -> None:
    async def check() -> None:
        async with aggregator(store=opened(shards[0], database)) as a:
            for at in range(8):
                assert (await a.post(wire(f"n{at}"))).status_code == 201
            assert (await a.client.get("/readyz")).json()["nodes"] == 8
            whole = (await a.get("/nodes")).json()
            shards[1].kill()
            try:
                for path in ("/readyz", "/api/v1/nodes", "/api/v1/outliers", "/api/v1/caches"):
                    answer = await a.client.get(path)
                    assert (path, answer.status_code) == (path, 503)
                    assert "a shard does not answer" in answer.json()["detail"]
                    assert int(answer.headers["Retry-After"]) > 0
                assert "slabhound_store_writable 0.0" in (await a.client.get("/metrics")).text
                assert {(await a.post(wire(f"n{at}", NOW))).status_code for at in range(8)} == {201, 503}
                assert (await a.client.get("/healthz")).status_code == 200
            finally:
                shards[1].start()
            assert (await a.client.get("/readyz")).json()["nodes"] == 8
            assert [n["node"] for n in (await a.get("/nodes")).json()["items"]] == [n["node"] for n in whole["items"]]

    asyncio.run(check())


class _Deaf(Client):
    """Does what it is told, and loses the answer the first time."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.lost: list[str] = []

    def insert(self, table: str, columns: Mapping[str, tuple[str, Sequence[Any]]], token: str) -> None:
        super().insert(table, columns, token)
        if table not in self.lost:
            self.lost.append(table)
            raise LostAnswerError("the answer was lost")


def test_an_insert_whose_answer_was_lost_is_done_once(shards: Shards, database: str) -> None:
    store = opened(shards[0], database, client=_Deaf(target(shards[0], database)))
    try:
        batch = [received(snapshot(f"n{i}", START + 60 * j, j)) for i in range(5) for j in range(3)]
        assert store.append(batch).result(30) == Appended(15, 0)
        assert store.status().counters["repeated_inserts"] == 2  # layouts, then snapshots
        assert int(shards[0].ask(f"SELECT count() FROM {database}.snapshots")) == 15
        for width in (300, 3600):
            assert [s.boots[0].samples.tolist() for s in store.window(START, START + 299, width)] == [[3]] * 5
        assert store.append(batch[:2]).result(30) == Appended(0, 2)
    finally:
        store.close()


def test_an_aggregator_without_a_server_says_so(shards: Shards) -> None:
    (port,) = free_ports(1)
    with pytest.raises(StoreError, match="is it running"):
        ClickHouseStore(Target.parse(f"clickhouse://me@127.0.0.1:{port}/none"))
    with pytest.raises(StoreError, match="no such database: run slabhound server --store URL --init"):
        opened(shards[0], "missing")
