"""The short way in for pushes: one fixed address needs none of the framework's layers, routing and dependencies."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from server.bodies import Incoming
from server.deps import Parts
from server.problems import answer_to

__all__ = ["Express"]


class _Route:
    path = "/api/v1/snapshots"


class Express:
    """Answers POST /api/v1/snapshots as the route of that name would, and nothing else."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @staticmethod
    def takes(scope: Scope) -> bool:
        return scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", _Route.path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = _Route
        incoming = Incoming(scope, receive)
        try:
            self._parts.tokens.check(incoming.headers.get("authorization"))
            response = await self._parts.ingest.snapshots(incoming)
        except Exception as error:  # noqa: BLE001 - it raises again what it has no answer to
            response = answer_to(error, self._parts.metrics)
        await response(scope, receive, send)
