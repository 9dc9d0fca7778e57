"""Connections that say nothing, dribble, or never end their head are closed; the others are not."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from server.cli import KEEP_ALIVE_SECONDS
from server.connection import Connection

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hasty(Connection):
    silence = 0.2
    head = 2000


async def refusing(_: Scope, __: Receive, send: Send) -> None:
    """Answers at once, whatever the body may be."""
    await asyncio.sleep(0.3)  # longer than the silence allowed: an answer may take its time
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def connected() -> AsyncIterator[Client]:
    config = uvicorn.Config(
        refusing, port=0, http=Hasty, loop="uvloop", ws="none", lifespan="off", timeout_keep_alive=KEEP_ALIVE_SECONDS
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()
    finally:
        await server.shutdown()


def run(client: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        async with connected() as (reader, writer):
            await asyncio.wait_for(client(reader, writer), 20)

    asyncio.run(main())


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server hangs up."""
    try:
        return await reader.read(-1)
    except ConnectionError:
        return b""


async def answer(reader: asyncio.StreamReader) -> None:
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    assert await reader.readexactly(2) == b"ok"


@pytest.mark.parametrize("first", [b"", b"GET / HT", REQUEST[:-2]])
def test_who_does_not_ask_is_hung_up_on(first: bytes) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        assert await closed(reader) == b""

    run(client)


def test_a_head_that_dribbles_in_is_given_up() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST[:-2])

        async def dribble() -> None:
            while True:
                writer.write(b"a: b\r\n")
                await asyncio.sleep(0.05)

        dribbling = asyncio.create_task(dribble())
        assert await closed(reader) == b""
        dribbling.cancel()

    run(client)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (REQUEST[:-2] + b"a: " + b"b" * 3000, "longer than 2000 bytes"),  # without end
        (REQUEST[:-2] + b"a: " + b"b" * 3000 + b"\r\n\r\n", "longer than 2000 bytes"),
        (REQUEST[:-2] + b"a: b\r\n" * 400 + b"\r\n", "longer than 2000 bytes"),
        (b"GET /?group=gr\xc3\xb6\xc3\x9fe HTTP/1.1\r\nHost: a\r\n\r\n", "percent-encoded"),
        (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", "percent-encoded"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", "not HTTP"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n", "not HTTP"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "not HTTP"),
    ],
)
def test_what_is_refused_before_the_application_is_a_problem_too(sent: bytes, said: str) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        head, _, body = (await closed(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"\r\ncontent-type: application/problem+json" in head
        assert f"\r\ncontent-length: {len(body)}".encode() in head
        problem = json.loads(body)
        assert problem["type"] == "urn:slabhound:problem:malformed"
        assert said in problem["detail"]

    run(client)


def test_a_head_just_within_the_bound_is_taken() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST[:-2] + b"a: " + b"b" * 1900 + b"\r\n\r\n")
        await answer(reader)

    run(client)


def test_who_asks_for_a_websocket_gets_an_answer_and_the_log_no_advice(caplog: pytest.LogCaptureFixture) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        await answer(reader)

    with caplog.at_level(logging.WARNING):
        run(client)
    assert not caplog.records


def test_an_answer_may_take_its_time_and_the_connection_is_kept() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            writer.write(REQUEST)
            await answer(reader)
            await asyncio.sleep(0.3)  # idle between two requests, as agents are
        writer.write(REQUEST[:9])
        await asyncio.sleep(0)
        writer.write(REQUEST[9:])
        await answer(reader)

    run(client)


def test_a_body_of_any_length_is_no_head() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(50_000))
            await answer(reader)
            writer.write(bytes(50_000))  # what is left of it though it was answered
            await asyncio.sleep(0.1)  # by itself, not with the next request

    run(client)
