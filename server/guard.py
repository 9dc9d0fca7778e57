"""Around every request: counts and times it, and turns a mistake of ours into a problem instead of a traceback."""

from __future__ import annotations

import logging
from functools import cache
from time import perf_counter

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.metrics import Metrics
from server.problems import Problem, problem_response

__all__ = ["Guard"]

_log = logging.getLogger("slabhound.server")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Guard:
    """Outermost middleware."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._series = cache(self._find)

    def _find(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._metrics.requests.labels(method, route, str(status)), self._metrics.request_seconds.labels(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        if head:  # as GET, without the body (RFC 9110, section 9.3.2)
            scope = {**scope, "method": "GET"}
        began = perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif head:
                message = {"type": "http.response.body"}
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if status:
                raise
            self._metrics.refused.labels("internal").inc()
            detail = "this is a mistake of the server's: its log says more"
            await problem_response(Problem("internal", detail))(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = "HEAD" if head else scope["method"] if scope["method"] in _METHODS else "other"
            count, seconds = self._series(method, route, status)
            count.inc()
            seconds.observe(perf_counter() - began)
