"""Snapshots come in: JSON from agents, the plain text of /proc/slabinfo from curl."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, WithJsonSchema
from starlette.responses import Response

from common.names import MAX_GROUP, MAX_TEXT, NODE_RULE, is_node_name
from common.wire import PRINTABLE
from server.deps import Incoming, NodePath, PartsDep, Problem, TimeQuery, problem_responses

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["snapshots"])

_SNAPSHOT = {"$ref": "#/components/schemas/WireSnapshot"}
_SENT_AT = {
    "name": "Slabhound-Sent-At",
    "in": "header",
    "required": False,
    "description": "The sender's clock when it sent, RFC 3339 or epoch seconds: tells a skewed clock from late data.",
    "schema": {"type": "string"},
}
_ENCODING = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "description": "How the body is compressed.",
    "schema": {"type": "string", "enum": ["gzip", "zstd", "identity"]},
}
_SECONDS = re.compile(r"[0-9]{1,10}(\.[0-9]{0,9})?")
_REFUSALS = ("malformed", "unauthenticated", "forbidden", "timeout", "too-large", "unsupported-media")
_TROUBLE = ("store-full", "store-failed", "too-many-nodes", "busy", "internal")


_STRIP = StringConstraints(strip_whitespace=True)
"""A file's text ends with a newline."""


def _uptime(text: str) -> float | None:
    first = text.split(maxsplit=1)[0] if text.split() else ""
    if first and not _SECONDS.fullmatch(first):
        raise ValueError(f"{text!r} is no uptime: give seconds since boot")
    return float(first) if first else None


UptimeQuery = Annotated[float | None, BeforeValidator(_uptime), WithJsonSchema({"type": "number"})]


class Accepted(BaseModel):
    """What became of the snapshots, which are on disk now."""

    stored: int = Field(description="Snapshots that were new, a count.")
    duplicates: int = Field(description="Snapshots that the store had already, a count.")


class AcceptedDump(Accepted):
    """What became of the dump."""

    skipped: list[str] = Field(
        default=[], description="Lines of the text that hold no row, and why, one sentence each; absent when none were."
    )


@router.post(
    "/snapshots",
    status_code=201,
    summary="Send snapshots",
    responses={
        201: {"model": Accepted, "description": "All are on disk."},
        **problem_responses(*_REFUSALS, "unknown-layout", "invalid-snapshot", *_TROUBLE),
    },
    openapi_extra={
        "parameters": [_SENT_AT, _ENCODING],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [_SNAPSHOT, {"type": "array", "items": _SNAPSHOT}]},
                },
                "application/x-ndjson": {"schema": _SNAPSHOT},
            },
        },
    },
)
async def post_snapshots(request: Request) -> Response:
    """One snapshot, a JSON array of them, or one a line; all or nothing. A bad batch lists every bad index."""
    response: Response = await request.app.state.parts.ingest.snapshots(Incoming(request.scope, request.receive))
    return response


@router.post(
    "/nodes/{node}/slabinfo",
    status_code=201,
    summary="Send the text of /proc/slabinfo",
    responses={
        201: {"model": AcceptedDump, "description": "It is on disk."},
        **problem_responses(*_REFUSALS, "invalid-slabinfo", "invalid-parameter", "invalid-snapshot", *_TROUBLE),
    },
    openapi_extra={
        "parameters": [_SENT_AT, _ENCODING],
        "requestBody": {
            "required": True,
            "content": {"*/*": {"schema": {"type": "string", "description": "The text, whatever the Content-Type."}}},
        },
    },
)
async def post_slabinfo(
    request: Request,
    parts: PartsDep,
    node: NodePath,
    taken_at: Annotated[
        TimeQuery | None,
        Query(description="When the dump was read, RFC 3339 or epoch seconds; the time of receipt when absent."),
    ] = None,
    group: Annotated[
        str,
        _STRIP,
        Query(description="Name of the node's group.", min_length=1, max_length=MAX_GROUP, pattern=PRINTABLE),
    ] = "default",
    boot_id: Annotated[
        str, _STRIP, Query(description="/proc/sys/kernel/random/boot_id, text.", max_length=MAX_TEXT, pattern=PRINTABLE)
    ] = "",
    uptime: Annotated[
        UptimeQuery, Query(description="Seconds since boot; the whole text of /proc/uptime does too.")
    ] = None,
    kernel: Annotated[
        str, _STRIP, Query(description="Kernel release (uname -r), text.", max_length=MAX_TEXT, pattern=PRINTABLE)
    ] = "",
) -> Response:
    """For nodes that have only `curl` and cron. Reads versions 1.1 to 2.1."""
    if not is_node_name(node):
        raise Problem("invalid-parameter", NODE_RULE, errors=[("/path/node", NODE_RULE)])
    facts: dict[str, Any] = {
        "node": node,
        "group": group,
        "boot_id": boot_id or None,
        "uptime_seconds": uptime,
        "kernel": kernel or None,
    }

    def with_time(received_at: float) -> dict[str, Any]:
        return {**facts, "taken_at": round(received_at, 3) if taken_at is None else taken_at}

    return await parts.ingest.slabinfo(Incoming(request.scope, request.receive), with_time)
