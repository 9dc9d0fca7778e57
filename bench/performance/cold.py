"""The report over a day without HTTP, cold and a minute later: `python -m bench.performance.cold FOLDER`."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from bench.performance.fleets import FOREVER, STORE, Stock, fleet, multiply, received
from server.analysis.types import AnalysisSettings
from server.buckets import NodeSeries
from server.reports.answers import Answers
from server.simulator.fleet import Fleet
from server.storage import open_store
from server.storage.base import Store

SIMULATED, HOURS, PAST = 50, 25.2, 425.0
"""Nodes, and seconds past a full hour at which the history ends: a window's start and end cut buckets."""


@dataclass(slots=True)
class _Timed:
    """A store that counts the CPU seconds of reading windows."""

    store: Store
    seconds: float = 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterator[NodeSeries]:
        series = iter(self.store.window(start, end, width, group=group, caches=caches))
        while True:
            begun = time.process_time()
            node = next(series, None)
            self.seconds += time.process_time() - begun
            if node is None:
                return
            yield node


def make(folder: Path, nodes: int) -> None:
    """A store of so many nodes, sealed as a server's would be."""
    machines = fleet(SIMULATED, HOURS)
    machines = Fleet(replace(machines.spec, start=machines.spec.start + PAST), cached=8)
    base = folder / "base"
    base.mkdir(parents=True)
    store = open_store(f"sqlite:///{base / STORE}", retention=FOREVER)
    for spec in machines.spec.nodes:
        coming = received(machines.snapshots(spec.name))
        while batch := list(islice(coming, 60)):
            store.append(batch).result()
    store.maintain(machines.end)
    store.close()
    multiply(Stock(base, SIMULATED, machines.spec.start, machines.end, 0, 0), folder / str(nodes), nodes // SIMULATED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new one, for the store")
    parser.add_argument("--nodes", type=int, default=1000, help=f"a multiple of {SIMULATED}")
    parser.add_argument("--make", action="store_true", help="only make the store")
    options = parser.parse_args()
    place = options.folder / str(options.nodes)
    if options.make:
        make(options.folder, options.nodes)
        return
    if not place.exists():  # by another process, as memory is measured here
        again = [sys.executable, "-m", "bench.performance.cold", *sys.argv[1:], "--make"]
        subprocess.run(again, check=True)
    store = open_store(f"sqlite:///{place / STORE}", retention=FOREVER)
    end = max(node.taken_at for node in store.nodes()) + 1
    timed = _Timed(store)
    answers = Answers(timed, AnalysisSettings())  # type: ignore[arg-type] # the rest it hands on
    print(
        "| 24 h report | reading, CPU s | whole, CPU s | findings | MB resident | at the peak |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    for name, at in (("cold", end), ("a minute later", end + 60)):
        begun, timed.seconds = time.process_time(), 0.0
        judged = answers.judgement(at - 86400, at, None)
        seconds = time.process_time() - begun
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        cells = (name, f"{timed.seconds:.2f}", f"{seconds:.2f}", len(judged.findings), f"{resident:.0f}", f"{peak:.0f}")
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    store.close()


if __name__ == "__main__":
    main()
