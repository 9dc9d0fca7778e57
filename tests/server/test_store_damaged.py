"""A store that is damaged beneath a running aggregator: one line, no traceback, and /readyz tells."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.settings import ServerSettings
from server.storage import open_store
from tests.server.harness import NOW, Aggregator, aggregator, assert_problem, wire


def drop(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"DROP TABLE {table}")


def test_upkeep_that_meets_it_says_so_in_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store.db"
    says = f"store {path}: no such table: sealed: it is gone; stop the server and restore a backup"

    async def main() -> None:
        store = open_store(f"sqlite:///{path}", clock=lambda: NOW)
        async with aggregator(ServerSettings(maintenance_seconds=0.001), store=store) as a:
            await a.post(wire(taken_at=NOW - 10))
            assert (await a.client.get("/readyz")).json()["problem"] is None
            drop(path, "sealed")
            while (problem := (await a.client.get("/readyz")).json()["problem"]) is None:
                pass
            assert problem == f"maintenance: {says}"
            assert (await a.post(wire(taken_at=NOW))).status_code == 201

    asyncio.run(main())
    assert set(caplog.messages) == {f"maintenance of the store failed, it is tried again: {says}"}
    assert "Traceback" not in caplog.text


def test_pushes_that_meet_it_make_the_server_unready(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store.db"
    says = f"store {path}: no such table: nodes: it is gone; stop the server and restore a backup"

    async def ready(a: Aggregator) -> None:
        assert assert_problem(await a.client.get("/readyz"), "store-full")["detail"] == says

    async def main() -> None:
        store = open_store(f"sqlite:///{path}", clock=lambda: NOW)
        async with aggregator(store=store) as a:
            drop(path, "nodes")
            for again in range(3):
                refused = assert_problem(await a.post([wire("a", NOW - again), wire("b")]), "store-failed")
                assert refused["detail"] == says
                await ready(a)
            store.maintain(NOW)  # it needs no nodes, and all the same nothing can be stored
            await ready(a)

    asyncio.run(main())
    assert caplog.messages == [says]
    assert "Traceback" not in caplog.text
