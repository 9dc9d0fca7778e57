"""A stand-in for an aggregator, through httpx's own mock transport, and a screen that keeps what it is shown."""

from __future__ import annotations

import io
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import httpx

from common.terminal.screen import Screen

__all__ = ["FakeServer", "made_options", "made_report", "made_screen", "shown"]

SERVER = "http://lvs.example:8080"


class FakeServer:
    """Answers GETs under /api/v1 from a table of path -> JSON (or a finished response); notes every request."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.requests: list[httpx.Request] = []

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    @property
    def asked(self) -> list[str]:
        return [request.url.raw_path.decode() for request in self.requests]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.raw_path.decode().partition("?")[0].removeprefix("/api/v1")
        answer = self.answers.get(path)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, httpx.Response):
            return answer
        if answer is None:
            problem = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": f"no {path}"}
            return httpx.Response(404, json=problem, headers={"content-type": "application/problem+json"})
        return httpx.Response(200, json=answer)


def made_screen(width: int = 100, **environ: str) -> Screen:
    return Screen(io.StringIO(), io.StringIO(), {"COLUMNS": str(width), **environ})


def made_options(**values: Any) -> Namespace:
    """Options as common.cli settles them."""
    usual = {"server": SERVER, "token_file": None, "group": None, "at": None, "window": "24h", "json": False}
    return Namespace(**{**usual, "screen": made_screen(), **values})


def shown(options: Namespace) -> str:
    """What a command wrote to standard output."""
    text: str = options.screen.out.getvalue()
    return text


def made_finding(**values: Any) -> dict[str, Any]:
    return {
        "rank": 1,
        "kind": "outlier",
        "node": "lvs3",
        "group": "lvs",
        "cache": "scsi_cmd_cache",
        "members": ["scsi_cmd_cache"],
        "also": [{"cache": "scsi_sense_cache", "bytes_per_hour": 290000}],
        "growth_bytes": 56000000,
        "bytes_per_hour": 2330000,
        "objects_per_hour": 4550,
        "peer_bytes_per_hour": 12000,
        "score": 31.4,
        "q_value": 0.0004,
        "shape": "steady",
        "since": "2026-11-22T02:00:00.000Z",
        "since_open": False,
        "exhausts_at": "2026-12-03T04:00:00.000Z",
        "reclaimable": False,
        "aliases": [],
        "summary": "scsi_cmd_cache on lvs3 grows by 2.2 MiB an hour while its five peers stand still.",
        **values,
    }


def made_report(*findings: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {
        "generated_at": "2026-11-22T23:00:01.000Z",
        "window": {"from": "2026-11-21T23:00:00.000Z", "to": "2026-11-22T23:00:00.000Z"},
        "truncated": 0,
        "groups": [{"group": "lvs", "nodes": 6, "series": 1180}],
        "findings": list(findings),
        "watch": [],
        "notes": [],
        **values,
    }


def made_series(*values: float | None, start: float = 1795302000.0, step: float = 3600.0) -> list[dict[str, Any]]:
    """Points of /compare; the default start is 2026-11-21T23:00:00Z."""
    return [{"time": str(start + step * i), "bytes": value} for i, value in enumerate(values)]
