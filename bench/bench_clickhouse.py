"""Measures the ClickHouse store on simulated nodes and the test engine: `python -m bench.bench_clickhouse`."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from bench.performance.fleets import HOUR, fleet, received
from bench.performance.machine import cpu_seconds
from server.simulator.fleet import Fleet
from server.storage import Retention
from server.storage.base import Appended, Received
from server.storage.clickhouse import ClickHouseStore, Target
from server.storage.clickhouse.schema import init
from tests.server.storage.clickhouse_server import ClickHouseServer, free_ports

_SIZES = """SELECT table, column, sum(column_data_compressed_bytes) AS size FROM system.parts_columns
WHERE database = 'bench' AND active GROUP BY ALL HAVING size > 20000 ORDER BY size DESC"""


def by_time(machines: Fleet) -> Iterator[Received]:
    """As it arrives: every node's snapshot of a minute, then the next minute's."""
    streams = [received(machines.snapshots(spec.name)) for spec in machines.spec.nodes]
    for round_of_all in zip(*streams, strict=False):
        yield from round_of_all


def timed(what: str, question: Callable[[], Any], times: int) -> None:
    """Prints the mean wall-clock and CPU time; a first call, which fills what is kept in memory, does not count."""
    question()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        question()
    wall, cpu = (time.perf_counter() - wall) / times, (time.process_time() - cpu) / times
    print(f"{what:64} {wall * 1000:10.2f} ms {cpu * 1000:10.2f} CPU-ms", flush=True)


def fill(store: ClickHouseStore, server: ClickHouseServer, machines: Fleet, size: int) -> tuple[int, int]:
    """Everything the fleet sends, `size` snapshots under way at a time, singly; gives snapshots and cache-samples."""
    coming, snapshots, cells = by_time(machines), 0, 0
    wall = ours = 0.0
    theirs = cpu_seconds(server.pid)
    while batch := list(islice(coming, size)):
        began, cpu = time.perf_counter(), time.process_time()
        under_way: list[Future[Appended]] = [store.append([item]) for item in batch]
        for future in under_way:
            future.result()
        wall, ours = wall + time.perf_counter() - began, ours + time.process_time() - cpu
        snapshots += len(batch)
        cells += sum(len(r.snapshot.caches) for r in batch)
    theirs = cpu_seconds(server.pid) - theirs
    per = 1000 / snapshots
    print(f"{snapshots} snapshots, {cells / snapshots:.0f} caches each, {size} under way at a time:")
    print(f"  {snapshots / wall:.0f}/s; {ours * per:.3f} CPU-s per 1,000 here, {theirs * per:.3f} in the server")
    return snapshots, cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--hours", type=float, default=6)
    parser.add_argument("--under-way", type=int, default=1000)
    parser.add_argument("--columns", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        http, tcp = free_ports(2)
        server = ClickHouseServer(Path(folder), http=http, tcp=tcp)
        server.start()
        try:
            measure(server, options)
        finally:
            server.kill()


def measure(server: ClickHouseServer, options: argparse.Namespace) -> None:
    target = Target.parse(f"clickhouse://default@127.0.0.1:{server.http}/bench")
    init(target, Retention(), forget=False)
    machines = fleet(options.nodes, options.hours)
    store = ClickHouseStore(target, linger=0.02)
    try:
        _, cells = fill(store, server, machines, options.under_way)
        start, end = machines.spec.start, machines.end
        questions: dict[str, Callable[[], Any]] = {
            "nodes": store.nodes,
            "newest snapshot of a node": partial(store.at, "node0003", None),
            "instants of a node, 100": partial(store.instants, "node0003", None, None, after=None, limit=100),
            "window, all nodes, 1 h of 60 s buckets": lambda: list(store.window(end - HOUR, end, 60)),
            "window, all nodes, all hours, 300 s": lambda: list(store.window(start, end, 300)),
            "window, all nodes, all hours, 3600 s": lambda: list(store.window(start, end, 3600)),
            "window, one cache, all hours, 300 s": lambda: list(store.window(start, end, 300, caches={"dentry"})),
        }
        for what, question in questions.items():
            timed(what, question, times=3)
        if options.columns:
            print(server.ask(_SIZES))
        for table in ("snapshots", "rollup_300", "rollup_3600"):
            server.ask(f"OPTIMIZE TABLE bench.{table} FINAL")
            where = f"database = 'bench' AND table = '{table}' AND active"
            size = int(server.ask(f"SELECT sum(bytes_on_disk) FROM system.parts WHERE {where}"))
            print(f"{table}, merged: {size} bytes, {size / cells:.3f} a cache-sample")
        for what, question in questions.items():
            timed(f"{what}, merged", question, times=3)
    finally:
        store.close()


if __name__ == "__main__":
    main()
