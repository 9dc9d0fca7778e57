"""Puts the aggregator together; the only place that builds things."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Depends, FastAPI
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from common import __version__
from common.errors import StoreError
from server.auth import Tokens
from server.bodies import Bodies
from server.deps import Parts, Workers, require_token
from server.express import Express
from server.guard import Guard
from server.ingest import Ingest
from server.metrics import Metrics
from server.openapi import complete, docs_page
from server.problems import HANDLERS
from server.reports.answers import Answers
from server.routes import analysis, health, nodes, snapshots
from server.settings import ServerSettings
from server.storage import open_store
from server.storage.base import Store

__all__ = ["create_app"]

_log = logging.getLogger("slabhound.server")
_READERS, _ANALYSTS = 4, 2


def create_app(
    settings: ServerSettings, *, store: Store | None = None, clock: Callable[[], float] = time.time
) -> FastAPI:
    """The aggregator as an ASGI application; its lifespan must run.

    Opens the store that the settings name unless one is given; closes it at the end either way. `clock` gives epoch
    seconds. Raises ConfigError (tokens) and StoreError.
    """
    tokens = Tokens(settings.token_file)
    if store is None:
        store = open_store(
            settings.store,
            retention=settings.retention,
            clock=clock,
            max_nodes=settings.max_nodes,
            password_file=settings.store_password_file,
        )
    metrics = Metrics(store.status)
    bodies = Bodies(max_body=settings.max_body, max_pending=settings.max_pending, seconds=settings.body_seconds)
    parts = Parts(
        settings=settings,
        store=store,
        clock=clock,
        tokens=tokens,
        bodies=bodies,
        ingest=Ingest(store, bodies, metrics, clock),
        metrics=metrics,
        readers=Workers("reader", _READERS, waiting=256),
        analysts=Workers("analyst", _ANALYSTS, waiting=32),
        answers=Answers(store, settings.analysis),
    )
    app = _App(
        title="Slabhound",
        version=__version__,
        description="Stores what the kernels of a fleet say of their slab caches, and names the node that leaks.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        exception_handlers=HANDLERS,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.parts = parts
    app.pushes = Guard(Express(parts), metrics=metrics)
    app.add_middleware(Guard, metrics=metrics)
    guarded = [Depends(require_token)]
    for router in (snapshots.router, nodes.router, analysis.router):
        app.include_router(router, dependencies=guarded)
    app.include_router(health.metrics, dependencies=guarded)
    app.include_router(health.health)
    app.add_api_route("/openapi.json", _described(app, parts), include_in_schema=False)
    app.add_api_route("/docs", _docs(app, parts), include_in_schema=False)
    return app


class _App(FastAPI):
    pushes: ASGIApp
    """What answers them in the framework's place."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.pushes if Express.takes(scope) else super().__call__)(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema


def _described(app: FastAPI, parts: Parts) -> Callable[[], Any]:
    """In a thread, as FastAPI's own would not be: the first time takes a tenth of a second."""

    async def document() -> Response:
        return Response(await parts.read(lambda: json.dumps(app.openapi())), media_type="application/json")

    return document


def _docs(app: FastAPI, parts: Parts) -> Callable[[], Any]:
    async def docs() -> Response:
        return HTMLResponse(await parts.read(lambda: docs_page(app.openapi())))

    return docs


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Maintains the store while the app lives, then closes everything.

    A round of maintenance under way (after an import it may take a minute) is not waited for: it ends where it next
    writes to the closed store, and the next start goes on from there.
    """
    parts: Parts = app.state.parts
    stop = asyncio.Event()
    task = asyncio.create_task(_maintain(parts, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.to_thread(parts.close)
        await task


async def _maintain(parts: Parts, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await asyncio.to_thread(parts.store.maintain, parts.clock())
        except Exception as error:  # noqa: BLE001 - whatever it was, the next round may succeed
            if stop.is_set():
                return
            parts.metrics.maintenance_failures.inc()
            # What has a kind of its own (no room, no answer) lasts, and its line says all.
            says_all = isinstance(error, StoreError) and type(error) is not StoreError
            unforeseen = None if says_all else error
            _log.error("maintenance of the store failed, it is tried again: %s", error, exc_info=unforeseen)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), parts.settings.maintenance_seconds)
