"""The same snapshots given to Slabhound, Prometheus and VictoriaMetrics, and the same questions asked of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bench.performance.asking import Client, Cost, cost_of
from bench.performance.engines import ENGINES, Engine
from bench.performance.fleets import fleet, received
from bench.performance.machine import cpu_seconds, drop_cached, resident
from common.snapshot import Snapshot

__all__ = ["Measured", "measure_others"]

_BATCH = 10
_MORE = 5
"""Minutes pushed right before kill -9."""


@dataclass(slots=True)
class Measured:
    """One engine's figures."""

    name: str
    remark: str
    single: float = 0.0
    """CPU seconds of the server for 1,000 snapshots, one a request."""
    batches: float = 0.0
    """The same with ten a request."""
    bytes_per_sample: float = 0.0
    resident: int = 0
    """KiB when all is in."""
    questions: dict[str, tuple[Cost, Cost]] = field(default_factory=dict)
    """Cold and asked again."""
    restart: float = 0.0
    """Seconds until it was ready after kill -9."""
    pushed: int = 0
    """Samples (Slabhound: snapshots) acknowledged right before it."""
    lost: int = 0
    """How many of them were gone after it."""
    counted: str = "samples"


def _by_time(nodes: int, hours: float) -> Iterator[Snapshot]:
    machines = fleet(nodes, hours, cached=nodes)
    streams = [received(machines.snapshots(spec.name)) for spec in machines.spec.nodes]
    for minute in zip(*streams, strict=False):
        yield from (one.snapshot for one in minute)


def measure_others(
    folder: Path, nodes: int, hours: float, singly: int, say: Callable[[str], None]
) -> tuple[list[Measured], list[str]]:
    """Figures of every engine that is installed, and the names of the packages that are not.

    The first `singly` snapshots go one a request, the rest ten.
    """
    found, missing = [], []
    for kind in ENGINES:
        if package := kind.missing():
            missing.append(package)
            say(f"{kind.name} is not measured: the package {package} is not installed")
            continue
        found.append(_measure(kind(folder / kind.name / "data"), nodes, hours, singly, say))
    return found, missing


def _measure(engine: Engine, nodes: int, hours: float, singly: int, say: Callable[[str], None]) -> Measured:
    done = Measured(engine.name, engine.remark, counted=engine.counted)
    client = engine.start()
    try:
        fed = _feed(engine, client, done, nodes, hours, singly)
        done.resident = resident(engine.pid)
        say(f"{engine.name}: {done.single:.2f} CPU-s per 1,000 pushed singly, {done.batches:.2f} in tens")
        engine.settle()
        for question, paths in engine.questions("node0001", fed.start, fed.end).items():
            engine.stop()
            client.close()
            drop_cached(engine.folder)
            client = engine.start()
            cold = cost_of(engine.pid, partial(_ask, client, paths))
            again = cost_of(engine.pid, partial(_ask, client, paths), 3)
            done.questions[question] = cold, again
            say(f"{engine.name}: {question}: {cold.wall:.3f} s cold, {again.wall:.3f} again")
        before = engine.count(client)
        pushed = _push_more(engine, client, fed.last)
        engine.kill()
        client.close()
        began = time.perf_counter()
        client = engine.start()
        done.restart = time.perf_counter() - began
        done.pushed, done.lost = pushed, before + pushed - engine.count(client)
        say(f"{engine.name}: {done.lost} of {pushed} acknowledged {engine.counted} lost on kill -9")
    finally:
        engine.stop()
        client.close()
    done.bytes_per_sample = engine.bytes_per_sample(fed.samples)
    return done


def _push_more(engine: Engine, client: Client, last: dict[str, Snapshot]) -> int:
    """Some more minutes of every node; how many samples (Slabhound: snapshots) that were acknowledged."""
    pushed = 0
    for minute in range(1, _MORE + 1):
        for one in last.values():
            pushed += engine.push(client, [replace(one, taken_at=one.taken_at + 60 * minute)])
    return pushed if engine.counted == "samples" else _MORE * len(last)


def _ask(client: Client, paths: list[str]) -> bytes:
    return b"".join(client.get(path) for path in paths)


@dataclass(slots=True)
class _Fed:
    samples: int = 0
    snapshots: int = 0
    start: float = 1e18
    end: float = 0.0
    last: dict[str, Snapshot] = field(default_factory=dict)
    """The newest of every node."""


def _feed(engine: Engine, client: Client, done: Measured, nodes: int, hours: float, singly: int) -> _Fed:
    fed = _Fed()
    batch: list[Snapshot] = []
    cpu = cpu_seconds(engine.pid)

    def send() -> None:
        fed.samples += engine.push(client, batch)
        fed.snapshots += len(batch)
        batch.clear()

    for one in _by_time(nodes, hours):
        fed.start, fed.end = min(fed.start, one.taken_at), max(fed.end, one.taken_at)
        fed.last[one.node] = one
        batch.append(one)
        if len(batch) >= (1 if fed.snapshots < singly else _BATCH):
            send()
            if fed.snapshots == singly:
                done.single = (cpu_seconds(engine.pid) - cpu) / singly * 1000
                cpu = cpu_seconds(engine.pid)
    if batch:
        send()
    done.batches = (cpu_seconds(engine.pid) - cpu) / max(fed.snapshots - singly, 1) * 1000
    return fed
