"""Measures how late the event loop is under pushes, sealing, reports and dashboards: `python -m bench.loop`."""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.loop.crowd import Asker, Pusher
from bench.loop.lateness import HEAD, between, row
from bench.performance.asking import Client
from bench.performance.fleets import Stock, fill, fleet, multiply
from bench.performance.machine import describe, drop_cached
from bench.performance.pushes import Template, newest, push_all
from server.demo_server import ServerProcess

_KEEP = tuple(part for tier in ("raw", "5m", "1h") for part in (f"--retention-{tier}", "3650d"))
_DASHBOARDS = (
    "/api/v1/outliers?window=24h&at={now}",
    "/api/v1/outliers?window=1h&at={now}",
    "/api/v1/outliers?window=6h&at={now}",
    "/api/v1/caches?at={now}&limit=1000",
    "/api/v1/compare?cache=dentry&at={now}&limit=1000",
    "/api/v1/compare?cache=scsi_cmd_cache&at={now}&limit=1000",
    "/api/v1/nodes?limit=1000",
    "/api/v1/nodes/node0001/diff",
    "/api/v1/nodes/node0001/snapshots/latest",
    "/metrics",
)
_BACKLOG = 15
"""Minutes of every node that are to be sealed."""
Work = Callable[[str], None]
"""Keeps the server at that address busy for a while."""


@dataclass(slots=True)
class Bench:
    """One fleet and the server it pushes to; the nodes' time moves on with every round."""

    stock: Stock
    templates: list[Template]
    rate: float
    """Pushes a second of eight connections together."""
    seconds: float
    """Of a row that does not end by itself."""
    beats: Path
    minutes: int = 0

    def nodes(self) -> Iterator[tuple[str, Template]]:
        for k in range(self.stock.nodes // len(self.templates)):
            for one in self.templates:
                yield (f"{one.snapshot.node}-{k}" if k else one.snapshot.node), one

    @property
    def now(self) -> float:
        """Epoch seconds, by the nodes' clock."""
        return self.stock.end + 60 * self.minutes

    def row(self, name: str, work: Work, *, connections: int = 8, rate: float | None = None, pause: float = 2) -> str:
        """What the loop and the pushes suffer under `work`; files are cold. `pause`: seconds after the start."""
        drop_cached(self.stock.folder)
        with ServerProcess(self.stock.folder, options=_KEEP, patience=120, module="bench.loop.watched") as server:
            time.sleep(pause)
            with self._pushing(server.address, connections, self.rate if rate is None else rate) as pushers:
                began = time.monotonic()
                work(server.address)
                ended = time.monotonic()
            time.sleep(1)  # the last beats are written
        return row(name, between(self.beats, began, ended), [s for one in pushers for s in one.seconds])

    @contextmanager
    def _pushing(self, address: str, connections: int, rate: float) -> Iterator[list[Pusher]]:
        """`rate`: pushes a second of all connections together; 0 is as fast as they are answered."""
        self.minutes += 1
        nodes = list(self.nodes())
        pushers = [
            Pusher(address, nodes[i::connections], 60 * self.minutes, rate / connections) for i in range(connections)
        ]
        for one in pushers:
            one.start()
        try:
            yield pushers
        finally:
            for one in pushers:
                one.stop.set()
            for one in pushers:
                one.join()
            self.minutes += max(len(one.seconds) * connections // len(nodes) for one in pushers)

    def backlog(self) -> None:
        """Snapshots of every node that are stored and not sealed: the server is killed before."""
        with ServerProcess(self.stock.folder, options=_KEEP, patience=120) as server:
            time.sleep(2)  # the first round of upkeep is over, and the next a minute away
            client = Client(server.address)
            for _ in range(_BACKLOG):
                self.minutes += 1
                push_all(client, self.nodes(), 60 * self.minutes)
            client.close()
            server.process.kill()
            server.process.wait()

    def wait(self, _: str) -> None:
        time.sleep(self.seconds)

    def report(self, hours: int) -> Work:
        def ask(address: str) -> None:
            client = Client(address)
            client.get(f"/api/v1/outliers?window={hours}h&at={self.now}")
            client.close()

        return ask

    def dashboards(self, address: str) -> None:
        stop = threading.Event()
        askers = [Asker(address, question.format(now=self.now), stop) for question in _DASHBOARDS]
        for asker in askers:
            asker.start()
        time.sleep(2 * self.seconds)
        stop.set()
        for asker in askers:
            asker.join()


def rows(bench: Bench) -> Iterator[str]:
    """The table's."""
    yield bench.row(f"pushes, {bench.rate:g} a second", bench.wait)
    yield bench.row("pushes of 64 connections, as fast as they go", bench.wait, connections=64, rate=0)
    bench.backlog()
    yield bench.row(f"sealing {_BACKLOG * bench.stock.nodes:,} snapshots", bench.wait, pause=0)
    for hours in (1, 24):
        yield bench.row(f"a report over {hours} h", bench.report(hours))
    yield bench.row("ten dashboards", bench.dashboards)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000, help="a multiple of --simulated")
    parser.add_argument("--simulated", type=int, default=50)
    parser.add_argument("--rate", type=float, default=100, help="pushes a second; 100 is 6,000 nodes' worth")
    parser.add_argument("--seconds", type=float, default=15, help="of each row that does not end by itself")
    parser.add_argument("--folder", type=Path, help="where the stores are made (default: the temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="slabhound-loop-") as place:
        folder = Path(place)
        beats = folder / "beats"
        os.environ["BEATS"] = str(beats)
        machines = fleet(options.simulated, 25)
        (folder / "base").mkdir()
        base = Stock(folder / "base", options.simulated, machines.spec.start, machines.spec.start - 1, 0, 0)
        base, _ = fill(base, machines, machines.end)
        stock = multiply(base, folder / "fleet", options.nodes // options.simulated)
        print(f"{describe()}; {stock.nodes:,} nodes, {stock.hours:.0f} h\n\n{HEAD}", flush=True)
        for line in rows(Bench(stock, newest(base), options.rate, options.seconds, beats)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
