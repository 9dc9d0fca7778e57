"""Loads a server for minutes, kills it and starts it again; fails unless all holds: `python -m bench.soak`."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.performance.asking import Client
from bench.performance.fleets import fleet
from bench.performance.machine import cpu_seconds, describe, free_port, resident
from bench.performance.pushes import Template
from bench.soak.agents import Agents
from bench.soak.checks import Check, errors_in, flat, stored_instants, unlike
from bench.soak.ledger import Ledger
from bench.soak.readers import Reader
from server.demo_server import ServerProcess

_THREADS = 4
_WITH_KILLS = 0.5
"""Share of the time in which the server is killed; in the rest its memory is watched."""
_LAG_BOUND = 0.25
"""Seconds within which 99 of 100 probes must be answered, the clients using the same cores."""


class Soak:
    """One run."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder, self._options = folder, options
        self._port, self._ledger = free_port(), Ledger()
        self._address = f"http://127.0.0.1:{self._port}"
        self._logs: list[str] = []
        self._ready: list[float] = []
        self._memory: list[int] = []
        self._checks: list[Check] = []
        self._began, self._next_line = time.monotonic(), 1
        shapes = _shapes(20)
        self._templates = {f"soak{i:04d}": shapes[i % len(shapes)] for i in range(options.nodes)}

    def run(self) -> list[Check]:
        """Everything, with a line a minute; gives what was checked."""
        minutes, kills = self._options.minutes, self._options.kills
        end = self._began + 60 * minutes
        lives = [60 * minutes * _WITH_KILLS / kills] * kills if kills else []
        probe = self._probe()
        crowd, readers = self._crowd(), self._readers()
        threads: list[Agents | Reader] = [*crowd, *readers]
        server = self._start()
        for thread in threads:
            thread.start()
        try:
            for life in lives:
                self._watch(server, readers, time.monotonic() + life)
                server.process.kill()
                server.process.wait()
                self._logs.append(server.said)
                server = self._start()
            self._memory.clear()
            cpu, acknowledged, began = cpu_seconds(server.process.pid), self._acknowledged(), time.monotonic()
            self._watch(server, readers, end)
            self._rates(server, cpu, acknowledged, began)
        finally:
            for thread in threads:
                thread.stop.set()
            for thread in threads:
                thread.join(320)
        lags, _ = probe.communicate(timeout=60)
        self._conclude(server, [float(line) for line in lags.split()], readers)
        return self._checks

    def _crowd(self) -> list[Agents]:
        named = list(self._templates.items())
        rate = self._options.rate / _THREADS
        return [
            Agents(self._address, named[i::_THREADS], self._ledger, rate=rate, seed=i)
            for i in range(_THREADS)
            if named[i::_THREADS]
        ]

    def _readers(self) -> list[Reader]:
        return [Reader(self._address, "soak0000", self._ledger, pause=pause) for pause in (1.0, 5.0)]

    def _probe(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench.soak.probe", self._address]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0)

    def _start(self) -> ServerProcess:
        began = time.monotonic()
        server = ServerProcess(self._folder, port=self._port, patience=60)
        self._ready.append(time.monotonic() - began)
        return server

    def _acknowledged(self) -> int:
        return self._ledger.counts["acknowledged"]

    def _watch(self, server: ServerProcess, readers: Sequence[Reader], until: float) -> None:
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(1.0, left))
            server.check()
            self._memory.append(resident(server.process.pid))
            pushed = self._acknowledged() / len(self._templates)
            for reader in readers:
                reader.now = next(iter(self._templates.values())).snapshot.taken_at + 60 * pushed
            passed = (time.monotonic() - self._began) / 60
            if passed >= self._next_line:
                self._next_line += 1
                memory = self._memory[-1] / 1024
                print(f"{passed:5.1f} min  {self._acknowledged():9,} acknowledged  {memory:6.1f} MB", flush=True)

    def _rates(self, server: ServerProcess, cpu: float, acknowledged: int, began: float) -> None:
        more, seconds = self._acknowledged() - acknowledged, time.monotonic() - began
        used = cpu_seconds(server.process.pid) - cpu
        print(
            f"last life: {seconds:.0f} s, {more / max(seconds, 1):.0f} snapshots/s, {used / max(more, 1) * 1000:.2f} "
            f"CPU-s for 1,000 with all questions and upkeep, {used / seconds * 100:.0f} % of a core"
        )

    def _conclude(self, server: ServerProcess, lags: list[float], readers: Sequence[Reader]) -> None:
        check, ledger = self._checks.append, self._ledger
        client = Client(server.address)
        lost = invented = 0
        for node, acknowledged in ledger.acknowledged.items():
            stored = stored_instants(client, node)
            lost += len(acknowledged - stored)
            invented += len(stored - ledger.sent[node])
        distinct = sum(map(len, ledger.acknowledged.values()))
        check(Check("nothing acknowledged is lost", lost == 0 < distinct, f"{lost} of {distinct:,} snapshots lost"))
        check(Check("nothing is stored that was not sent", invented == 0, f"{invented} snapshots"))
        wrong = unlike(client, ledger, self._templates, 200)
        check(Check("snapshots come back as they were sent", wrong == 0, f"{wrong} of 200 differ"))
        client.close()
        status = server.stop()
        check(Check("the server ends in order", status == 0, f"status {status} on SIGTERM"))
        self._logs.append(server.said)
        errors = [line for log in self._logs for line in errors_in(log)]
        check(Check("no errors in the log", not errors, f"{len(errors)} lines{': ' + errors[0] if errors else ''}"))
        first = f": {ledger.unexpected[0]}" if ledger.unexpected else ""
        check(Check("every answer is as it must be", not ledger.unexpected, f"{dict(ledger.counts)}{first}"))
        check(flat(self._memory))
        check(_lag(lags))
        check(_store(self._folder))
        kills = f"{len(self._ready) - 1} kills, ready after {', '.join(f'{s:.2f}' for s in self._ready)} s"
        check(Check("it comes back", max(self._ready) < 30, kills))
        for question in sorted({question for reader in readers for question in reader.seconds}):
            seconds = [s for reader in readers for s in reader.seconds.get(question, ())]
            print(
                f"{question}: {len(seconds)} times, median {statistics.median(seconds):.3f} s, most {max(seconds):.3f}"
            )


