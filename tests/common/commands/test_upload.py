"""Uploads: batches, a busy server, bodies too large, snapshots refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from email.utils import formatdate

import httpx
import pytest

from common.commands.client import Client
from common.commands.upload import Uploader
from common.errors import ServerError
from tests.common.commands.fake import SERVER, FakeServer


class Archive:
    """Takes snapshots as an aggregator does; `refuses` says why it would not take one."""

    def __init__(
        self, refuses: Callable[[dict[str, object]], str | None] = lambda _one: None, most: int = 10**6
    ) -> None:
        self.kept: list[dict[str, object]] = []
        self.bodies: list[int] = []
        self._refuses = refuses
        self._most = most

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["content-encoding"] == "gzip"
        assert request.headers["content-type"] == "application/x-ndjson"
        assert float(request.headers["slabhound-sent-at"]) == 1000.0
        batch = [json.loads(line) for line in gzip.decompress(request.content).split(b"\n")]
        self.bodies.append(len(batch))
        if len(batch) > self._most:
            return httpx.Response(413, json={"title": "Content Too Large"})
        errors = [
            {"pointer": f"/{i}/node", "detail": reason} for i, one in enumerate(batch) if (reason := self._refuses(one))
        ]
        if errors:
            return httpx.Response(422, json={"title": "Unprocessable", "errors": errors})
        new = [one for one in batch if one not in self.kept]
        self.kept += new
        return httpx.Response(201, json={"stored": len(new), "duplicates": len(batch) - len(new)})


def upload(answer: object, count: int = 3, times: int = 1) -> tuple[Uploader, FakeServer, list[float]]:
    server = FakeServer({"/snapshots": answer})
    waits: list[float] = []
    with Client(SERVER, transport=server.transport) as client:
        uploader = Uploader(client, sleep=waits.append, clock=lambda: 1000.0)
        for _ in range(times):
            for i in range(count):
                uploader.add(json.dumps({"node": f"n{i}", "taken_at": i}).encode())
            uploader.finish()
    return uploader, server, waits


def test_all_are_stored_once() -> None:
    archive = Archive()
    uploader, _, waits = upload(archive, 1200, times=2)
    assert (uploader.outcome.stored, uploader.outcome.duplicates, uploader.outcome.refused) == (1200, 1200, 0)
    assert archive.bodies == [500, 500, 200] * 2
    assert waits == []


def test_nothing_to_send_sends_nothing() -> None:
    assert upload(Archive(), 0)[1].requests == []


def test_a_body_too_large_is_halved() -> None:
    archive = Archive(most=3)
    uploader, _, _ = upload(archive, 10)
    assert uploader.outcome.stored == 10
    assert archive.bodies == [10, 5, 2, 3, 5, 2, 3]


def test_a_single_snapshot_too_large_is_refused() -> None:
    uploader, _, _ = upload(Archive(most=0), 2)
    assert (uploader.outcome.stored, uploader.outcome.refused) == (0, 2)
    assert uploader.outcome.reasons == ["n0 at 0: Content Too Large", "n1 at 1: Content Too Large"]


def test_the_bad_ones_are_named_and_the_others_stored() -> None:
    archive = Archive(lambda one: "no such name" if one["node"] in {"n3", "n7"} else None)
    uploader, server, _ = upload(archive, 10)
    assert (uploader.outcome.stored, uploader.outcome.refused) == (8, 2)
    assert uploader.outcome.reasons[0] == "n3 at 3: Unprocessable; /node: no such name"
    assert len(server.requests) == 4


def test_a_refusal_that_names_nobody_is_halved() -> None:
    uploader, _, _ = upload(httpx.Response(422, json={"title": "No", "errors": [{"pointer": "/9"}]}), 4)
    assert uploader.outcome.refused == 4


@pytest.mark.parametrize(
    ("retry_after", "waits"),
    [
        ("3", [3.0, 3.0]),
        (formatdate(1007, usegmt=True), [7.0, 7.0]),
        ("100000", [60.0, 60.0]),
        (None, [1.0, 2.0]),
        ("soon", [1.0, 2.0]),
        ("1 Jan 99999999999 00:00:00 GMT", [1.0, 2.0]),
    ],
)
def test_a_busy_server_is_asked_again(retry_after: str | None, waits: list[float]) -> None:
    archive, left = Archive(), [503, 429]

    def busy(request: httpx.Request) -> httpx.Response:
        headers = {"retry-after": retry_after} if retry_after else {}
        return httpx.Response(left.pop(), headers=headers) if left else archive(request)

    uploader, _, waited = upload(busy)
    assert uploader.outcome.stored == 3
    assert waited == waits


@pytest.mark.parametrize(
    ("kind", "waited"),
    [("busy", [1, 2, 4, 8, 16, 32, 60]), ("store-full", []), ("too-many-nodes", [])],  # these somebody must mend
)
def test_a_server_that_stays_busy_is_given_up(kind: str, waited: list[float]) -> None:
    problem = {"type": f"urn:slabhound:problem:{kind}", "detail": "the disk is full"}
    server = FakeServer({"/snapshots": httpx.Response(503, json=problem)})
    waits: list[float] = []
    with Client(SERVER, transport=server.transport) as client:
        uploader = Uploader(client, sleep=waits.append, clock=lambda: 1000.0)
        uploader.add(b"{}")
        with pytest.raises(ServerError, match=r"answered 503: the disk is full$"):
            uploader.finish()
    assert (waits, len(server.requests)) == (waited, 1 + len(waited))


def test_without_a_token_it_stops_at_once() -> None:
    with pytest.raises(ServerError, match=r"answered 401: Bad; give a token"):
        upload(httpx.Response(401, json={"title": "Bad"}))


def test_an_answer_of_something_else() -> None:
    with pytest.raises(ServerError, match="not that of an aggregator"):
        upload(httpx.Response(201, text="<html>"))
