"""The courier's one errand: carries a batch to the aggregator and says, plainly, what came of it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import httpx

from agent.layouts import KnownLayout
from agent.packing import Entry, Fresh, in_full, pack_array
from agent.token import TokenFile
from agent.transport import OneConnection
from common import __version__
from common.errors import ConfigError
from common.problem_text import problem_text
from common.retry_after import retry_after
from common.times import format_time

__all__ = ["Outcome", "Pusher", "Verdict"]

PATH = "/api/v1/snapshots"
UNKNOWN = 409
"""HTTP status: a layout is not known there, send the caches in full."""
LONGEST_WAIT = 3600.0
"""Seconds: a Retry-After beyond is taken as this, lest a wrong one silence the node."""
LONGEST_REASON = 300
"""Characters of what a server says."""


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
        self._layout = KnownLayout()
        self._client = httpx.Client(
            transport=transport,
            trust_env=False,
            headers={"User-Agent": f"slabhound-agent/{__version__}", "Accept-Encoding": "identity"},
        )

    @property
    def live(self) -> bool:
        """Whether the next push needs no new connection."""
        return isinstance(self._transport, OneConnection) and self._transport.live

    def push(self, entries: Sequence[Entry]) -> Outcome:
        """Sends snapshots in one request, one as it is, several as a JSON array; in a second one where hashes fail."""
        if len(entries) == 1 and isinstance(entries[0], Fresh):
            return self._push_fresh(entries[0])
        try:
            return self._post(in_full(entries[0]) if len(entries) == 1 else pack_array(entries))
        except zlib.error:
            return Outcome(Verdict.REFUSED, "a file in the spool is damaged")

    def _push_fresh(self, fresh: Fresh) -> Outcome:
        """Without its layout where the server knows that; whatever else is refused is judged by the full form."""
        layout = self._layout.of(fresh.snapshot.caches)
        first = None
        if layout is not None:
            first = self._post(fresh.short(layout))
            if first.status != UNKNOWN and first.verdict is not Verdict.REFUSED:
                if first.verdict is Verdict.STORED:
                    self._layout.taken()
                return first
        outcome = self._post(fresh.full())
        if outcome.verdict is Verdict.STORED:
            if first is not None:
                self._layout.missed(understood=first.status == UNKNOWN)
            self._layout.learnt()
        return outcome

    def _post(self, body: bytes) -> Outcome:
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Slabhound-Sent-At": format_time(self._wall()),
        }
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.value()}"
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except httpx.TransportError as error:
            return Outcome(Verdict.AWAY, str(error))
        return self._judge(answer)

    def _judge(self, answer: httpx.Response) -> Outcome:
        status = answer.status_code
        if status == 201:
            return Outcome(Verdict.STORED, status=status)
        reason = f"{status} {problem_text(answer.content, answer.reason_phrase)[:LONGEST_REASON]}".strip()
        if status == 413:
            return Outcome(Verdict.TOO_LARGE, reason, status)
        if status in {400, 422}:
            return Outcome(Verdict.REFUSED, reason, status)
        if status in {401, 403} and self._token is None:
            reason += " (give --token-file)"
        elif status not in {401, 403, 408, 425, 429} and status < 500:
            reason += f" where 201 was due: is {self._url} an aggregator?"
        wait = retry_after(answer.headers, self._wall())
        return Outcome(Verdict.AWAY, reason, status, None if wait is None else min(wait, LONGEST_WAIT))

    def close(self) -> None:
        self._client.close()
