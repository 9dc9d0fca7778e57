"""Measures what pushes cost the aggregator: `python -m bench.bench_ingest [--snapshots 1500]`; prints a table."""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from agent.packing import Fresh
from bench.performance.machine import cpu_seconds, resident
from common.errors import ServerError
from common.snapshot import Snapshot, layout_hash, to_wire
from server.demo_server import ServerProcess
from server.simulator.fleet import Fleet, FleetSpec
from server.simulator.node import NodeSpec

__all__ = ["main"]

HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
BATCH = 50
NODES = 20


class Server:
    """The aggregator's process from outside."""

    def __init__(self, process: ServerProcess) -> None:
        self.port = int(process.address.rpartition(":")[2])
        self.pid = process.process.pid

    def post(self, bodies: Sequence[bytes], connections: int) -> list[float]:
        """Posts each body on one of so many keep-alive connections; gives the seconds each answer took, sorted."""
        took: list[float] = []
        failed: list[str] = []
        hands = [
            threading.Thread(target=self._work, args=(bodies[i::connections], took, failed)) for i in range(connections)
        ]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        if failed:
            raise ServerError(f"a push was answered {failed[0]}")
        return sorted(took)

    def _work(self, bodies: Sequence[bytes], took: list[float], failed: list[str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        for body in bodies:
            began = time.perf_counter()
            headers = {**HEADERS, "Slabhound-Sent-At": f"{time.time():.3f}"}
            connection.request("POST", "/api/v1/snapshots", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            took.append(time.perf_counter() - began)
            if answer.status != http.client.CREATED:
                failed.append(f"{answer.status}: {text.decode()}")
                break
        connection.close()


def stream(seed: int, count: int) -> list[Snapshot]:
    """`count` snapshots of NODES simulated nodes, in the order in which they would come in."""
    specs = tuple(NodeSpec(f"s{seed}n{i:02d}", size=1 + i % 3, kernel="6.1") for i in range(NODES))
    each = -(-count // NODES)
    fleet = Fleet(FleetSpec(seed, specs, hours=(each + 1) / 60))
    per_node = [list(islice(fleet.snapshots(spec.name), each)) for spec in specs]
    return [snapshot for row in zip(*per_node, strict=True) for snapshot in row][:count]


def pack(what: object) -> bytes:
    return gzip.compress(json.dumps(what, separators=(",", ":")).encode(), 6)


def full(snapshot: Snapshot) -> bytes:
    """As agents send it before the server knows the layout."""
    return Fresh(snapshot).full()


def short(snapshot: Snapshot) -> bytes:
    """As agents send it from then on."""
    return Fresh(snapshot).short(layout_hash(snapshot.caches))


def short_wire(snapshot: Snapshot) -> dict[str, Any]:
    return to_wire(snapshot, layout=layout_hash(snapshot.caches))


def batches(wires: Sequence[dict[str, Any]]) -> list[bytes]:
    return [pack(wires[i : i + BATCH]) for i in range(0, len(wires), BATCH)]


def costs(server: Server, snapshots: int) -> Iterator[tuple[str, ...]]:
    """Rows: what, CPU-s per 1,000 snapshots, pushes a second, p50 and p99 of an answer, bytes of body a snapshot."""
    forms: list[tuple[str, Callable[[Snapshot], bytes], int]] = [
        (f"{name}, {connections} connection{'s' if connections > 1 else ''}", form, connections)
        for name, form in (("singly, layout form", short), ("singly, full form", full))
        for connections in (1, 8, 64)
    ]
    # Every layout is known, and everything is loaded, before the first is timed.
    warm = stream(99, 200)
    server.post([full(s) for s in warm] + batches([to_wire(s) for s in stream(98, 100)]), 4)
    for seed, (name, form, connections) in enumerate(forms):
        bodies = [form(s) for s in stream(seed, snapshots)]
        yield timed(server, name, bodies, snapshots, connections)
    batched: tuple[tuple[str, Callable[[Snapshot], dict[str, Any]]], ...]
    batched = (("layout form", short_wire), ("full form", to_wire))
    for seed, (name, wire) in enumerate(batched, len(forms)):
        bodies = batches([wire(s) for s in stream(seed, snapshots)])
        yield timed(server, f"in batches of {BATCH}, {name}", bodies, snapshots, 1)


def timed(server: Server, name: str, bodies: Sequence[bytes], snapshots: int, connections: int) -> tuple[str, ...]:
    before, began = cpu_seconds(server.pid), time.perf_counter()
    took = server.post(bodies, connections)
    wall, cpu = time.perf_counter() - began, cpu_seconds(server.pid) - before
    p50, p99 = took[len(took) // 2] * 1000, took[len(took) * 99 // 100] * 1000
    size = sum(map(len, bodies)) // snapshots
    return (name, f"{cpu / snapshots * 1000:.2f}", f"{snapshots / wall:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{size:,}")


def memory_per_node(server: Server, nodes: int) -> float:
    """KiB resident that each of so many new nodes adds, with one snapshot each."""
    (pattern,) = stream(97, 1)
    server.post([full(pattern)], 1)

    def crowd(first: int, count: int) -> list[bytes]:
        return batches([short_wire(replace(pattern, node=f"crowd{first + i}", boot_id=f"b{i}")) for i in range(count)])

    server.post(crowd(0, 500), 1)
    before = resident(server.pid)
    server.post(crowd(500, nodes), 1)
    return (resident(server.pid) - before) / nodes


def restart(folder: Path) -> float:
    """Seconds from the start of the process to /readyz after a kill -9 in the middle of pushes."""
    began = time.perf_counter()
    with ServerProcess(folder):
        return time.perf_counter() - began


def table(rows: Sequence[Sequence[str]]) -> str:
    head = ("pushed", "CPU-s per 1,000", "a second", "p50 ms", "p99 ms", "body bytes each")
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snapshots", type=int, default=1500, help="pushed for each row of the table")
    parser.add_argument("--nodes", type=int, default=2000, help="for the memory each takes")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with ServerProcess(folder) as process:
            server = Server(process)
            print(table(list(costs(server, options.snapshots))))
            each = memory_per_node(server, options.nodes)
            whole = resident(server.pid) // 1024
            print(f"\nResident memory: {each:.1f} KB a node ({options.nodes} new ones), {whole} MB.")
            os.kill(server.pid, signal.SIGKILL)
            process.process.wait()
        print(f"Ready {restart(folder):.2f} s after the start of the process that follows a kill -9.")


if __name__ == "__main__":
    main()
