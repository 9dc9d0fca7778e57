"""For machines that watch the aggregator: alive, able to store, metrics."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from common import __version__
from server.deps import PartsDep, Problem, as_json, json_response, problem_responses

__all__ = ["health", "metrics"]

health = APIRouter(tags=["health"])
metrics = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = Field(description="Always `ok`, a word.")
    version: str = Field(description="Version of the program, text.")


class Ready(BaseModel):
    """The store takes snapshots."""

    status: str = Field(description="Always `ok`, a word.")
    nodes: int = Field(description="Nodes in the store, a count.")
    snapshots: int = Field(description="Exact snapshots in the store, a count.")
    bytes_on_disk: int = Field(description="Bytes the store takes on disk.")
    problem: str | None = Field(
        description="What is wrong all the same (maintenance that fails, damage), one line; null when nothing is."
    )


@health.get(
    "/healthz",
    summary="Alive",
    responses={200: {"model": Alive, "description": "The process answers."}, **problem_responses("internal")},
)
async def get_healthz() -> Response:
    """Asks nothing of the store."""
    return json_response(as_json(Alive(status="ok", version=__version__)))


@health.get(
    "/readyz",
    summary="Able to store",
    responses={
        200: {"model": Ready, "description": "Snapshots can be stored."},
        **problem_responses("store-full", "store-failed", "busy", "internal"),
    },
)
async def get_readyz(parts: PartsDep) -> Response:
    """503 with the reason while the store takes nothing; `problem` names what is wrong beside that."""
    status = await parts.read(parts.store.status)
    if not status.writable:
        raise Problem("store-full", status.problem or "the store is not writable", headers={"Retry-After": "30"})
    figures = {"nodes": status.nodes, "snapshots": status.snapshots, "bytes_on_disk": status.bytes_on_disk}
    return json_response(as_json(Ready(status="ok", problem=status.problem, **figures)))


@metrics.get(
    "/metrics",
    summary="Prometheus metrics",
    responses={
        200: {
            "description": "The text exposition format; units stand in the names.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **problem_responses("unauthenticated", "forbidden", "store-failed", "busy", "internal"),
    },
)
async def get_metrics(parts: PartsDep) -> Response:
    """What came, what was refused and why, how long questions took, and the store's own figures."""
    parts.metrics.pending.set(parts.bodies.pending)
    text = await parts.read(parts.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
