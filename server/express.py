"""A short way through the framework for pushes: one fixed address needs neither its routing nor its dependencies."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from server.deps import Parts
from server.problems import handle

__all__ = ["Express"]


class _Route:
    path = "/api/v1/snapshots"


class Express:
    """Middleware that answers POST /api/v1/snapshots as the route of that name would; the rest goes on."""

    def __init__(self, app: ASGIApp, *, parts: Parts) -> None:
        self._app, self._parts = app, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != _Route.path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = _Route
        request = Request(scope, receive)
        try:
            self._parts.tokens.check(request.headers.get("authorization"))
            response = await self._parts.ingest.snapshots(request)
        except Exception as error:  # noqa: BLE001 - it raises again what it has no answer to
            response = await handle(request, error)
        await response(scope, receive, send)
