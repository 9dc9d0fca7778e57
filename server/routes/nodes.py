"""What is stored of each node: its facts, its instants, one snapshot, the difference of two."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from common.slabinfo import format_slabinfo
from common.times import format_time, parse_time
from server.deps import (
    CursorQuery,
    GroupQuery,
    LimitQuery,
    NodePath,
    Parts,
    PartsDep,
    Problem,
    Stored,
    TimeQuery,
    as_json,
    json_response,
    problem_responses,
    read_cursor,
    wants_text,
    write_cursor,
)
from server.reports.diff import DiffReport, Metric, build_diff, slabdiff_text
from server.reports.nodes import (
    NodeList,
    SnapshotList,
    StoredSnapshot,
    node_item,
    snapshot_item,
    stored_snapshot,
)

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["nodes"])

FromQuery = Annotated[TimeQuery | None, Query(alias="from", description="Not before: RFC 3339 or epoch seconds.")]
ToQuery = Annotated[TimeQuery | None, Query(alias="to", description="Not after: RFC 3339 or epoch seconds.")]
_SIDE = "`latest`, RFC 3339 or epoch seconds"
_ALWAYS = ("unauthenticated", "forbidden", "invalid-parameter", "internal", "store-failed", "busy")
_TEXT = {"text/plain": {"schema": {"type": "string"}}}


@router.get(
    "/nodes",
    summary="Every node",
    responses={200: {"model": NodeList, "description": "A page of nodes, by name."}, **problem_responses(*_ALWAYS)},
)
async def get_nodes(
    parts: PartsDep, group: GroupQuery = None, limit: LimitQuery = 100, cursor: CursorQuery = None
) -> Response:
    """Group, labels, kernel, boot, uptime, last seen, stale or not, clock offset, slab bytes of every node."""
    after = read_cursor(cursor, str)

    def page() -> bytes:
        now = parts.clock()
        states = [
            state
            for state in parts.store.nodes()
            if (group is None or state.group == group) and (after is None or state.node > after[0])
        ]
        more = write_cursor(states[limit - 1].node) if len(states) > limit else None
        return as_json(NodeList(items=[node_item(state, now) for state in states[:limit]], next=more))

    return json_response(await parts.read(page))


@router.get(
    "/nodes/{node}/snapshots",
    summary="The instants stored of a node",
    responses={
        200: {"model": SnapshotList, "description": "A page of instants, by time."},
        **problem_responses(*_ALWAYS, "unknown-node"),
    },
)
async def get_snapshots(
    parts: PartsDep,
    node: NodePath,
    start: FromQuery = None,
    end: ToQuery = None,
    limit: LimitQuery = 100,
    cursor: CursorQuery = None,
) -> Response:
    """When exact snapshots were taken. Ends are included."""
    _in_order(start, end)
    key = read_cursor(cursor, float, str)

    def page() -> bytes:
        after = None if key is None else (key[0], key[1])
        found = parts.store.instants(node, start, end, after=after, limit=limit + 1)
        if not found:
            _known(parts, node)
        last = found[limit - 1] if len(found) > limit else None
        more = write_cursor(float(last.taken_at), last.boot) if last else None
        return as_json(SnapshotList(items=[snapshot_item(instant) for instant in found[:limit]], next=more))

    return json_response(await parts.read(page))


@router.get(
    "/nodes/{node}/snapshots/{at}",
    summary="One snapshot",
    responses={
        200: {
            "model": StoredSnapshot,
            "description": "The snapshot as it was sent; as the text of /proc/slabinfo when text/plain is preferred.",
            "content": _TEXT,
        },
        **problem_responses(*_ALWAYS, "unknown-node", "before-history"),
    },
)
async def get_snapshot(
    request: Request,
    parts: PartsDep,
    node: NodePath,
    at: Annotated[str, Path(description="`latest`, or an instant: RFC 3339 or epoch seconds.")],
) -> Response:
    """The newest snapshot at or before an instant. Before history, the answer names the first instant."""
    instant = _instant(at, "/path/at")
    text = wants_text(request)

    def snapshot() -> str:
        stored = _at(parts, node, instant)
        return format_slabinfo(stored.snapshot.caches) if text else json.dumps(stored_snapshot(stored))

    return _either(await parts.read(snapshot), text=text)


@router.get(
    "/nodes/{node}/diff",
    summary="What changed between two instants",
    responses={
        200: {
            "model": DiffReport,
            "description": "The caches whose bytes differ; as slabdiff prints them when text/plain is preferred.",
            "content": _TEXT,
        },
        **problem_responses(*_ALWAYS, "unknown-node", "before-history"),
    },
)
async def get_diff(
    request: Request,
    parts: PartsDep,
    node: NodePath,
    start: Annotated[
        str | None,
        Query(alias="from", description=f"The older side, {_SIDE}; the first snapshot when absent."),
    ] = None,
    end: Annotated[
        str | None,
        Query(alias="to", description=f"The newer side, {_SIDE}; the latest snapshot when absent."),
    ] = None,
    metric: Annotated[
        Metric, Query(description="Bytes of objects in use (`active`) or of all that fit (`allocated`).")
    ] = "active",
) -> Response:
    """Bytes and objects cache by cache, each side the newest snapshot at or before its instant."""
    since = None if start is None else _instant(start, "/query/from")
    until = None if end is None else _instant(end, "/query/to")
    _in_order(since, until)
    text = wants_text(request)

    def difference() -> str | bytes:
        old = parts.store.first(node) if start is None else _at(parts, node, since)
        if old is None:
            raise _unknown(parts, node)
        new = _at(parts, node, until)
        _in_order(old.snapshot.taken_at, new.snapshot.taken_at)
        report = build_diff(old, new, metric)
        return slabdiff_text(report) if text else as_json(report)

    return _either(await parts.read(difference), text=text)


def _either(body: str | bytes, *, text: bool) -> Response:
    """An answer that Accept chose the form of."""
    return Response(body, headers={"Vary": "Accept"}, media_type="text/plain" if text else "application/json")


def _in_order(start: float | None, end: float | None) -> None:
    if start is not None and end is not None and start > end:
        detail = "from lies after to: swap them"
        raise Problem("invalid-parameter", detail, errors=[("/query/from", detail)])


def _instant(text: str, pointer: str) -> float | None:
    """Epoch seconds, or None for `latest`."""
    if text == "latest":
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        name = pointer.rpartition("/")[2]
        raise Problem("invalid-parameter", f"{name}: {error}, or latest", errors=[(pointer, str(error))]) from None


def _at(parts: Parts, node: str, instant: float | None) -> Stored:
    """The newest snapshot at or before `instant`. Raises Problem when there is none."""
    stored = parts.store.at(node, instant)
    if stored is not None:
        return stored
    first = parts.store.first(node)
    if first is None:
        raise _unknown(parts, node)
    when = format_time(first.snapshot.taken_at)
    raise Problem("before-history", f"the first snapshot of {node} was taken at {when}: ask for no earlier", first=when)


def _known(parts: Parts, node: str) -> None:
    if parts.store.first(node) is None:
        raise _unknown(parts, node)


def _unknown(parts: Parts, node: str) -> Problem:
    """A node that sent nothing for as long as exact snapshots are kept is still listed."""
    if any(state.node == node for state in parts.store.nodes()):
        text = f"exact snapshots of {node} are kept no more: GET /api/v1/compare tells what roll-ups still hold of it"
    else:
        text = f"no snapshot of a node {node!r} is stored: GET /api/v1/nodes lists them"
    return Problem("unknown-node", text)
