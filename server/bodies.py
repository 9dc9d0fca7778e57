"""Request bodies: read within bounds, inflated within bounds, and only so many at once."""

from __future__ import annotations

import asyncio
import zlib
from typing import Protocol, Self

from starlette.types import Receive, Scope

from common.zstd import zstd
from server.problems import Problem

__all__ = ["Bodies", "Body", "Incoming", "inflate"]

_WINDOW_LOG = 23
"""A frame may ask for a window of 8 MiB at most (RFC 9659, section 3)."""
_MAX_MEMBERS = 100
"""Each member costs a copy of what follows it."""


class Incoming:
    """A request as it comes in: its headers by name in lower case, the first of each, and how to get the body."""

    __slots__ = ("headers", "receive")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = reversed(list(scope["headers"]))
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        self.receive = receive


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class Bodies:
    """Takes bodies in: at most `max_body` bytes each, as sent and inflated, and `max_pending` bytes at once."""

    def __init__(self, *, max_body: int, max_pending: int, seconds: float) -> None:
        self.max_body, self.max_pending, self.seconds = max_body, max_pending, seconds
        self.pending = 0
        """Bytes of bodies being taken in now."""

    def take(self, incoming: Incoming) -> Body:
        """The body of a request, to be used in `async with`."""
        return Body(self, incoming)


class Body:
    """A body that comes in, and is inflated, as the block begins; its bytes count as pending until the block ends.

    Entering raises Problem: 400 cannot be inflated, 408 too slow, 413 too large, 415 unknown encoding, 503 too many.
    """

    __slots__ = ("_bodies", "_held", "_incoming", "received", "text")
    text: bytes
    received: int
    """Bytes that came over the wire."""

    def __init__(self, bodies: Bodies, incoming: Incoming) -> None:
        self._bodies, self._incoming, self._held = bodies, incoming, 0

    async def __aenter__(self) -> Self:
        encoding = self._incoming.headers.get("content-encoding", "identity").strip().lower() or "identity"
        if encoding not in {"identity", "gzip", "x-gzip", "zstd"}:
            raise Problem(
                "unsupported-media",
                f"Content-Encoding {encoding} is not supported: send gzip, zstd or none",
                headers={"Accept-Encoding": "gzip, zstd"},
            )
        try:
            self.text = sent = await self._read()
            self.received = len(sent)
            if encoding != "identity":
                limit = self._bodies.max_body
                if self.received > 65536:
                    self.text = await asyncio.to_thread(inflate, sent, encoding, limit)
                else:
                    self.text = inflate(sent, encoding, limit)
                self._hold(len(self.text))
        except BaseException:
            self._release()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def _hold(self, more: int) -> None:
        bodies = self._bodies
        if bodies.pending + more > bodies.max_pending:
            raise Problem(
                "busy",
                f"more than {bodies.max_pending} bytes are being taken in: come again",
                headers={"Retry-After": "2"},
            )
        bodies.pending += more
        self._held += more

    def _release(self) -> None:
        self._bodies.pending -= self._held
        self._held = 0

    async def _read(self) -> bytes:
        limit, seconds = self._bodies.max_body, self._bodies.seconds
        declared = self._incoming.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        chunks: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(seconds):
                while more:
                    message = await self._incoming.receive()
                    if message["type"] == "http.disconnect":
                        raise Problem("malformed", "the connection closed before the body was complete")
                    chunk, more = message.get("body", b""), message.get("more_body", False)
                    size += len(chunk)
                    if size > limit:
                        raise _too_large(limit)
                    self._hold(len(chunk))
                    chunks.append(chunk)
        except TimeoutError:
            raise Problem("timeout", f"the body did not come in within {seconds:g} s") from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> Problem:
    return Problem("too-large", f"the body is larger than {limit} bytes: send fewer snapshots at once")


def inflate(data: bytes, encoding: str, limit: int) -> bytes:
    """At most `limit` bytes of a gzip or zstd body, members or frames in a row. Raises Problem."""
    out: list[bytes] = []
    left = limit
    try:
        for _ in range(_MAX_MEMBERS):
            inflater = _inflater(encoding)
            # One byte more than allowed tells a body that just fits from one that does not.
            piece = inflater.decompress(data, left + 1)
            left -= len(piece)
            if left < 0:
                raise Problem(
                    "too-large", f"the body is larger than {limit} bytes once inflated: send fewer snapshots at once"
                )
            if not inflater.eof:
                raise Problem("malformed", f"the {encoding} body ends too early")
            out.append(piece)
            data = inflater.unused_data
            if not data:
                return b"".join(out)
    except (zlib.error, zstd.ZstdError) as error:
        raise Problem("malformed", f"the body is not {encoding}: {error}") from None
    raise Problem("malformed", f"the {encoding} body has more than {_MAX_MEMBERS} members")


def _inflater(encoding: str) -> _Inflater:
    if encoding == "zstd":
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    return zlib.decompressobj(wbits=31)
