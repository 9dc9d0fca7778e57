"""Simulated fleets in stores on disk: filled as agents would have, and multiplied to a bigger fleet."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import dropwhile, islice, takewhile
from pathlib import Path

from common.snapshot import Snapshot
from server.simulator.fleet import START, Fleet, FleetSpec
from server.simulator.node import Leak, NodeSpec
from server.storage import Retention, open_store
from server.storage.base import Received

__all__ = ["FOREVER", "HOUR", "STORE", "Filled", "Stock", "fill", "fleet", "multiply", "received", "seal"]

HOUR = 3600.0
STORE = "slabhound.db"
FOREVER = Retention(3650 * 24 * HOUR, 3650 * 24 * HOUR, 3650 * 24 * HOUR)


@dataclass(frozen=True, slots=True)
class Stock:
    """A store on disk and what is in it."""

    folder: Path
    nodes: int
    start: float
    end: float
    """Epoch seconds of the first and the last instant."""
    snapshots: int
    cells: int
    """Cache-samples: rows of all snapshots together, of four numbers each."""

    @property
    def path(self) -> Path:
        return self.folder / STORE

    @property
    def hours(self) -> float:
        return (self.end - self.start) / HOUR


@dataclass(frozen=True, slots=True)
class Filled:
    """What filling a store took in CPU seconds for each 1,000 snapshots, without simulating them."""

    append: float
    maintain: float


def fleet(nodes: int, hours: float, *, cached: int = 8) -> Fleet:
    """Nodes of three sizes, the first of which leaks; the history ends at the simulator's START."""
    specs = tuple(NodeSpec(f"node{i:04d}", size=1 + i % 3, kernel="6.1") for i in range(nodes))
    leaks = (Leak((specs[0].name,), "scsi_cmd_cache", 1e6),)
    return Fleet(FleetSpec(1, specs, leaks, hours=hours, start=START - hours * HOUR), cached=cached)


def received(snapshots: Iterator[Snapshot], seed: int = 1) -> Iterator[Received]:
    """With what differs on real machines and not in the simulation: times to read and to deliver."""
    rng = random.Random(seed)
    for plain in snapshots:
        uptime = None if plain.uptime_seconds is None else round(plain.uptime_seconds, 2)
        item = replace(plain, uptime_seconds=uptime, read_seconds=round(rng.gauss(0.002, 0.0003), 6))
        yield Received(item, round(item.taken_at + rng.expovariate(50), 3), round(rng.gauss(0, 0.01), 3))


def fill(stock: Stock, machines: Fleet, until: float) -> tuple[Stock, Filled]:
    """Appends what the fleet sends from the stock's end to `until`, an hour of a node at a time, and maintains."""
    snapshots = cells = 0
    append = maintain = 0.0
    store = open_store(f"sqlite:///{stock.path}", retention=FOREVER)
    try:
        for spec in machines.spec.nodes:
            late = dropwhile(lambda s: s.taken_at <= stock.end, machines.snapshots(spec.name))
            coming = received(takewhile(lambda s: s.taken_at <= until, late))
            while batch := list(islice(coming, 60)):
                began = time.process_time()
                store.append(batch).result()
                append += time.process_time() - began
                snapshots += len(batch)
                cells += sum(len(r.snapshot.caches) for r in batch)
            began = time.process_time()
            store.maintain(machines.end + 3 * HOUR)
            maintain += time.process_time() - began
    finally:
        store.close()
    done = replace(stock, end=until, snapshots=stock.snapshots + snapshots, cells=stock.cells + cells)
    return done, Filled(append / snapshots * 1000, maintain / snapshots * 1000)


def multiply(stock: Stock, folder: Path, times: int) -> Stock:
    """A copy in which every node stands `times` times under other names: a bigger fleet in seconds.

    Works on the tables: every row that names a node is repeated with other numbers of nodes and boots.
    """
    folder.mkdir(parents=True)
    grown = replace(
        stock, folder=folder, nodes=stock.nodes * times, snapshots=stock.snapshots * times, cells=stock.cells * times
    )
    shutil.copyfile(stock.path, grown.path)
    db = sqlite3.connect(grown.path, isolation_level=None)
    for pragma in ("journal_mode = DELETE", "journal_mode = OFF", "synchronous = OFF", "cache_size = -200000"):
        db.execute(f"PRAGMA {pragma}")
    most = {name: db.execute(f"SELECT max(id) FROM {name}").fetchone()[0] for name in ("nodes", "boots")}
    for name in [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
        if name == "nodes" or "node" in columns:
            _repeat(db, name, columns, most, times)
    db.execute("UPDATE totals SET value = value * ? WHERE name = 'sealed'", (times,))
    db.close()
    return grown


def _repeat(db: sqlite3.Connection, table: str, columns: list[str], most: dict[str, int], times: int) -> None:
    moved = {
        "node": f"node + :k * {most['nodes']}",
        "boot": "boot" if table == "nodes" else f"boot + :k * {most['boots']}",
    }
    if table in most:
        moved["id"] = f"id + :k * {most[table]}"
    if table == "nodes":
        moved["name"] = "name || '-' || :k"
    kept = [column for column in columns if column != "id" or table in most]
    own = "id" if table == "nodes" else "node"
    values = ", ".join(moved.get(column, column) for column in kept)
    query = f"INSERT INTO {table} ({', '.join(kept)}) SELECT {values} FROM {table} WHERE {own} <= {most['nodes']}"
    db.execute("BEGIN")
    for k in range(1, times):
        db.execute(query, {"k": k})
    db.execute("COMMIT")


def seal(folder: Path) -> None:
    """Seals what is over in the store of a server that does not run.

    What simulated nodes send lies in hours that are over: the next server would seal it beside its first answers.
    """
    store = open_store(f"sqlite:///{folder / STORE}", retention=FOREVER)
    try:
        store.maintain(time.time())
    finally:
        store.close()
