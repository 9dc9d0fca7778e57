"""POST /snapshots and POST /nodes/{node}/slabinfo: what is stored, what is refused, what senders are told."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from common.errors import StoreError, StoreFullError, TooManyNodesError
from common.snapshot import layout_hash, to_wire
from common.wire import load_snapshot
from common.zstd import zstd
from server.settings import ServerSettings
from tests.server.harness import NOW, Aggregator, assert_problem, run, wire

DUMP = (
    "slabinfo - version: 2.1\n"
    "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount>"
    " <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
    "dentry            121970 125454    192   21    1 : tunables    0    0    0 : slabdata   5974   5974      0\n"
)


SQUEEZERS = [("gzip", gzip.compress), ("zstd", zstd.compress), ("identity", bytes)]


def lines(*snapshots: Any) -> bytes:
    return b"\n".join(s if isinstance(s, bytes) else json.dumps(s).encode() for s in snapshots)


def test_one_array_and_lines_are_stored() -> None:
    async def test(a: Aggregator) -> None:
        one = await a.post(wire("n1"))
        assert (one.status_code, one.json()) == (201, {"stored": 1, "duplicates": 0})
        many = await a.post([wire("n1"), wire("n2"), wire("n3")])
        assert many.json() == {"stored": 2, "duplicates": 1}
        by_line = await a.post(lines(wire("n4"), b"", wire("n5")), content_type="application/x-ndjson; charset=utf-8")
        assert by_line.json() == {"stored": 2, "duplicates": 0}
        assert [n.node for n in a.store.nodes()] == ["n1", "n2", "n3", "n4", "n5"]
        assert (await a.post([])).json() == {"stored": 0, "duplicates": 0}

    run(test)


@pytest.mark.parametrize(
    ("encoding", "squeeze"), [("gzip", gzip.compress), ("zstd", zstd.compress), ("identity", bytes)]
)
def test_bodies_may_be_compressed(encoding: str, squeeze: Any) -> None:
    async def test(a: Aggregator) -> None:
        response = await a.post(squeeze(json.dumps(wire()).encode()), content_encoding=encoding)
        assert response.status_code == 201
        # Several members in a row are one body.
        batch = squeeze(b"[" + lines(wire("x"))) + squeeze(b"," + lines(wire("y")) + b"]")
        assert (await a.post(batch, content_encoding=encoding)).json()["stored"] == 2

    run(test)


def test_a_body_is_bounded_as_sent_and_inflated() -> None:
    async def test(a: Aggregator) -> None:
        bomb = gzip.compress(b" " * 10_000_000)
        told = assert_problem(await a.post(bomb, content_encoding="gzip"), "too-large")
        assert "20000 bytes" in told["detail"]
        assert_problem(await a.post(zstd.compress(b" " * 10_000_000), content_encoding="zstd"), "too-large")
        assert_problem(await a.post(b" " * 20_001), "too-large")

        async def stream() -> AsyncIterator[bytes]:
            for _ in range(30):
                yield b" " * 1000

        response = await a.client.post("/api/v1/snapshots", content=stream())
        assert_problem(response, "too-large")

        async def unread() -> AsyncIterator[bytes]:
            pytest.fail("what is declared too large was read")
            yield b""

        declared = {"content-length": "20001"}
        assert_problem(await a.client.post("/api/v1/snapshots", content=unread(), headers=declared), "too-large")
        many = gzip.compress(b"") * 101  # each costs a copy of what follows it
        assert "members" in assert_problem(await a.post(many, content_encoding="gzip"), "malformed")["detail"]
        assert (await a.post(json.dumps(wire()).encode().ljust(20_000))).status_code == 201
        assert a.app.state.parts.bodies.pending == 0

    run(test, ServerSettings(max_body=20_000))


@pytest.mark.parametrize(
    ("kind", "body", "headers"),
    [
        ("unsupported-media", b"{}", {"content_type": "text/plain"}),
        ("unsupported-media", b"{}", {"content_encoding": "br"}),
        ("unsupported-media", b"{}", {"content_encoding": "gzip, gzip"}),
        ("malformed", b"{", {}),
        ("malformed", b"", {}),
        ("malformed", b"\xff\xfe", {}),
        ("malformed", b"no gzip", {"content_encoding": "gzip"}),
        ("malformed", gzip.compress(b"{}", mtime=0)[:-4], {"content_encoding": "gzip"}),
        ("malformed", gzip.compress(b"{}", mtime=0) + b"junk", {"content_encoding": "gzip"}),
        ("malformed", gzip.compress(b"", mtime=0) * 101, {"content_encoding": "gzip"}),
        ("malformed", b"no zstd", {"content_encoding": "zstd"}),
        ("malformed", zstd.compress(b"{}")[:-1], {"content_encoding": "zstd"}),
        ("malformed", json.dumps(wire()).encode(), {"slabhound_sent_at": "soon"}),
        ("invalid-snapshot", b"5", {}),
        ("invalid-snapshot", b"null", {}),
        ("invalid-snapshot", b"{}", {}),
    ],
)
def test_what_cannot_be_read_is_refused(kind: str, body: bytes, headers: dict[str, str]) -> None:
    async def test(a: Aggregator) -> None:
        assert_problem(await a.post(body, **headers), kind)
        assert a.store.nodes() == []

    run(test)


def test_a_bad_batch_stores_nothing_and_lists_every_bad_index() -> None:
    async def test(a: Aggregator) -> None:
        batch = [wire("n0"), wire("bad name"), wire("n2"), wire("n3", taken_at="yesterday")]
        for body, kind in ((batch, "application/json"), (lines(*batch), "application/x-ndjson")):
            problem = assert_problem(await a.post(body, content_type=kind), "invalid-snapshot")
            assert [e["pointer"] for e in problem["errors"]] == ["/1/node", "/3/taken_at"]
        assert a.store.nodes() == []

    run(test)


def test_a_layout_is_asked_for_once_and_then_known() -> None:
    async def test(a: Aggregator) -> None:
        snapshot = load_snapshot(wire())
        known = layout_hash(snapshot.caches)
        short = to_wire(snapshot, layout=known) | {"taken_at": NOW}
        problem = assert_problem(await a.post([short, wire("other")]), "unknown-layout")
        assert problem["layouts"] == [known]
        assert a.store.nodes() == []
        await a.post(wire())
        assert (await a.post(short)).json() == {"stored": 1, "duplicates": 0}
        latest = await a.get("/nodes/lvs1/snapshots/latest")
        assert latest.json()["caches"] == wire()["caches"]

    run(test)


def test_the_senders_clock_is_noted() -> None:
    async def test(a: Aggregator) -> None:
        await a.post(wire(taken_at=NOW + 86400), slabhound_sent_at=str(NOW + 86405.25))
        node = (await a.get("/nodes")).json()["items"][0]
        assert node["clock_offset_seconds"] == 86405.25
        assert node["taken_at"] == "2026-09-22T14:13:20.000Z"
        assert node["last_seen"] == "2026-09-21T14:13:20.000Z"

    run(test)


def test_a_store_that_takes_nothing_asks_senders_to_come_again() -> None:
    async def test(a: Aggregator) -> None:
        for error, kind in ((StoreFullError("disk full"), "store-full"), (StoreError("locked"), "store-failed")):
            a.store.fail = error
            response = await a.post(wire())
            assert_problem(response, kind)
            assert (response.status_code, int(response.headers["retry-after"]) > 0) == (503, True)
        a.store.fail = ValueError("a mistake of ours")
        assert_problem(await a.post(wire()), "internal")
        a.store.fail = None
        assert (await a.post(wire())).status_code == 201

    run(test)


def test_a_node_too_many_keeps_its_snapshots_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def test(a: Aggregator) -> None:
        a.store.fail = TooManyNodesError("more than 2 nodes")
        for node in ("c", "d"):
            response = await a.post(wire(node=node))
            assert_problem(response, "too-many-nodes")
            assert (response.status_code, response.headers["retry-after"]) == (503, "60")

    run(test)
    assert [record.getMessage() for record in caplog.records if record.name == "slabhound.server"] == [
        "more than 2 nodes; it and further new nodes are asked to come again"
    ]


def test_past_the_bytes_pending_senders_are_asked_to_come_again() -> None:
    async def test(a: Aggregator) -> None:
        gate = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b" " * 900
            await gate.wait()
            yield json.dumps(wire()).encode()

        first = asyncio.create_task(
            a.client.post("/api/v1/snapshots", content=slow(), headers={"content-type": "application/json"})
        )
        while not a.app.state.parts.bodies.pending:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0)
        response = await a.post(json.dumps(wire("n2")).encode().ljust(400))
        assert_problem(response, "busy")
        assert int(response.headers["retry-after"]) > 0
        gate.set()
        assert (await first).status_code == 201
        assert a.app.state.parts.bodies.pending == 0

    run(test, ServerSettings(max_pending=1200))


def test_a_body_that_never_comes_ends() -> None:
    async def test(a: Aggregator) -> None:
        async def never() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        response = await a.client.post("/api/v1/snapshots", content=never())
        assert_problem(response, "timeout")

    run(test, ServerSettings(body_seconds=0.01))


def test_a_dump_from_curl_is_stored() -> None:
    async def test(a: Aggregator) -> None:
        facts = "taken_at=2026-09-21T14:00:00+02:00&group=web&boot_id=0b6f%0A&uptime=86400.50+100.00&kernel=6.1"
        response = await a.client.post(
            f"/api/v1/nodes/a.b:c/slabinfo?{facts}",
            content=DUMP,
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert (response.status_code, response.json()) == (201, {"stored": 1, "duplicates": 0})
        stored = a.store.at("a.b:c", None)
        assert stored is not None
        snapshot = stored.snapshot
        assert (snapshot.group, snapshot.boot_id, snapshot.uptime_seconds) == ("web", "0b6f", 86400.5)
        assert snapshot.taken_at == 1789992000.0
        assert snapshot.caches.name == ["dentry"]
        bare = await a.client.post("/api/v1/nodes/n/slabinfo", content=DUMP)
        assert bare.status_code == 201
        assert (await a.get("/nodes/n/snapshots/latest")).json()["taken_at"] == "2026-09-21T14:13:20.000Z"
        text = await a.client.get("/api/v1/nodes/n/snapshots/latest", headers={"accept": "text/plain"})
        assert text.text == DUMP
        pasted = await a.client.post("/api/v1/nodes/m/slabinfo", content="$ cat /proc/slabinfo\n" + DUMP)
        assert pasted.json()["skipped"] == ["line 1: no row: $ cat /proc/slabinfo"]

    run(test)


def test_an_empty_group_is_refused_in_plain_words() -> None:
    async def test(a: Aggregator) -> None:
        problem = assert_problem(
            await a.client.post("/api/v1/nodes/n/slabinfo?group=%20", content=DUMP), "invalid-parameter"
        )
        assert problem["detail"] == "group: String should have at least 1 character"

    run(test)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("n/slabinfo", "no dump at all", "invalid-slabinfo"),
        ("n/slabinfo", "", "invalid-slabinfo"),
        ("bad%20name/slabinfo", DUMP, "invalid-parameter"),
        ("n%0A/slabinfo", DUMP, "invalid-parameter"),
        ("n/slabinfo?taken_at=soon", DUMP, "invalid-parameter"),
        ("n/slabinfo?uptime=long", DUMP, "invalid-parameter"),
        ("n/slabinfo?group=", DUMP, "invalid-parameter"),
        ("n/slabinfo?kernel=a%00b", DUMP, "invalid-parameter"),
    ],
)
def test_a_dump_that_cannot_be_read_is_refused(path: str, body: str, kind: str) -> None:
    async def test(a: Aggregator) -> None:
        problem = assert_problem(await a.client.post(f"/api/v1/nodes/{path}", content=body), kind)
        assert problem["errors"]
        assert a.store.nodes() == []

    run(test)
