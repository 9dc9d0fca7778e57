"""The questions that take an analysis: which nodes leak, which caches there are, one cache side by side."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from common.names import MAX_TEXT
from server.deps import (
    CursorQuery,
    GroupQuery,
    LimitQuery,
    Parts,
    PartsDep,
    Problem,
    TimeQuery,
    WindowQuery,
    as_json,
    json_response,
    problem_responses,
    read_cursor,
    write_cursor,
)
from server.reports.caches import CacheList, lay_out_caches
from server.reports.clocks import clock_notes
from server.reports.compare import CompareReport, lay_out_compare
from server.reports.fields import Window
from server.reports.outliers import Report, lay_out

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["analysis"])

_DAY = 86400.0
_PROBLEMS = ("unauthenticated", "forbidden", "invalid-parameter", "internal", "store-failed", "busy")
AtQuery = Annotated[
    TimeQuery | None,
    Query(
        description="Where the window ends, RFC 3339 or epoch seconds; when absent now, or up to a 288th of the window "
        "ago, where a judgement is at hand that still holds: the answer's `window.to` says."
    ),
]


@router.get(
    "/outliers",
    summary="Which node leaks what",
    responses={200: {"model": Report, "description": "The report."}, **problem_responses(*_PROBLEMS)},
)
async def get_outliers(
    parts: PartsDep,
    window: WindowQuery = _DAY,
    group: GroupQuery = None,
    at: AtQuery = None,
    limit: LimitQuery = 100,
) -> Response:
    """The cross-node outlier report: computed from the data alone, so the same data give the same report."""

    def report() -> bytes:
        start, end, slack = _asked(parts, window, group, at)
        judgement = parts.answers.judgement(start, end, group, slack)
        found = lay_out(judgement, limit=limit, generated_at=_now(parts))
        found.notes += clock_notes(parts.store.nodes(), start, end, group)
        return as_json(found)

    return json_response(await parts.analyse((window, group, at, limit), "outliers", report))


@router.get(
    "/caches",
    summary="Every cache",
    responses={
        200: {"model": CacheList, "description": "A page of caches, the biggest first."},
        **problem_responses(*_PROBLEMS),
    },
)
async def get_caches(
    parts: PartsDep,
    group: GroupQuery = None,
    window: WindowQuery = _DAY,
    at: AtQuery = None,
    limit: LimitQuery = 100,
    cursor: CursorQuery = None,
) -> Response:
    """The nodes that list each cache, its bytes, and whether it grows on most of them."""
    key = read_cursor(cursor, float, int)
    asked, skip = (key[0], key[1]) if key else (at, 0)

    def page() -> bytes:
        start, end, slack = _asked(parts, window, group, asked)
        items = lay_out_caches(parts.answers.caches(start, end, group, slack))
        more = write_cursor(float(end), skip + limit) if len(items) > skip + limit else None
        return as_json(CacheList(window=Window(start=start, end=end), items=items[skip : skip + limit], next=more))

    return json_response(await parts.analyse((window, group, asked, limit, skip), "caches", page))


@router.get(
    "/compare",
    summary="One cache on every node",
    responses={
        200: {"model": CompareReport, "description": "The nodes side by side, the outstanding first."},
        **problem_responses(*_PROBLEMS, "unknown-cache"),
    },
)
async def get_compare(
    parts: PartsDep,
    cache: Annotated[
        str,
        Query(description="Name of the cache: the report's or any of the kernel's.", min_length=1, max_length=MAX_TEXT),
    ],
    window: WindowQuery = _DAY,
    group: GroupQuery = None,
    at: AtQuery = None,
    points: Annotated[int, Query(ge=2, le=5000, description="Most points of a series, a count.")] = 300,
    limit: LimitQuery = 100,
) -> Response:
    """Series, growth rate, peers' median and spread, and which stand out."""

    def report() -> bytes:
        start, end, slack = _asked(parts, window, group, at)

        def work() -> bytes:
            found = parts.answers.compare(cache, start, end, group, points, limit, slack)
            return as_json(lay_out_compare(found, limit=limit)) if found.nodes else b""

        return parts.answers.sent(("compare", cache, points, limit), start, end, group, work, slack)

    body = await parts.analyse((cache, window, group, at, points, limit), "compare", report)
    if not body:
        raise Problem("unknown-cache", f"no node lists {cache!r} in this window: GET /api/v1/caches lists them")
    return json_response(body)


def _asked(parts: Parts, window: float, group: str | None, at: float | None) -> tuple[float, float, float]:
    """Start, end and slack of the window that a question is about (see Answers.window)."""
    return parts.answers.window(window, _now(parts), group) if at is None else (max(0.0, at - window), at, 0.0)


def _now(parts: Parts) -> float:
    """To the millisecond, as answers show it: who asks again with `at` from one asks the same question."""
    return math.floor(parts.clock() * 1000) / 1000
