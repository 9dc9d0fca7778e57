"""Measures the embedded store on simulated nodes: `python -m bench.bench_storage [--nodes 100] [--hours 24]`."""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from common.snapshot import Snapshot
from server.simulator.fleet import START, Fleet, FleetSpec
from server.simulator.node import NodeSpec
from server.storage import open_store
from server.storage.base import Received, Store

T = TypeVar("T")
HOUR = 3600.0


def fleet(nodes: int, hours: float) -> Fleet:
    specs = tuple(NodeSpec(f"node{i:04d}", size=1 + i % 3, kernel="6.1") for i in range(nodes))
    return Fleet(FleetSpec(1, specs, hours=hours))


def received(snapshots: Iterator[Snapshot], seed: int = 1) -> Iterator[Received]:
    """With what differs on real machines and not in the simulation: times to read and to deliver."""
    rng = random.Random(seed)
    for plain in snapshots:
        uptime = None if plain.uptime_seconds is None else round(plain.uptime_seconds, 2)
        item = replace(plain, uptime_seconds=uptime, read_seconds=round(rng.gauss(0.002, 0.0003), 6))
        yield Received(item, round(item.taken_at + rng.expovariate(50), 3), round(rng.gauss(0, 0.01), 3))


def timed(what: str, work: Callable[[], T], times: int = 1) -> T:
    """Prints the mean wall-clock and CPU time; the first call, which fills the caches, counts only alone."""
    result = work() if times > 1 else None
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        result = work()
    wall, cpu = (time.perf_counter() - wall) / times, (time.process_time() - cpu) / times
    print(f"{what:64} {wall * 1000:10.2f} ms {cpu * 1000:10.2f} CPU-ms", flush=True)
    assert result is not None
    return result


def appends(folder: Path) -> None:
    """CPU per 1,000 snapshots of one hour of 17 nodes, one by one and in batches."""
    machines = fleet(17, 1)
    coming = sorted(
        (r for spec in machines.spec.nodes for r in received(machines.snapshots(spec.name))),
        key=lambda r: r.snapshot.taken_at,
    )[:1000]
    for size in (1, 100):
        batches = [coming[i : i + size] for i in range(0, len(coming), size)]
        store = open_store(f"sqlite:///{folder}/append{size}.db")
        timed(f"append 1,000 snapshots, {size} at a time, each awaited", partial(_one_by_one, store, batches))
        store.close()
    store = open_store(f"sqlite:///{folder}/group.db")
    timed("append 1,000 snapshots singly, all under way at once", partial(_at_once, store, coming))
    store.close()


def _one_by_one(store: Store, batches: list[list[Received]]) -> int:
    return sum(store.append(batch).result().stored for batch in batches)


def _at_once(store: Store, coming: list[Received]) -> int:
    return sum(f.result().stored for f in [store.append([item]) for item in coming])


def fill(url: str, machines: Fleet) -> tuple[int, int]:
    """Everything the fleet sends; gives snapshots and cache-samples."""
    snapshots = cells = 0
    writing = 0.0
    store = open_store(url)
    for spec in machines.spec.nodes:
        coming = received(machines.snapshots(spec.name))
        while batch := list(islice(coming, 100)):
            began = time.process_time()
            store.append(batch).result()
            writing += time.process_time() - began
            snapshots += len(batch)
            cells += sum(len(r.snapshot.caches) for r in batch)
    rate = writing / snapshots * 1000
    print(f"{snapshots} snapshots, {cells / snapshots:.0f} caches each; {rate:.3f} CPU-s per 1,000 appended")
    wall, cpu = time.perf_counter(), time.process_time()
    store.maintain(machines.end + 2 * HOUR)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"sealed in {wall:.1f} s, {cpu / snapshots * 1000:.3f} CPU-s per 1,000 snapshots")
    store.close()
    return snapshots, cells


def sizes(path: Path, cells: int) -> None:
    db = sqlite3.connect(path)
    tables: dict[str, Any] = {
        "sealed, counts": "SELECT sum(length(counts)) FROM sealed",
        "sealed, times and facts": "SELECT sum(length(samples)) FROM sealed",
        "five-minute roll-ups": "SELECT sum(length(buckets)) FROM rollups WHERE width = 300",
        "hourly roll-ups": "SELECT sum(length(buckets)) FROM rollups WHERE width = 3600",
        "free pages": "SELECT f.freelist_count * 4096 FROM pragma_freelist_count() f",
    }
    used = path.stat().st_size - db.execute(tables["free pages"]).fetchone()[0]
    print(f"bytes per cache-sample, all in use of the file: {used / cells:.3f}")
    for what, query in tables.items():
        print(f"    {what:40} {(db.execute(query).fetchone()[0] or 0) / cells:.3f}")
    db.close()


def resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def _window(store: Store, end: float, width: int, wanted: set[str] | None) -> int:
    """A day that starts and ends within a bucket."""
    return sum(1 for _ in store.window(end - 24 * HOUR - 1234.5, end - 60, width, caches=wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--folder", type=Path, help="keep the store here, and use the one that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        machines = fleet(options.nodes, options.hours)
        path = folder / "fleet.db"
        if not path.exists():
            appends(Path(temporary))
            _, cells = fill(f"sqlite:///{path}", machines)
            sizes(path, cells)
        before = resident()
        store = timed(f"open, {options.nodes} nodes", lambda: open_store(f"sqlite:///{path}"))
        print(f"resident: {before} KiB before opening, {resident()} after")
        end = machines.end
        name = machines.spec.nodes[0].name
        at = START + options.hours * HOUR / 2 + 1000
        timed("at(): one sealed snapshot", lambda: store.at(name, at), 20)
        timed("two snapshots for a diff", lambda: (store.at(name, at), store.at(name, end)), 20)
        timed("instants of a day, 100", lambda: store.instants(name, None, None, after=None, limit=100), 20)
        for width in (300, 3600):
            for what, wanted in (("one cache", {"dentry"}), ("all caches", None)):
                timed(f"window 24 h, {width} s, {what}, all nodes", partial(_window, store, end, width, wanted), 2)
        print(f"resident {resident()} KiB")
        store.close()


if __name__ == "__main__":
    main()
