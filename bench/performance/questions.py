"""The four questions to a server process: cold, asked again, and after every node has sent one more snapshot."""

from __future__ import annotations

import http.client
import math
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from bench.performance.asking import Client, Cost, cost_of
from bench.performance.fleets import HOUR, Stock, seal
from bench.performance.machine import drop_cached, resident
from bench.performance.pushes import Template, push_all
from common.errors import ServerError
from server.demo_server import ServerProcess

__all__ = ["FAILURES", "Asked", "Process", "Server", "ask_all", "process_of"]

_KEEP = tuple(part for tier in ("raw", "5m", "1h") for part in (f"--retention-{tier}", "3650d"))
"""Simulated history may be old."""


_KNOWN = "series of another cache, after that"
"""Asked of a process that has judged the window."""
_DAY, _MANY = 24, 5000
"""A fleet of more nodes than this is asked for its report over a day only: minutes each."""
FAILURES = (RuntimeError, OSError, http.client.HTTPException, ServerError)
_FAILED = Cost(math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question took."""

    question: str
    cold: Cost
    """Asked of a process that has just started, on files that are not in memory."""
    again: Cost
    later: Cost | None
    """Reports: a minute later, when every node has sent one more snapshot."""


@dataclass(frozen=True, slots=True)
class Process:
    """Memory (KiB) and seconds of a server process."""

    started: int
    """When it was ready."""
    pushed: int
    """After every node has pushed once."""
    reported: int
    """After a report over 24 hours."""
    restarts: tuple[float, ...]
    """Seconds from the start of the process until it was ready, after kill -9 with unsealed data in the log."""


class Server:
    """Starts server processes on one stock, and moves its time on as its nodes push."""

    def __init__(self, stock: Stock, templates: Sequence[Template]) -> None:
        self.stock, self._templates = stock, templates
        self._later = 0.0

    @property
    def end(self) -> float:
        """Epoch seconds of the newest snapshots."""
        return self.stock.end + self._later

    def nodes(self) -> Iterator[tuple[str, Template]]:
        """Every node of the stock, multiplied ones too, with what it last sent."""
        for k in range(self.stock.nodes // len(self._templates)):
            for one in self._templates:
                yield (f"{one.snapshot.node}-{k}" if k else one.snapshot.node), one

    @contextmanager
    def running(self, *, cold: bool = False) -> Iterator[tuple[int, Client]]:
        """A process that is ready, with nothing left to seal: its pid and a connection."""
        seal(self.stock.folder)
        if cold:
            drop_cached(self.stock.folder)
        with ServerProcess(self.stock.folder, options=_KEEP, patience=120) as server:
            resource.prlimit(server.process.pid, resource.RLIMIT_AS, (_most_memory(), _most_memory()))
            client = Client(server.address)
            try:
                yield server.process.pid, client
            finally:
                client.close()

    def next_minute(self, client: Client) -> None:
        """Every node sends one more snapshot."""
        self._later += 60.0
        push_all(client, self.nodes(), self._later)


def _most_memory() -> int:
    """Bytes: a question that takes more fails, instead of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4


def ask_all(server: Server, say: Callable[[str], None]) -> list[Asked]:
    """Every question that the stock's history is long enough for."""
    stock, found = server.stock, []
    node = f"node{1:04d}"
    base, series = f"/api/v1/nodes/{node}", f"/api/v1/compare?window=24h&at={stock.end}&limit=10&cache="
    quick = {
        "latest (`GET /nodes/NODE/snapshots/latest`)": f"{base}/snapshots/latest",
        "diff, newest against half-way": f"{base}/diff?from={(stock.start + stock.end) / 2}&to={stock.end}",
        "diff of two newest, an hour apart": f"{base}/diff?from={stock.end - HOUR}&to={stock.end}",
        "series: a cache beside its peers, 24 h": f"{series}dentry",
        _KNOWN: f"{series}inode_cache",
        "nodes, 1,000 a page": "/api/v1/nodes?limit=1000",
    }
    for question, path in quick.items():
        with _noted(question, say), server.running(cold=True) as (pid, client):
            if question == _KNOWN:
                client.get(f"{series}dentry")
            cold = cost_of(pid, partial(client.get, path))
            again = cost_of(pid, partial(client.get, path), _times(cold))
            found.append(Asked(question, cold, again, None))
        _say_of(found, question, stock, say)
    for hours in (1, 24, 168):
        if hours > stock.hours + 0.5 or (hours < _DAY and stock.nodes > _MANY):
            continue
        question = f"outlier report, {_length(hours)}"
        with _noted(question, say):
            found.append(_report(server, hours, question))
        _say_of(found, question, stock, say)
    return found


def _times(cold: Cost) -> int:
    return 5 if cold.wall < 1 else 2 if cold.wall < 10 else 1


@contextmanager
def _noted(question: str, say: Callable[[str], None]) -> Iterator[None]:
    """A question that fails costs only its own figures."""
    try:
        yield
    except FAILURES as error:
        say(f"{question}: {error}")


def _say_of(found: list[Asked], question: str, stock: Stock, say: Callable[[str], None]) -> None:
    if not found or found[-1].question != question:
        found.append(Asked(question, _FAILED, _FAILED, None))
    last = found[-1]
    say(f"{stock.nodes} nodes: {question}: {last.cold.wall:.3f} s cold, {last.again.wall:.3f} again")


def _report(server: Server, hours: int, question: str) -> Asked:
    def ask(client: Client) -> Callable[[], bytes]:
        return lambda: client.get(f"/api/v1/outliers?window={hours}h&at={server.end}")

    with server.running(cold=True) as (pid, client):
        cold = cost_of(pid, ask(client))
        again = cost_of(pid, ask(client), _times(cold))
        server.next_minute(client)
        later = cost_of(pid, ask(client))
    return Asked(question, cold, again, later)


def _length(hours: int) -> str:
    return f"{hours // 24} d" if hours > 24 else f"{hours} h"


def process_of(server: Server) -> Process:
    """Memory after each step of a server's life, and how soon it is back after kill -9."""
    with server.running() as (pid, client):
        started = resident(pid)
        server.next_minute(client)
        pushed = resident(pid)
        client.get(f"/api/v1/outliers?window=24h&at={server.end}")
        reported = resident(pid)
    return Process(started, pushed, reported, tuple(_restart(server) for _ in range(3)))


def _restart(server: Server) -> float:
    with ServerProcess(server.stock.folder, options=_KEEP, patience=120) as running:
        client = Client(running.address)
        server.next_minute(client)
        client.close()
        running.process.kill()
        running.process.wait()
    began = time.perf_counter()
    with ServerProcess(server.stock.folder, options=_KEEP, patience=120):
        return time.perf_counter() - began
