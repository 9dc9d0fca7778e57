"""One connection: kept, replaced once when dead, given up plainly."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from agent.transport import KEEP_ALIVE, OneConnection
from tests.agent.fake_server import Answer, serve


def post(client: httpx.Client, url: str) -> int:
    return client.post(f"{url}/x", content=b"{}").status_code


@contextmanager
def client_of(transport: OneConnection) -> Iterator[httpx.Client]:
    with httpx.Client(transport=transport, trust_env=False) as client:
        yield client


def test_one_connection_serves_many_requests() -> None:
    transport = OneConnection(timeout=5)
    with serve() as server, client_of(transport) as client:
        assert not transport.live
        assert [post(client, server.url) for _ in range(3)] == [201, 201, 201]
        assert transport.live
        assert server.connections == 1


def test_a_dead_connection_is_replaced_once() -> None:
    with serve(Answer(close_silently=True)) as server, client_of(OneConnection(timeout=5)) as client:
        assert post(client, server.url) == 201
        assert post(client, server.url) == 201
        assert [request.connection for request in server.received] == [1, 2]


def test_a_connection_that_dies_without_an_answer_is_replaced_once() -> None:
    with serve(Answer(), Answer(drop=True)) as server, client_of(OneConnection(timeout=5)) as client:
        assert post(client, server.url) == 201
        assert post(client, server.url) == 201
        assert [request.connection for request in server.received] == [1, 1, 2]


def test_a_fresh_connection_that_dies_is_an_error() -> None:
    drop = Answer(drop=True)
    with serve(drop, drop, drop) as server, client_of(OneConnection(timeout=5)) as client:
        with pytest.raises(httpx.TransportError):
            post(client, server.url)
        assert len(server.received) == 1


def test_an_idle_connection_expires_before_the_servers_does() -> None:
    now = 100.0
    transport = OneConnection(timeout=5, clock=lambda: now)
    with serve() as server, client_of(transport) as client:
        post(client, server.url)
        now += KEEP_ALIVE - 1
        post(client, server.url)
        assert server.connections == 1
        now += KEEP_ALIVE + 1
        assert not transport.live
        post(client, server.url)
        assert server.connections == 2


def test_a_server_that_closes_is_believed() -> None:
    transport = OneConnection(timeout=5)
    with serve(Answer(headers={"Connection": "close"})) as server, client_of(transport) as client:
        assert post(client, server.url) == 201
        assert not transport.live
        assert post(client, server.url) == 201


def test_an_endless_answer_is_cut_off() -> None:
    transport = OneConnection(timeout=5)
    with serve(Answer(body={"detail": "x" * 200_000})) as server, client_of(transport) as client:
        assert len(client.post(server.url, content=b"{}").content) <= 1 << 16
        assert not transport.live


def test_silence_ends_by_the_timeout() -> None:
    with (
        serve(Answer(hang=True)) as server,
        client_of(OneConnection(timeout=0.1)) as client,
        pytest.raises(httpx.TimeoutException, match="no answer"),
    ):
        post(client, server.url)


def test_refused_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with client_of(OneConnection(timeout=5)) as client, pytest.raises(httpx.NetworkError, match="Connection refused"):
        post(client, f"http://127.0.0.1:{port}")


@contextmanager
def answering(*pieces: bytes) -> Iterator[str]:
    """A server that answers its one request with these very bytes, a piece every 0.05 s, and hangs up."""

    def answer() -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            connection.recv(65536)
            for piece in pieces:
                connection.sendall(piece)
                if len(pieces) > 1:
                    time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join()


def test_what_is_no_http_says_so() -> None:
    with (
        answering(b"SSH-2.0-OpenSSH_9.2\r\n") as url,
        client_of(OneConnection(timeout=5)) as client,
        pytest.raises(httpx.TransportError, match="no HTTP"),
    ):
        post(client, url)


def test_an_answer_that_trickles_in_ends_by_the_timeout() -> None:
    with (
        answering(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 40) as url,
        client_of(OneConnection(timeout=0.2)) as client,
        pytest.raises(httpx.TimeoutException, match="no answer within"),
    ):
        post(client, url)


def test_early_hints_are_not_taken_for_the_answer() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
    transport = OneConnection(timeout=5)
    with (
        answering(hints) as url,
        client_of(transport) as client,
        pytest.raises(httpx.TransportError, match="status 103"),
    ):
        post(client, url)
    assert not transport.live


@pytest.mark.parametrize("header", [b"Server: caf\xe9", b"Content-Encoding: gzip", b"Content-Encoding: br"])
def test_no_header_can_spoil_an_answer(header: bytes) -> None:
    said = b"HTTP/1.1 500 Oops\r\n" + header + b"\r\nContent-Length: 5\r\n\r\nplain"
    with answering(said) as url, client_of(OneConnection(timeout=5)) as client:
        answer = client.post(url, content=b"{}")
    assert (answer.status_code, answer.content) == (500, b"plain")


def test_the_look_up_is_announced() -> None:
    looked = []

    @contextmanager
    def resolving() -> Iterator[None]:
        looked.append("in")
        yield
        looked.append("out")

    with serve() as server, client_of(OneConnection(timeout=5, resolving=resolving)) as client:
        post(client, server.url)
        post(client, server.url)
    assert looked == ["in", "out"]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "two..dots", "x" * 64 + ".invalid"])
def test_a_name_that_is_nowhere_says_so(host: str) -> None:
    with client_of(OneConnection(timeout=5)) as client, pytest.raises(httpx.NetworkError):
        post(client, f"http://{host}:8080")
