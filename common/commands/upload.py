"""Sends snapshots to a server in batches: compressed, patient with a busy server, exact about what became of each."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from common.commands.client import Client
from common.errors import ServerError
from common.problem_text import problem_text
from common.retry_after import retry_after
from common.snapshot import Snapshot, to_wire

if TYPE_CHECKING:
    import httpx

__all__ = ["Outcome", "Uploader"]

_Named = tuple[str, bytes]
"""How to speak of a snapshot, and its JSON."""

_MOST_SNAPSHOTS, _MOST_BYTES = 500, 8_000_000
"""Of one request, before compression."""
_ATTEMPTS, _LONGEST_WAIT = 8, 60.0
_COME_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_TOO_LARGE, _REFUSED, _UNKNOWN = 413, 422, 409
"""HTTP statuses: the last where a snapshot's layout is not known to the server."""
_MOST_REASONS = 100
_TO_MEND = {"urn:slabhound:problem:store-full", "urn:slabhound:problem:too-many-nodes"}
"""The types of a 503 that somebody must mend: a full or read-only disk, a bound of nodes."""


@dataclass(slots=True)
class Outcome:
    """What became of the snapshots."""

    stored: int = 0
    duplicates: int = 0
    """The server had them already."""
    refused: int = 0
    reasons: list[str] = field(default_factory=list)
    """`NAME: why` of the first hundred refused."""


class Uploader:
    """Collects snapshots into requests and sends them. `finish` sends the rest."""

    def __init__(
        self,
        client: Client,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.outcome = Outcome()
        self._client = client
        self._sleep = sleep
        self._clock = clock
        self._waiting: list[_Named] = []
        self._size = 0

    def add(self, snapshot: Snapshot | bytes, name: str = "") -> None:
        """A snapshot, or its JSON on one line; `name`: how to speak of it where it is refused, unless by node and time.

        Raises ServerError when the server cannot be made to take anything.
        """
        line = snapshot
        if isinstance(line, Snapshot):
            line = json.dumps(to_wire(line), separators=(",", ":")).encode()
        if self._waiting and (len(self._waiting) >= _MOST_SNAPSHOTS or self._size + len(line) > _MOST_BYTES):
            self.finish()
        self._waiting.append((name, line))
        self._size += len(line)

    def finish(self) -> None:
        """Sends what is waiting. Raises ServerError."""
        batch, self._waiting, self._size = self._waiting, [], 0
        self._send(batch)

    def _send(self, batch: list[_Named]) -> None:
        if not batch:
            return
        response = self._post(b"\n".join(line for _, line in batch))
        if response.status_code == 201:
            self._count(response)
        elif response.status_code in {_TOO_LARGE, _REFUSED} or _bad(batch, response):
            if len(batch) > 1:
                for part in _without_bad(batch, response):
                    self._send(part)
            else:
                self.outcome.refused += 1
                if len(self.outcome.reasons) < _MOST_REASONS:
                    name, line = batch[0]
                    self.outcome.reasons.append(f"{name or _name(line)}: {_reason(response)}")
        else:
            raise self._client.refusal(response)

    def _count(self, response: httpx.Response) -> None:
        try:
            answer = response.json()
            self.outcome.stored += answer["stored"]
            self.outcome.duplicates += answer["duplicates"]
        except (ValueError, KeyError, TypeError):
            raise ServerError("the server's answer to an upload is not that of an aggregator") from None

    def _post(self, lines: bytes) -> httpx.Response:
        body = gzip.compress(lines, compresslevel=6)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        for attempt in range(_ATTEMPTS):
            sent = {**headers, "Slabhound-Sent-At": f"{self._clock():.3f}"}
            response = self._client.post("/snapshots", body, sent)
            if response.status_code not in _COME_AGAIN or attempt == _ATTEMPTS - 1 or _is_to_mend(response):
                break
            wait = retry_after(response.headers, self._clock())
            self._sleep(min(2.0**attempt if wait is None else wait, _LONGEST_WAIT))
        return response


def _is_to_mend(response: httpx.Response) -> bool:
    try:
        return bool(response.json()["type"] in _TO_MEND)
    except (ValueError, KeyError, TypeError):
        return False


def _without_bad(batch: list[_Named], response: httpx.Response) -> Iterable[list[_Named]]:
    """The batch in parts that may pass: the bad ones by themselves where the server names them, else halves."""
    bad = _bad(batch, response)
    if bad:
        return [[line for i, line in enumerate(batch) if i not in bad], *([batch[i]] for i in sorted(bad))]
    half = len(batch) // 2
    return [batch[:half], batch[half:]]


def _bad(batch: list[_Named], response: httpx.Response) -> set[int]:
    """The indexes in the pointers (`/3/node`) of a 422's errors, or of the layouts that a 409 lists."""
    try:
        if response.status_code == _UNKNOWN:
            layouts = [layout.encode() for layout in response.json()["layouts"]]
            return {i for i, (_, line) in enumerate(batch) if any(layout in line for layout in layouts)}
        if response.status_code != _REFUSED:
            return set()
        pointers = [str(error["pointer"]).split("/") for error in response.json()["errors"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()
    found = {int(parts[1]) for parts in pointers if len(parts) > 1 and parts[1].isdecimal()}
    return {index for index in found if index < len(batch)}


def _reason(response: httpx.Response) -> str:
    """Why a snapshot that was sent alone is refused, as `analyze` would say it."""
    text = problem_text(response.content, response.reason_phrase)
    return re.sub(r"(^|; )/0((?:/\S*)?: )", lambda found: found[1] + found[2].removeprefix(": "), text)


def _name(line: bytes) -> str:
    """How to speak of a snapshot that was refused."""
    try:
        snapshot: dict[str, Any] = json.loads(line)
        return f"{snapshot['node']} at {snapshot['taken_at']}"
    except (ValueError, KeyError, TypeError):
        return "a line that is no snapshot"
