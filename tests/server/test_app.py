"""The app as a whole: its life, health, metrics, and questions that don't hold up pushes."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from common.errors import StoreDamagedError, StoreError, StoreFullError
from server.app import create_app
from server.deps import Workers
from server.settings import ServerSettings, default_store
from tests.server.fakes import MemoryStore
from tests.server.harness import NOW, Aggregator, aggregator, assert_problem, run, wire


def test_the_store_is_maintained_and_closed() -> None:
    async def main() -> MemoryStore:
        async with aggregator(ServerSettings(maintenance_seconds=0.001)) as a:
            while len(a.store.maintained) < 3:  # noqa: ASYNC110 - another task's doing
                await asyncio.sleep(0.001)
            assert not a.store.closed
            return a.store

    store = asyncio.run(main())
    assert store.closed
    assert set(store.maintained) == {NOW}


@pytest.mark.parametrize(
    "error", [StoreFullError("no room"), StoreDamagedError("torn"), StoreError("odd"), KeyError("a mistake")]
)
def test_maintenance_that_fails_is_told_and_tried_again(caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    class Failing(MemoryStore):
        def maintain(self, now: float) -> None:
            super().maintain(now)
            raise error

    async def main() -> None:
        async with aggregator(ServerSettings(maintenance_seconds=0.001), store=Failing()) as a:
            while len(a.store.maintained) < 3:  # noqa: ASYNC110 - another task's doing
                await asyncio.sleep(0.001)
            assert (await a.client.get("/readyz")).status_code == 200
            assert value((await a.client.get("/metrics")).text, "slabhound_maintenance_failures_total") >= 2

    asyncio.run(main())
    assert f"it is tried again: {error}" in caplog.text
    assert ("Traceback" in caplog.text) == (not isinstance(error, (StoreFullError, StoreDamagedError)))


def test_a_long_round_of_maintenance_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    class Long(MemoryStore):
        """As the real one: what it does next fails once it is closed."""

        begun, ended = threading.Event(), threading.Event()

        def maintain(self, now: float) -> None:
            super().maintain(now)
            self.begun.set()
            assert self.ended.wait(20)
            raise StoreError("closed")

        def close(self) -> None:
            super().close()
            self.ended.set()

    async def main() -> Long:
        store = Long()
        async with aggregator(store=store):
            assert await asyncio.to_thread(store.begun.wait, 20)
        return store

    assert asyncio.run(main()).closed
    assert not caplog.records


def value(text: str, name: str) -> float:
    """One sample of the exposition format."""
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name + " "))


def test_metrics_count_what_came_and_what_was_refused() -> None:
    async def test(a: Aggregator) -> None:
        sent = str(NOW + 40)
        await a.post([wire("n1", taken_at=NOW + 10), wire("n2", taken_at=NOW)], slabhound_sent_at=sent)
        await a.post(wire("n2", taken_at=NOW))
        await a.post({})
        await a.client.get("/nowhere")
        await a.get("/outliers")
        text = (await a.client.get("/metrics")).text
        assert value(text, "slabhound_snapshots_stored_total") == 2
        assert value(text, "slabhound_snapshots_duplicate_total") == 1
        assert value(text, 'slabhound_refused_total{problem="invalid-snapshot"}') == 1
        assert value(text, 'slabhound_refused_total{problem="not-found"}') == 1
        assert value(text, 'slabhound_body_bytes_total{form="sent"}') > 100
        assert value(text, "slabhound_store_nodes") == 2
        assert value(text, "slabhound_store_commits") == 1
        assert value(text, "slabhound_pending_bytes") == 0
        assert value(text, "slabhound_clock_offset_seconds_sum") == 40
        assert value(text, "slabhound_delivery_delay_seconds_sum") == 70
        assert value(text, 'slabhound_report_seconds_count{report="outliers"}') == 1
        route = 'slabhound_http_requests_total{method="POST",route="/api/v1/snapshots",status="201"}'
        assert value(text, route) == 2

    run(test)


def test_routes_in_metrics_are_few_whatever_is_asked_for() -> None:
    async def test(a: Aggregator) -> None:
        for i in range(20):
            await a.client.get(f"/nowhere/{i}")
            await a.get(f"/nodes/n{i}/diff")
            await a.client.request(f"M{i}", "/healthz")
        text = (await a.client.get("/metrics")).text
        assert len([line for line in text.splitlines() if line.startswith("slabhound_http_requests_total")]) == 3

    run(test)


def test_ready_only_while_the_store_takes_snapshots() -> None:
    async def test(a: Aggregator) -> None:
        ready = await a.client.get("/readyz")
        assert ready.json() == {"status": "ok", "nodes": 0, "snapshots": 0, "bytes_on_disk": 0, "problem": None}
        a.store.problem = "the disk is full"
        problem = assert_problem(await a.client.get("/readyz"), "store-full")
        assert (problem["status"], problem["detail"]) == (503, "the disk is full")
        assert (await a.client.get("/healthz")).json()["status"] == "ok"
        text = (await a.client.get("/metrics")).text
        assert value(text, "slabhound_store_writable") == 0

    run(test)


def test_pushes_go_on_while_questions_wait() -> None:
    class Slow(MemoryStore):
        gate = threading.Event()

        def window(self, *_: Any, **__: Any) -> list[Any]:
            assert self.gate.wait(30)
            return []

    async def main() -> None:
        async with aggregator(store=Slow()) as a:
            asked = [asyncio.create_task(a.get("/outliers", limit=1 + i)) for i in range(40)]
            done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            for refused in done:
                response = refused.result()
                assert_problem(response, "busy")
                assert response.headers["retry-after"]
            assert (await a.post(wire())).status_code == 201
            assert (await a.get("/nodes")).status_code == 200
            Slow.gate.set()
            answers = [response.status_code for response in await asyncio.gather(*asked)]
            assert answers.count(200) == 34
            assert answers.count(503) == 6
            again = await a.get("/outliers", limit=1 + answers.index(503))
            assert again.status_code == 200

    asyncio.run(main())


def test_equal_questions_that_wait_are_answered_together() -> None:
    class Slow(MemoryStore):
        gate = threading.Event()
        asked = 0

        def window(self, *_: Any, **__: Any) -> list[Any]:
            Slow.asked += 1
            assert self.gate.wait(30)
            return []

    async def main() -> None:
        async with aggregator(store=Slow()) as a:
            # Two keep both threads busy; of the others only one is ever begun.
            busy = [asyncio.create_task(a.get("/outliers", window=f"{i}h")) for i in (1, 2)]
            while Slow.asked < 2:  # noqa: ASYNC110 - another thread's doing
                await asyncio.sleep(0.001)
            a.now = NOW + 5
            same = [asyncio.create_task(a.get("/outliers")) for _ in range(50)]
            for _ in range(500):  # all come in
                await asyncio.sleep(0)
            same[0].cancel()
            Slow.gate.set()
            answers = await asyncio.gather(*busy, *same[1:])
            assert {response.status_code for response in answers} == {200}
            later = {response.json()["generated_at"] for response in answers[2:]}
            assert later == {"2026-09-21T14:13:25.000Z"}
            text = (await a.client.get("/metrics")).text
            assert value(text, 'slabhound_report_seconds_count{report="outliers"}') == 3

    asyncio.run(main())


def test_workers_give_their_place_back_after_a_failure() -> None:
    async def main() -> None:
        workers = Workers("test", 1, waiting=0)

        def fail() -> None:
            raise ValueError

        for _ in range(3):
            with pytest.raises(ValueError):  # noqa: PT011 - the very one raised above
                await workers.run(fail)
        assert await workers.run(lambda: 5) == 5
        workers.close()

    asyncio.run(main())


def test_the_real_store_behind_the_app(tmp_path: Path) -> None:
    async def main() -> None:
        app = create_app(ServerSettings(store=f"sqlite:///{tmp_path}/a.db"), clock=lambda: NOW)
        async with aggregator(store=app.state.parts.store) as a:
            assert (await a.post([wire("n1"), wire("n1"), wire("n2")])).json() == {"stored": 2, "duplicates": 1}
            got = (await a.get("/nodes/n1/snapshots/latest")).json()
            assert got.items() >= wire("n1", taken_at="2026-09-21T14:13:10.000Z").items()
            assert len((await a.get("/nodes/n1/snapshots")).json()["items"]) == 1
            assert (await a.get("/nodes/n1/diff")).json()["items"] == []
            empty = wire("n3", caches={"name": [], "active_objs": [], "num_objs": [], "obj_size": []})
            assert (await a.post(empty)).status_code == 201
            huge = {"name": ["a"], "active_objs": [2**63 - 1], "num_objs": [2**63 - 1], "obj_size": [2**63 - 1]}
            assert (await a.post([wire("n4", caches=huge, taken_at=NOW - i) for i in range(9)])).status_code == 201
            for path in ("/nodes", "/outliers", "/caches", "/compare?cache=a", "/nodes/n3/diff", "/nodes/n4/diff"):
                assert (await a.client.get(f"/api/v1{path}")).status_code == 200, path
            assert (await a.client.get("/readyz")).json()["nodes"] == 4
            assert (await a.client.get("/metrics")).status_code == 200
        app.state.parts.close()

    asyncio.run(main())


def test_the_store_lies_in_the_systems_folder_or_the_users(tmp_path: Path) -> None:
    system = tmp_path / "var" / "slabhound"
    assert default_store({}, system=system) == f"sqlite:///{system}/slabhound.db"
    (tmp_path / "file").touch()
    closed = tmp_path / "file" / "slabhound"
    user = {"HOME": "/users/one", "XDG_DATA_HOME": ""}
    assert default_store(user, system=closed) == "sqlite:////users/one/.local/share/slabhound/slabhound.db"
    data = {"XDG_DATA_HOME": "/data"}
    assert default_store(data, system=closed) == "sqlite:////data/slabhound/slabhound.db"


def test_a_question_that_takes_too_long_is_no_longer_waited_for() -> None:
    class Slow(MemoryStore):
        gate = threading.Event()

        def window(self, *_: Any, **__: Any) -> list[Any]:
            assert self.gate.wait(30)
            return []

    async def main() -> None:
        async with aggregator(ServerSettings(question_seconds=0.01), store=Slow()) as a:
            problem = assert_problem(await a.get("/outliers"), "busy")
            assert "shorter window" in problem["detail"]
            assert (await a.post(wire())).status_code == 201
            Slow.gate.set()

    asyncio.run(main())
