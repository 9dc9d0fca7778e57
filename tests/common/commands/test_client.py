"""What the client commands say when the server is away, refuses, or is something else."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.commands.client import Client
from common.errors import ConfigError, ServerError
from tests.common.commands.fake import SERVER, FakeServer


def ask(answer: Any, token_file: str | None = None) -> FakeServer:
    server = FakeServer({"/nodes": answer})
    with Client(SERVER, token_file, transport=server.transport) as client:
        client.get("/nodes")
    return server


def problem(status: int, **values: Any) -> httpx.Response:
    return httpx.Response(status, json={"title": "Bad", **values}, headers={"content-type": "application/problem+json"})


def test_nobody_listens() -> None:
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url) as client, pytest.raises(ServerError) as caught:
            client.get("/nodes")
    assert str(caught.value).startswith(f"no aggregator at {url} (")
    assert "start one with `slabhound server`, or name another with --server" in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (problem(422, detail="window: too long"), f"{SERVER} answered 422: window: too long"),
        (
            problem(422, detail="window: too long", errors=[{"pointer": "/query/window", "detail": "too long"}]),
            f"{SERVER} answered 422: window: too long",
        ),
        (problem(401), f"{SERVER} answered 401: Bad; give a token with --token-file"),
        (problem(403, detail="not yours"), f"{SERVER} answered 403: not yours; give a token with --token-file"),
        (httpx.Response(502, text="<html>"), f"{SERVER} answered 502: Bad Gateway"),
        (problem(422, detail="no", errors=3), f"{SERVER} answered 422: no"),
        (httpx.Response(404, json=["odd"]), f"{SERVER} answered 404: Not Found"),
        (
            problem(422, detail="no", errors=[{"pointer": f"/{i}", "detail": "bad"} for i in range(5)]),
            f"{SERVER} answered 422: no; /0: bad; /1: bad; /2: bad; and 2 more",
        ),
        (
            httpx.Response(200, text="<html>", headers={"content-type": "text/html"}),
            f"{SERVER} is no aggregator: it answered text/html where JSON is due",
        ),
    ],
)
def test_refusals_are_one_line(answer: httpx.Response, said: str) -> None:
    with pytest.raises(ServerError) as caught:
        ask(answer)
    assert str(caught.value) == said


def test_too_slow() -> None:
    def slow(_request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow")

    with pytest.raises(ServerError, match="did not answer in time"):
        ask(slow)


def test_a_broken_connection() -> None:
    def broken(_request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("peer closed")

    with pytest.raises(ServerError, match=r"^http://lvs.example:8080: peer closed$"):
        ask(broken)


def test_the_token_is_the_file_s_first_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\nanother\n")
    server = ask({}, str(tmp_path / "token"))
    assert server.requests[0].headers["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(("content", "said"), [(b"", "holds no token"), (b"\xff", "not plain text")])
def test_a_bad_token_file(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        ask({}, str(tmp_path / "token"))
    with pytest.raises(ConfigError, match="No such file"):
        ask({}, str(tmp_path / "none"))


@pytest.mark.parametrize("server", ["http://xn--a", "http://ä..b:8080", "http://a..b"])
def test_a_host_that_can_be_no_name(server: str) -> None:
    with pytest.raises((ConfigError, ServerError), match=server), Client(server) as client:
        client.get("/nodes")


def test_a_refused_connection_is_told_without_its_number() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with (
            Client(address) as client,
            pytest.raises(ServerError, match=rf"no aggregator at {address} \(Connection refus"),
        ):
            client.get("/nodes")


def test_a_path_before_the_interface_is_kept() -> None:
    server = FakeServer({})
    with Client(SERVER + "/slabs", transport=server.transport) as client, pytest.raises(ServerError):
        client.get("/nodes")
    assert server.asked == ["/slabs/api/v1/nodes"]