def _lag(lags: list[float]) -> Check:
    if len(lags) < 100:
        return Check("the event loop answers", False, f"only {len(lags)} probes were answered")
    ordered = sorted(lags)
    p50, p99, most = ordered[len(lags) // 2], ordered[len(lags) * 99 // 100], ordered[-1]
    figures = (
        f"/healthz p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, most {most * 1000:.0f} ms, {len(lags)} probes"
    )
    return Check("the event loop answers", p99 <= _LAG_BOUND, f"{figures}, bound p99 {_LAG_BOUND * 1000:.0f} ms")


def _store(folder: Path) -> Check:
    command = [sys.executable, "-m", "common.cli", "store", "check", "--store", f"sqlite:///{folder / 'slabhound.db'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Check("the store is sound", done.returncode == 0, (done.stdout + done.stderr).strip().replace("\n", "; "))


def _shapes(count: int) -> list[Template]:
    """What different nodes look like. They start a day ago, so that the store's upkeep has hours to seal."""
    machines = fleet(count, 0.2)
    behind = time.time() - 86400 - machines.end
    found = []
    for spec in machines.spec.nodes:
        *_, last = machines.snapshots(spec.name)
        found.append(Template(last, behind))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--nodes", type=int, default=300, help="simulated nodes")
    parser.add_argument("--rate", type=float, default=200, help="requests a second; 200 is 12,000 nodes' worth")
    parser.add_argument("--kills", type=int, default=5, help="kill -9, spread over the first half")
    options = parser.parse_args()
    print(f"{describe()}\n{options.nodes} nodes, {options.rate:g} requests a second, {options.minutes:g} minutes")
    with tempfile.TemporaryDirectory(prefix="slabhound-soak-") as folder:
        checks = Soak(Path(folder), options).run()
    for one in checks:
        print(f"{'ok  ' if one.held else 'FAIL'}  {one.what}: {one.figures}")
    return 0 if all(one.held for one in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
