"""What is on the wire, and what each answer means."""

from __future__ import annotations

import json
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.packing import pack
from agent.pusher import LONGEST_WAIT, Outcome, Pusher, Verdict
from agent.token import TokenFile
from agent.transport import OneConnection
from common.errors import ConfigError
from tests.agent.fake_server import Answer, serve

NOW = 1795388400.25


def entries(*names: str) -> list[bytes]:
    return [pack(json.dumps({"node": name})) for name in names]


def pushed(answer: Answer, *names: str, **options: Any) -> tuple[Outcome, Any]:
    with serve(answer) as server:
        pusher = Pusher(server.url, OneConnection(timeout=5), wall=lambda: NOW, **options)
        outcome = pusher.push(entries(*(names or ("a",))))
        pusher.close()
        return outcome, server.received[0]


def test_one_snapshot_goes_as_it_is() -> None:
    outcome, request = pushed(Answer())
    assert outcome == Outcome(Verdict.STORED, status=201)
    assert request.path == "/api/v1/snapshots"
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Slabhound-Sent-At"] == "2026-11-22T23:00:00.250Z"
    assert "Authorization" not in request.headers
    assert not request.is_array
    assert request.snapshots == [{"node": "a"}]


def test_several_go_as_an_array_in_order() -> None:
    _, request = pushed(Answer(), "a", "b", "c")
    assert request.is_array
    assert [snapshot["node"] for snapshot in request.snapshots] == ["a", "b", "c"]


def test_a_path_before_the_api_is_kept() -> None:
    with serve() as server:
        pusher = Pusher(server.url + "/slabs/", OneConnection(timeout=5))
        pusher.push(entries("a"))
        pusher.close()
        assert server.received[0].path == "/slabs/api/v1/snapshots"


@pytest.mark.parametrize("status", [401, 403, 408, 425, 429, 500, 502, 503, 504])
def test_what_is_tried_again(status: int) -> None:
    outcome, _ = pushed(Answer(status))
    assert outcome.verdict is Verdict.AWAY
    assert outcome.status == status
    assert outcome.reason.startswith(str(status))


@pytest.mark.parametrize("status", [200, 202, 204, 301, 404, 405])
def test_what_is_no_aggregator_is_tried_again_and_says_so(status: int) -> None:
    outcome, _ = pushed(Answer(status, headers={"Location": "/"}))
    assert outcome.verdict is Verdict.AWAY
    assert "an aggregator?" in outcome.reason


@pytest.mark.parametrize(
    ("status", "verdict"), [(400, Verdict.REFUSED), (422, Verdict.REFUSED), (413, Verdict.TOO_LARGE)]
)
def test_what_is_not_tried_again_as_it_is(status: int, verdict: Verdict) -> None:
    assert pushed(Answer(status))[0].verdict is verdict


def test_the_reason_is_the_problem_document_on_one_line() -> None:
    body = {"title": "Bad", "detail": "breaks\nthe format", "errors": [{"pointer": "/caches/name", "detail": "short"}]}
    outcome, _ = pushed(Answer(422, body=body))
    assert outcome.reason == "422 breaks the format; /caches/name: short"
    said = {**body, "detail": "/caches/name: short (and 1 more)"}
    assert pushed(Answer(422, body=said))[0].reason == "422 /caches/name: short (and 1 more)"


@pytest.mark.parametrize(
    "content", [b"<html>", b"[1]", b"\xff", b'{"errors":3,"detail":"x"}', b'{"errors":{"a":1}}', b"[" * 60_000]
)
def test_any_other_body_does_no_harm(content: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(503, content=content))
    assert Pusher("http://x", transport).push(entries("a")).reason.startswith("503 ")


def test_a_host_that_can_be_no_name_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="--server http://xn--:8080: "):
        Pusher("http://xn--:8080", httpx.MockTransport(lambda _: httpx.Response(201)))


def test_a_damaged_file_spoils_its_batch() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(400))
    pusher = Pusher("http://x", transport)
    assert pusher.push([*entries("a"), b"rubbish"]).verdict is Verdict.REFUSED
    assert pusher.push([b"rubbish"]).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "99999999"}, LONGEST_WAIT),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True), "Date": ""}, 29.75),
        # The server's clock is a day off; it is its own date that counts.
        ({"Retry-After": formatdate(NOW + 86430, usegmt=True), "Date": formatdate(NOW + 86400, usegmt=True)}, 30.0),
        ({"Retry-After": formatdate(NOW - 30, usegmt=True), "Date": formatdate(NOW, usegmt=True)}, 0.0),
        ({"Retry-After": "Mon, 99 Foo 2026 99:99:99 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], wait: float | None) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(429, headers=headers))
    assert Pusher("http://x", transport, wall=lambda: NOW).push(entries("a")).wait == wait


def test_the_token_is_sent_and_read_again_when_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization"))
        return httpx.Response(201)

    pusher = Pusher("http://x", httpx.MockTransport(answer), token=TokenFile(str(file)))
    pusher.push(entries("a"))
    file.write_text("second-and-longer\n")
    pusher.push(entries("a"))
    file.unlink()
    pusher.push(entries("a"))
    file.write_text("")
    pusher.push(entries("a"))
    file.write_text("third")
    pusher.push(entries("a"))
    assert seen == ["Bearer first", *["Bearer second-and-longer"] * 3, "Bearer third"]


def test_without_a_token_401_says_what_to_give() -> None:
    assert "--token-file" in pushed(Answer(401))[0].reason


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "smörgås", "x\x00y"])
def test_a_token_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(ConfigError, match="holds no token"):
        TokenFile(str(tmp_path / "token"))


def test_a_token_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        TokenFile(str(tmp_path / "token"))
