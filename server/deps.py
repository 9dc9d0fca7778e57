"""What the routes get from the app: its parts, times and pages in queries, and threads for what blocks."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, BeforeValidator, WithJsonSchema
from starlette.responses import Response

from common.names import MAX_GROUP
from common.times import EARLIEST, LATEST, parse_duration, parse_time
from server.auth import Tokens
from server.bodies import Bodies, Incoming
from server.ingest import Ingest
from server.metrics import Metrics
from server.problems import Problem, problem_responses
from server.reports.answers import Answers
from server.settings import ServerSettings
from server.storage.base import Store, Stored

__all__ = [
    "CursorQuery",
    "GroupQuery",
    "Incoming",
    "LimitQuery",
    "NodePath",
    "Parts",
    "PartsDep",
    "Problem",
    "Stored",
    "TimeQuery",
    "WindowQuery",
    "as_json",
    "json_response",
    "problem_responses",
    "read_cursor",
    "require_token",
    "wants_text",
    "write_cursor",
]

T = TypeVar("T")
MAX_LIMIT = 1000
_DAY = 86400.0


class Workers:
    """Threads beside the event loop: a few for reading, one or two for analysis, so that pushes never wait."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"slabhound-{name}")
        self._limit = threads + waiting
        self._under_way = 0

    async def run(self, function: Callable[[], T]) -> T:
        """What `function` gives, from a thread. Raises Problem when too many wait already."""
        if self._under_way >= self._limit:
            raise Problem("busy", "too many questions are under way: come again", headers={"Retry-After": "5"})
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function)
        finally:
            self._under_way -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything create_app built; the routes get it and build nothing."""

    settings: ServerSettings
    store: Store
    clock: Callable[[], float]
    tokens: Tokens
    bodies: Bodies
    ingest: Ingest
    metrics: Metrics
    readers: Workers
    analysts: Workers
    answers: Answers
    _waiting: dict[Hashable, asyncio.Future[Any]] = field(default_factory=dict)
    """Analyses not begun yet, by question."""

    async def read(self, function: Callable[..., T], *args: Any) -> T:
        """What a question to the store gives."""
        return await self.readers.run(lambda: function(*args))

    async def analyse(self, question: Hashable, report: str, function: Callable[[], T]) -> T:
        """What an analysis gives; its time is measured.

        Equal questions that wait for a thread are answered together. One that was begun is never joined: it may not
        have seen what was stored since. Raises Problem when it takes too long, or too many wait.
        """
        key = (report, question)
        shared = self._waiting.get(key)
        if shared is None:

            def work() -> T:
                self._waiting.pop(key, None)
                with self.metrics.report_seconds.labels(report).time():
                    return function()

            shared = self._waiting[key] = asyncio.ensure_future(self.analysts.run(work))
            shared.add_done_callback(lambda done: self._forget(key, done))
        seconds = self.settings.question_seconds
        try:
            answer: T = await asyncio.wait_for(asyncio.shield(shared), seconds)
        except TimeoutError:
            detail = f"no answer after {seconds:g} s: ask for a shorter window or one group, or come again"
            raise Problem("busy", detail, headers={"Retry-After": "30"}) from None
        return answer

    def _forget(self, key: Hashable, done: asyncio.Future[Any]) -> None:
        """Drops a question that was refused before it was begun."""
        if not done.cancelled():
            done.exception()  # those who asked may be gone
        if self._waiting.get(key) is done:
            del self._waiting[key]

    def close(self) -> None:
        """Waits for what is under way; it blocks."""
        self.analysts.close()
        self.readers.close()
        self.store.close()


async def _parts(request: Request) -> Parts:
    """A coroutine, or FastAPI would send every request through a thread for it."""
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(_parts)]


async def require_token(request: Request) -> None:
    """Lets a request in, or raises Problem (401, 403). OpenAPI's side of it stands in server.openapi."""
    (await _parts(request)).tokens.check(request.headers.get("authorization"))


def _window(text: Any) -> float:
    seconds = parse_duration(str(text))
    if seconds > 3660 * _DAY:
        raise ValueError(f"{text!r} is too long: at most 3660d")
    return seconds


def _time(text: Any) -> float:
    return parse_time(str(text))


TimeQuery = Annotated[
    float,
    BeforeValidator(_time),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}]}),
]
"""RFC 3339 with an offset (an unescaped + is tolerated), or epoch seconds."""
WindowQuery = Annotated[
    float,
    BeforeValidator(_window),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?[smhdw]?$", "default": "24h"}),
    Query(description="Length of the window as a duration: `90s`, `30m`, `24h`, `7d`; a bare number is seconds."),
]
LimitQuery = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items to give, a count.")]
CursorQuery = Annotated[str | None, Query(description="`next` of the page before, opaque text.", max_length=2000)]
GroupQuery = Annotated[str | None, Query(description="Name of a group; all groups when absent.", max_length=MAX_GROUP)]
NodePath = Annotated[str, Path(description="Name of the node.")]


def as_json(model: BaseModel) -> bytes:
    """A report as it is sent; done where it was made, as a long one would hold up the event loop."""
    return model.model_dump_json().encode()


def json_response(body: bytes) -> Response:
    """What `as_json` gave, without FastAPI validating it once more."""
    return Response(body, media_type="application/json")


def write_cursor(*key: str | float) -> str:
    """An opaque cursor that stands for the last item's key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(text: str | None, *kinds: type) -> list[Any] | None:
    """The key in a cursor, of these types (a number is a time, or a count). Raises Problem when it is none of ours."""
    if text is None:
        return None
    try:
        key = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        json.dumps(key, allow_nan=False, ensure_ascii=False).encode()  # no number, and no text, that JSON has not
    except (binascii.Error, ValueError, RecursionError):
        key = None
    fits = isinstance(key, list) and list(map(type, key)) == list(kinds)
    if not fits or not all(isinstance(part, str) or EARLIEST <= part <= LATEST for part in key):
        detail = "this is no cursor of this list: take `next` of the page before as it stands"
        raise Problem("invalid-parameter", f"cursor: {detail}", errors=[("/query/cursor", detail)])
    return list(key)


def wants_text(request: Request) -> bool:
    """Whether the client would rather have text/plain than JSON."""
    weights = {"text/plain": 0.0, "application/json": 0.0}
    for part in request.headers.get("accept", "").lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        if kind in weights:
            weights[kind] = float(weight) if weight.replace(".", "", 1).isdecimal() else 1.0
    return weights["text/plain"] > weights["application/json"]
