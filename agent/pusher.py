"""The courier's one errand: carries a batch to the aggregator and says, plainly, what came of it."""

from __future__ import annotations

import email.utils
import json
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import httpx

from agent.token import TokenFile
from agent.transport import OneConnection
from common import __version__
from common.errors import ConfigError
from common.times import format_time

__all__ = ["Outcome", "Pusher", "Verdict", "pack", "unpack"]

PATH = "/api/v1/snapshots"
LEVEL = 6
GZIP = 31
"""zlib's wbits for a gzip stream."""
LONGEST_WAIT = 3600.0
"""Seconds: a Retry-After beyond is taken as this, lest a wrong one silence the node."""


def pack(text: str) -> bytes:
    """One snapshot's JSON as a gzip stream that ends in a line feed: a spooled file is an .ndjson.gz."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    return squeeze.compress(text.encode()) + squeeze.compress(b"\n") + squeeze.flush()


def unpack(entry: bytes) -> bytes:
    """The JSON bytes of a packed snapshot. Raises zlib.error."""
    return zlib.decompress(entry, GZIP)


class Verdict(Enum):
    """What the aggregator made of a batch."""

    STORED = "stored"
    AWAY = "away"
    """It could not be reached, or asks to come again: keep everything."""
    TOO_LARGE = "too large"
    """413: send less at a time."""
    REFUSED = "refused"
    """400, 422: something in it will never be taken."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a push."""

    verdict: Verdict
    reason: str = ""
    """For the log."""
    status: int | None = None
    """HTTP's; None where no answer came."""
    wait: float | None = None
    """Seconds the server asked to wait; None when it did not."""


class Pusher:
    """Pushes to one aggregator over one connection."""

    def __init__(
        self,
        server: str,
        transport: httpx.BaseTransport,
        *,
        token: TokenFile | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`server`: its URL, without the path of the API. Raises ConfigError when its host can be no name.

        Proxies and .netrc of the environment are not used (trust_env): an aggregator stands beside its nodes, and a
        proxy meant for something else must not see their data.
        """
        try:
            self._url = httpx.URL(server.rstrip("/") + PATH)
            str(self._url.host)  # which httpx decodes, and only when asked
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ConfigError(f"--server {server}: {error}") from None
        self._transport = transport
        self._token = token
        self._wall = wall
        self._client = httpx.Client(
            transport=transport,
            trust_env=False,
            headers={"User-Agent": f"slabhound-agent/{__version__}", "Accept-Encoding": "identity"},
        )

    @property
    def live(self) -> bool:
        """Whether the next push needs no new connection."""
        return isinstance(self._transport, OneConnection) and self._transport.live

    def push(self, entries: Sequence[bytes]) -> Outcome:
        """Sends packed snapshots in one request; one as it is, several as a JSON array."""
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Slabhound-Sent-At": format_time(self._wall()),
        }
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.value()}"
        try:
            body = entries[0] if len(entries) == 1 else _array(entries)
        except zlib.error:
            return Outcome(Verdict.REFUSED, "a file in the spool is damaged")
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except httpx.TransportError as error:
            return Outcome(Verdict.AWAY, str(error))
        return self._judge(answer)

    def _judge(self, answer: httpx.Response) -> Outcome:
        status = answer.status_code
        if status == 201:
            return Outcome(Verdict.STORED, status=status)
        reason = f"{status} {_detail(answer)}".strip()
        if status == 413:
            return Outcome(Verdict.TOO_LARGE, reason, status)
        if status in {400, 422}:
            return Outcome(Verdict.REFUSED, reason, status)
        if status in {401, 403} and self._token is None:
            reason += " (give --token-file)"
        elif status not in {401, 403, 408, 425, 429} and status < 500:
            reason += f" where 201 was due: is {self._url} an aggregator?"
        return Outcome(Verdict.AWAY, reason, status, self._wait(answer))

    def _wait(self, answer: httpx.Response) -> float | None:
        """Seconds of Retry-After: a number, or a date, measured from the server's own Date where it gives one."""
        text = answer.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text), LONGEST_WAIT)
        until = _http_date(text)
        if until is None:
            return None
        now = _http_date(answer.headers.get("Date", ""))
        return min(max(0.0, until - (self._wall() if now is None else now)), LONGEST_WAIT)

    def close(self) -> None:
        self._client.close()


def _array(entries: Sequence[bytes]) -> bytes:
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    parts = []
    for number, entry in enumerate(entries):
        parts += [squeeze.compress(b"," if number else b"["), squeeze.compress(unpack(entry))]
    parts += [squeeze.compress(b"]"), squeeze.flush()]
    return b"".join(parts)


def _http_date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _detail(answer: httpx.Response) -> str:
    """What a problem document says, on one line; the standard phrase for anything else."""
    try:
        problem = json.loads(answer.content)
        detail = str(problem.get("detail") or problem.get("title") or answer.reason_phrase)
        for error in problem.get("errors") or ():
            detail += f" ({error.get('pointer')}: {error.get('detail')})"
            break
    except (ValueError, AttributeError, TypeError, RecursionError):
        detail = answer.reason_phrase
    return " ".join(detail.split())[:300]
