"""Request bodies: read within bounds, inflated within bounds, and only so many at once."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from starlette.requests import ClientDisconnect, Request

from common.zstd import zstd
from server.problems import Problem

__all__ = ["Bodies", "Body", "inflate"]

_WINDOW_LOG = 23
"""A frame may ask for a window of 8 MiB at most (RFC 9659, section 3)."""
_MAX_MEMBERS = 100
"""Each member costs a copy of what follows it."""


class Body(bytes):
    """An inflated body that remembers how many bytes came over the wire."""

    received: int


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

    @asynccontextmanager
    async def take(self, request: Request) -> AsyncIterator[Body]:
        """The inflated body; its bytes count as pending until the block ends.

        Raises Problem: 400 cannot be inflated, 408 too slow, 413 too large, 415 unknown encoding, 503 too many.
        """
        encoding = request.headers.get("content-encoding", "identity").strip().lower() or "identity"
        if encoding not in {"identity", "gzip", "x-gzip", "zstd"}:
            raise Problem(
                "unsupported-media",
                f"Content-Encoding {encoding} is not supported: send gzip, zstd or none",
                headers={"Accept-Encoding": "gzip, zstd"},
            )
        held = 0

        def hold(more: int) -> None:
            nonlocal held
            if self.pending + more > self.max_pending:
                raise Problem(
                    "busy",
                    f"more than {self.max_pending} bytes are being taken in: come again",
                    headers={"Retry-After": "2"},
                )
            self.pending += more
            held += more

        try:
            sent = await self._read(request, hold)
            text = sent
            if encoding != "identity":
                if len(sent) > 65536:
                    text = await asyncio.to_thread(inflate, sent, encoding, self.max_body)
                else:
                    text = inflate(sent, encoding, self.max_body)
                hold(len(text))
            body = Body(text)
            body.received = len(sent)
            yield body
        finally:
            self.pending -= held

    async def _read(self, request: Request, hold: _Hold) -> bytes:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self.max_body:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > self.max_body:
                        raise self._too_large()
                    hold(len(chunk))
                    chunks.append(chunk)
        except TimeoutError:
            raise Problem("timeout", f"the body did not come in within {self.seconds:g} s") from None
        except ClientDisconnect:
            raise Problem("malformed", "the connection closed before the body was complete") from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self) -> Problem:
        return Problem("too-large", f"the body is larger than {self.max_body} bytes: send fewer snapshots at once")


class _Hold(Protocol):
    def __call__(self, more: int, /) -> None: ...


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
