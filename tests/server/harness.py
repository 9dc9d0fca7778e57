"""An aggregator in this process: its app over a store in memory, a clock that stands still, a client."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx

from server.app import create_app
from server.problems import KINDS, PROBLEM_JSON
from server.settings import ServerSettings
from tests.server.fakes import MemoryStore

__all__ = ["NOW", "Aggregator", "aggregator", "assert_problem", "run", "wire"]

NOW = 1_790_000_000.0


class Aggregator:
    """The pieces of a running app."""

    def __init__(self, client: httpx.AsyncClient, store: MemoryStore, app: Any) -> None:
        self.client, self.store, self.app = client, store, app
        self.now = NOW

    async def post(self, body: Any, **headers: str) -> httpx.Response:
        """`body` as JSON (bytes as they are) to /api/v1/snapshots."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.client.post("/api/v1/snapshots", content=content, headers=named)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(f"/api/v1{path}", params=params)


@contextlib.asynccontextmanager
async def aggregator(settings: ServerSettings | None = None, *, store: Any = None) -> AsyncIterator[Aggregator]:
    store = MemoryStore() if store is None else store
    held: list[Aggregator] = []
    app = create_app(settings or ServerSettings(), store=store, clock=lambda: held[0].now if held else NOW)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://aggregator") as client,
    ):
        held.append(Aggregator(client, store, app))
        yield held[0]


def run(test: Callable[[Aggregator], Coroutine[Any, Any, None]], settings: ServerSettings | None = None) -> None:
    """Runs a test against an aggregator of its own."""

    async def main() -> None:
        async with aggregator(settings) as running:
            await test(running)

    asyncio.run(main())


def wire(node: str = "lvs1", taken_at: Any = NOW - 10, **fields: Any) -> dict[str, Any]:
    """A snapshot as its JSON object."""
    caches = {
        "name": ["dentry", "scsi_cmd_cache"],
        "active_objs": [121970, 700],
        "num_objs": [125454, 736],
        "obj_size": [192, 512],
    }
    return {"schema_version": 1, "node": node, "taken_at": taken_at, "caches": caches} | fields


def assert_problem(response: httpx.Response, kind: str) -> dict[str, Any]:
    """That an error has the one form all errors have; gives the document."""
    assert response.headers["content-type"] == PROBLEM_JSON, response.text
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"urn:slabhound:problem:{kind}", problem
    assert problem["status"] == response.status_code
    assert problem["title"] == KINDS[kind].title
    assert problem["detail"]
    assert "\n" not in problem["detail"]
    assert "Traceback" not in response.text
    for error in problem.get("errors", []):
        assert set(error) == {"pointer", "detail"}
        assert error["pointer"] == "" or error["pointer"].startswith("/")
    return problem
