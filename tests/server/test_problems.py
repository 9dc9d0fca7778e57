"""Every error has one form, whoever raises it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from server.guard import Guard
from server.metrics import Metrics
from server.problems import KINDS, Problem, problem_response
from tests.server.fakes import MemoryStore
from tests.server.harness import Aggregator, aggregator, assert_problem, run, wire

OPERATIONS = [
    ("GET", "/api/v1/nodes"),
    ("GET", "/api/v1/nodes/lvs1/snapshots"),
    ("GET", "/api/v1/nodes/lvs1/snapshots/latest"),
    ("GET", "/api/v1/nodes/lvs1/diff"),
    ("GET", "/api/v1/caches"),
    ("GET", "/api/v1/compare?cache=dentry"),
    ("GET", "/api/v1/outliers"),
    ("POST", "/api/v1/snapshots"),
    ("POST", "/api/v1/nodes/lvs1/slabinfo"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_wrong_method_and_a_wrong_address_are_problems(method: str, path: str) -> None:
    async def test(a: Aggregator) -> None:
        other = "DELETE" if method == "GET" else "GET"
        response = await a.client.request(other, path)
        assert_problem(response, "method-not-allowed")
        assert method in response.headers["allow"]
        # A slash more is another address, never a redirect.
        assert_problem(await a.client.request(method, path.partition("?")[0] + "/"), "not-found")

    run(test)


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/nodes?limit=0", "limit"),
        ("/nodes?limit=1001", "limit"),
        ("/nodes?limit=many", "limit"),
        ("/nodes?cursor=x", "cursor"),
        ("/nodes?cursor=%F0%9F%98%80", "cursor"),
        ("/nodes?cursor=WzVd", "cursor"),
        ("/nodes/lvs1/snapshots?from=yesterday", "from"),
        ("/nodes/lvs1/snapshots?to=2026-01-01T00:00:00", "to"),
        ("/nodes/lvs1/snapshots?from=1700000000000", "from"),
        ("/nodes/lvs1/snapshots?from=5&to=4", "from"),
        ("/nodes/lvs1/snapshots?cursor=WzUsImEiXQ", "cursor"),
        ("/outliers?window=0", "window"),
        ("/outliers?window=soon", "window"),
        ("/outliers?window=99999d", "window"),
        ("/outliers?at=NaN", "at"),
        ("/outliers?limit=-1", "limit"),
        ("/compare", "cache"),
        ("/compare?cache=", "cache"),
        ("/compare?cache=x&points=1", "points"),
        ("/compare?cache=x&points=100000", "points"),
        ("/caches?cursor=e30", "cursor"),
        *(
            (f"{list_}?cursor={base64.urlsafe_b64encode(key).decode()}", "cursor")
            for list_, key in [
                ("/caches", b"[NaN,0]"),
                ("/caches", b"[Infinity,0]"),
                ("/caches", b"[1e300,0]"),
                ("/caches", b"[5.0,-1]"),
                ("/nodes/lvs1/snapshots", b'[NaN,"a"]'),
                ("/nodes/lvs1/snapshots", b'[-1e300,"a"]'),
                ("/nodes/lvs1/snapshots", b'[5.0,"\\ud800"]'),
                ("/nodes/lvs1/snapshots", b"[" * 1400),
            ]
        ),
    ],
)
def test_a_wrong_parameter_is_named(path: str, parameter: str) -> None:
    async def test(a: Aggregator) -> None:
        problem = assert_problem(await a.client.get(f"/api/v1{path}"), "invalid-parameter")
        assert problem["errors"][0]["pointer"] == f"/query/{parameter}"

    run(test)


class Broken:
    """A store none of whose answers come."""

    def append(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("a secret detail")

    nodes = instants = at = first = window = journal = status = append

    def maintain(self, *_: Any) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(("method", "path"), OPERATIONS[:-2])
def test_a_mistake_of_ours_is_a_problem_without_its_details(
    method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with aggregator(store=Broken()) as a:
            if path.endswith("/slabinfo"):
                dump = "slabinfo - version: 2.1\ndentry 1 1 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n"
                response = await a.client.post(path, content=dump)
            else:
                response = await a.client.request(method, path, json=wire() if method == "POST" else None)
            if path == "/healthz":
                assert response.status_code == 200
                return
            assert_problem(response, "internal")
            assert "secret" not in response.text
        assert "a secret detail" in caplog.text

    asyncio.run(main())


def test_head_is_get_without_a_body_and_other_methods_are_refused() -> None:
    async def test(a: Aggregator) -> None:
        for path in ("/healthz", "/api/v1/nodes"):
            full, head = await a.client.get(path), await a.client.head(path)
            assert (head.status_code, head.content, head.headers) == (200, b"", full.headers)
        assert (await a.client.head("/api/v1/nodes/unheard/diff")).status_code == 404
        for method in ("OPTIONS", "TRACE", "BREW"):
            response = await a.client.request(method, "/api/v1/nodes")
            assert (response.status_code, response.headers["allow"]) == (405, "GET")
            assert response.json()["detail"] == "this address takes GET"

    run(test)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_a_document(kind: str) -> None:
    response = problem_response(Problem(kind, "what is wrong"))
    assert response.status_code == KINDS[kind].status


def test_an_analysis_of_nothing_is_no_error() -> None:
    async def test(a: Aggregator) -> None:
        report = (await a.get("/outliers")).json()
        assert (report["findings"], report["groups"]) == ([], [])
        assert (await a.get("/caches")).json()["items"] == []
        assert_problem(await a.get("/compare", cache="dentry"), "unknown-cache")

    run(test)


def test_a_mistake_amid_an_answer_ends_the_connection() -> None:
    sent: list[str] = []

    async def breaking(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("amid")

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    guarded = Guard(breaking, metrics=Metrics(MemoryStore().status))
    with pytest.raises(ValueError, match="amid"):
        asyncio.run(guarded({"type": "http", "method": "GET", "path": "/"}, receive, send))
    assert sent == ["http.response.start"]
