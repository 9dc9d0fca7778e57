"""Whatever comes in, the answer is a 201 or a problem of the sender's; never a mistake of ours."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.zstd import zstd
from tests.server.harness import NOW, Aggregator, aggregator, assert_problem, wire

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
COUNTS = st.integers(0, 2**63 - 1)
NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=100)
ROW = st.tuples(NAMES | st.sampled_from(["dentry", "kmalloc-rnd-01-64"]), COUNTS, COUNTS, COUNTS)


@st.composite
def snapshots(draw: st.DrawFn) -> dict[str, Any]:
    """Nearly right: a few fields replaced by anything."""
    rows = draw(st.lists(ROW, max_size=4))
    names = ("name", "active_objs", "num_objs", "obj_size")
    caches = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    known = wire(caches=caches, taken_at=draw(st.floats(NOW - 4000, NOW) | st.floats(0, 3e9)))
    fields = [*known, "labels", "uptime_seconds", "memory", "boot_id"]
    columns = [*names, "layout", "aliases", "reclaimable", "num_slabs"]
    known["caches"] = caches | draw(st.just({}) | st.dictionaries(st.sampled_from(columns), JSON, max_size=1))
    return known | draw(st.just({}) | st.dictionaries(st.sampled_from(fields), JSON, max_size=1))


BODIES = (
    st.binary(max_size=200)
    | snapshots().map(lambda s: json.dumps(s).encode())
    | st.lists(snapshots(), max_size=3).map(lambda s: json.dumps(s).encode())
    | JSON.map(lambda v: json.dumps(v).encode())
)
ENCODED = st.one_of(
    BODIES.map(lambda body: (body, None)),
    BODIES.map(lambda body: (gzip.compress(body, 1), "gzip")),
    BODIES.map(lambda body: (zstd.compress(body), "zstd")),
    st.tuples(st.binary(max_size=100), st.sampled_from(["gzip", "zstd", "br", ""])),
)
KINDS = st.sampled_from(["application/json", "application/x-ndjson", "text/plain", "", "application/json; charset=x"])
FACTS = ["group", "kernel", "uptime", "boot_id", "taken_at"]
PATHS = ["/nodes", "/outliers?window=1h", "/caches", "/nodes/lvs1/snapshots", "/nodes/lvs1/diff", "/compare?cache=x"]


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Callable[[Aggregator], Coroutine[Any, Any, None]]], None]]:
    """Runs checks against one aggregator for all examples."""
    with asyncio.Runner() as runner:
        context = aggregator()
        running = runner.run(context.__aenter__())
        yield lambda check: runner.run(check(running))
        runner.run(context.__aexit__(None, None, None))


async def check(a: Aggregator, response: Any) -> None:
    if response.status_code != 201:
        assert 400 <= response.status_code < 500, response.text
        assert_problem(response, response.json()["type"].rpartition(":")[2])
    assert a.app.state.parts.bodies.pending == 0


@settings(max_examples=150)
@given(bodies=st.lists(st.tuples(ENCODED, KINDS), min_size=1, max_size=4))
def test_no_body_makes_the_server_fail(serve: Any, bodies: list[tuple[tuple[bytes, str | None], str]]) -> None:
    async def post(a: Aggregator) -> None:
        for (body, encoding), kind in bodies:
            headers = {"content_type": kind} | ({} if encoding is None else {"content_encoding": encoding})
            await check(a, await a.post(body, **headers))
        for path in PATHS:
            response = await a.client.get(f"/api/v1{path}")
            assert response.status_code in {200, 404}, (path, response.text)

    serve(post)


@settings(max_examples=100)
@given(text=st.binary(max_size=300), facts=st.dictionaries(st.sampled_from(FACTS), st.text()))
def test_no_dump_makes_the_server_fail(serve: Any, text: bytes, facts: dict[str, str]) -> None:
    head = b"slabinfo - version: 2.1\n"

    async def post(a: Aggregator) -> None:
        for body in (text, head + text):
            try:
                response = await a.client.post("/api/v1/nodes/n1/slabinfo", params=facts, content=body)
            except UnicodeEncodeError:  # no such URL can be written
                return
            await check(a, response)

    serve(post)
