"""Errors as clients see them: application/problem+json (RFC 9457), each kind with a stable `type`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from common.errors import (
    MalformedError,
    SnapshotError,
    StoreError,
    StoreFullError,
    TooManyNodesError,
    UnknownLayoutError,
)
from common.wire import plain_message, pointer
from server.metrics import Metrics

__all__ = [
    "HANDLERS",
    "KINDS",
    "PROBLEM_JSON",
    "Kind",
    "Problem",
    "ProblemDocument",
    "answer_to",
    "handle",
    "problem_response",
    "problem_responses",
    "reason",
]

PROBLEM_JSON = "application/problem+json"
_PREFIX = "urn:slabhound:problem:"


class Kind(NamedTuple):
    """One kind of problem. Its name never changes its meaning."""

    status: int
    title: str


KINDS = {
    "malformed": Kind(400, "The request cannot be read"),
    "unauthenticated": Kind(401, "A token is required"),
    "forbidden": Kind(403, "The token is not known here"),
    "not-found": Kind(404, "There is nothing here"),
    "unknown-node": Kind(404, "No snapshot of this node is stored"),
    "unknown-cache": Kind(404, "No node lists this cache in the window"),
    "before-history": Kind(404, "The instant lies before the first snapshot"),
    "method-not-allowed": Kind(405, "The method is not allowed here"),
    "timeout": Kind(408, "The body took too long"),
    "unknown-layout": Kind(409, "A layout is not known here: send the caches in full"),
    "too-large": Kind(413, "The body is too large"),
    "unsupported-media": Kind(415, "The body's type or encoding is not supported"),
    "invalid-snapshot": Kind(422, "A snapshot breaks the wire format"),
    "invalid-slabinfo": Kind(422, "The dump cannot be read with certainty"),
    "invalid-parameter": Kind(422, "A parameter is wrong"),
    "refused": Kind(400, "The request is refused"),
    "internal": Kind(500, "The server made a mistake"),
    "store-failed": Kind(503, "The store cannot do this now"),
    "store-full": Kind(503, "The store takes nothing more for now"),
    "too-many-nodes": Kind(503, "The store takes no further node"),
    "busy": Kind(503, "Too much is under way"),
}


class ProblemError(BaseModel):
    """One thing that is wrong."""

    pointer: str = Field(description="JSON pointer into the body; `/query/NAME` or `/path/NAME` for a parameter.")
    detail: str = Field(description="What is wrong there, one sentence.")


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(
        description="Which kind of problem, a stable URI.",
        json_schema_extra={"enum": [_PREFIX + name for name in KINDS]},
    )
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status, a number.")
    detail: str = Field(description="What is wrong this time, and what to do, one line.")
    errors: list[ProblemError] | None = Field(None, description="Every thing that is wrong with a body or parameters.")
    layouts: list[str] | None = Field(
        None, description="unknown-layout only: the hashes not known, 32 hex digits each."
    )
    first: str | None = Field(None, description="before-history only: the first instant stored, RFC 3339 in UTC.")


class Problem(Exception):  # noqa: N818 - RFC 9457's word; ProblemError is one of its `errors`
    """Ends a request with a problem document. `kind` is a key of KINDS; `members` go into the document."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.headers = kind, detail, dict(headers or {})
        self.status = status or KINDS[kind].status
        self.members = members
        if listed := [{"pointer": at, "detail": wrong} for at, wrong in errors]:
            self.members["errors"] = listed


def problem_response(problem: Problem) -> Response:
    body = {
        "type": _PREFIX + problem.kind,
        "title": KINDS[problem.kind].title,
        "status": problem.status,
        "detail": problem.detail,
        **problem.members,
    }
    return Response(json.dumps(body), problem.status, headers=problem.headers, media_type=PROBLEM_JSON)


def problem_responses(*names: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the problems of an operation."""
    found: dict[int | str, dict[str, Any]] = {}
    for name in names:
        kind = KINDS[name]
        entry = found.setdefault(
            kind.status,
            {
                "description": "",
                "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
            },
        )
        entry["description"] += f"{'; ' if entry['description'] else ''}{kind.title} (`{name}`)"
    return found


def reason(error: Exception) -> Problem | None:
    """The problem that stands for an error of ours; None for a mistake of our own."""
    found: Problem | None = None
    if isinstance(error, Problem):
        found = error
    elif isinstance(error, UnknownLayoutError):
        found = Problem("unknown-layout", str(error), layouts=list(error.layouts))
    elif isinstance(error, MalformedError):
        found = Problem("malformed", f"{error}")
    elif isinstance(error, SnapshotError):
        found = Problem("invalid-snapshot", str(error), errors=error.errors)
    elif isinstance(error, StoreFullError):
        found = Problem("store-full", str(error), headers={"Retry-After": "30"})
    elif isinstance(error, TooManyNodesError):
        found = Problem("too-many-nodes", str(error), headers={"Retry-After": "60"})
    elif isinstance(error, StoreError):
        found = Problem("store-failed", str(error), headers={"Retry-After": "10"})
    elif isinstance(error, RequestValidationError):
        found = _parameters(error)
    elif isinstance(error, HTTPException):
        found = _http(error)
    return found


def _parameters(error: RequestValidationError) -> Problem:
    errors = [(pointer(e["loc"]), plain_message(e)) for e in error.errors()]
    at, detail = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem("invalid-parameter", f"{at.rpartition('/')[2]}: {detail}{more}", errors=errors)


def _http(error: HTTPException) -> Problem:
    """The framework's own refusals."""
    kinds = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media"}
    kind = kinds.get(error.status_code, "refused" if error.status_code < 500 else "internal")
    phrase = HTTPStatus(error.status_code).phrase
    detail = error.detail or phrase
    if error.status_code == 404:
        detail = "no such address: GET /docs lists them"
    elif error.status_code == 405 and error.headers and "Allow" in error.headers:
        detail = f"this address takes {error.headers['Allow']}"
    return Problem(kind, detail, headers=error.headers, status=error.status_code)


def answer_to(error: Exception, metrics: Metrics) -> Response:
    """The document for an error of ours, which is counted. Raises a mistake of our own again."""
    problem = reason(error)
    if problem is None:
        raise error
    metrics.refused.labels(problem.kind).inc()
    return problem_response(problem)


async def handle(request: Request, error: Exception) -> Response:
    return answer_to(error, request.app.state.parts.metrics)


HANDLERS: dict[Any, Any] = dict.fromkeys(
    (Problem, SnapshotError, StoreError, RequestValidationError, HTTPException), handle
)
