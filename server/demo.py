"""`slabhound demo`: an aggregator, simulated nodes with a day of history, one that leaks, and the report on them."""

from __future__ import annotations

import heapq
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.commands import report
from common.commands.client import Client
from common.commands.upload import Uploader
from common.config import Option
from common.errors import ConfigError, ServerError
from common.server_url import server_url
from common.snapshot import Snapshot
from common.terminal.progress import Progress
from common.terminal.screen import Screen
from server.demo_server import RunningServer, ServerProcess
from server.simulator.fleet import Fleet, FleetSpec
from server.simulator.node import Leak, NodeSpec
from server.simulator.processes import generator

__all__ = ["OPTIONS", "demo_fleet", "run"]

HISTORY_HOURS, LIVE_HOURS = 24.0, 24.0
INTERVAL = 60.0
"""Seconds between two snapshots of a node."""
LEAK_HOURS, LEAK_BYTES_PER_HOUR = 14.0, 2_400_000.0
"""Of the story behind slabdiff: an LVS node's scsi_cmd_cache lost at least 2.4 MB/h."""
_USUAL_PORT = 8080
_Server = ServerProcess | RunningServer


def _number(least: int, most: int, text: str) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(f"{text!r} is no number from {least} to {most}")
    return int(text)


OPTIONS = (
    Option("seed", "another fleet, the same for the same number", type=lambda t: _number(0, 2**32, t), default=1),
    Option("nodes", "simulated nodes", type=lambda t: _number(2, 500, t), default=6, metavar="N"),
    Option(
        "port",
        f"where the aggregator listens on 127.0.0.1; 0: {_USUAL_PORT} where that is free, else any free one",
        type=lambda t: _number(0, 65535, t),
        default=0,
        metavar="PORT",
    ),
    Option("once", "end after the report", flag=True),
    Option(
        "into",
        "push into this aggregator instead of starting one; a test's, as the nodes stay",
        server_url,
        metavar="URL",
    ),
    Option(
        "keep", "keep the store in this folder, which must not have one yet (else it goes at the end)", metavar="DIR"
    ),
)


def run(options: Namespace) -> int:
    """Starts everything, prints the report, then pushes on until Ctrl-C. Raises SlabhoundError."""
    screen: Screen = options.screen
    began = time.time()
    fleet = demo_fleet(options.seed, options.nodes, now=began, live=not options.once)
    with _ending_on_sigterm(), _folder(options.keep) as folder:
        place = options.into or "an aggregator of its own"
        screen.err.write(f"simulating {options.nodes} nodes with a day of history, for {place}\n")
        screen.err.flush()
        with _server(options, folder) as server:
            pushed = _push_history(server, fleet, began, screen)
            screen.err.write(f"pushed {pushed:,} snapshots to {server.address} in {time.time() - began:.0f} s\n\n")
            screen.err.flush()
            _report(server, screen)
            screen.write(_afterwards(server.address, fleet, options))
            screen.out.flush()
            if not options.once:
                _push_on(server, fleet, began, screen)
    return 0


def demo_fleet(seed: int, nodes: int, *, now: float, live: bool) -> Fleet:
    """lvs1, lvs2, ...: like nodes of one group, a day of history before `now`; one loses scsi_cmd_cache objects."""
    rng = generator(seed, "demo")
    specs = tuple(
        NodeSpec(
            f"lvs{i}",
            "lvs",
            labels=(("rack", f"r{1 + (i - 1) % 3}"),),
            busy=float(rng.lognormal(0, 0.1)),
            phase_hours=float(rng.normal(0, 0.3)),
            weekend=1.0,
            uptime_hours=float(rng.uniform(200, 2000)),
        )
        for i in range(1, nodes + 1)
    )
    leaking = specs[2 % nodes].name
    leak = Leak(
        (leaking,),
        "scsi_cmd_cache",
        LEAK_BYTES_PER_HOUR,
        at=HISTORY_HOURS - LEAK_HOURS,
        also=(("scsi_sense_cache", 0.5),),
    )
    hours = HISTORY_HOURS + (LIVE_HOURS if live else 0.0)
    return Fleet(FleetSpec(seed, specs, (leak,), hours, INTERVAL, start=now - HISTORY_HOURS * 3600), cached=nodes)


def _push_history(server: _Server, fleet: Fleet, until: float, screen: Screen) -> int:
    """Everything taken up to `until`, two nodes at a time; how many snapshots the aggregator stored."""
    total = len(fleet.spec.nodes) * HISTORY_HOURS * 3600 / INTERVAL
    lock = threading.Lock()
    ended = threading.Event()

    def push(node: str) -> int:
        with Client(server.address) as client:
            uploader = Uploader(client)
            for snapshot in fleet.snapshots(node):
                if snapshot.taken_at > until or ended.is_set():
                    break
                uploader.add(snapshot)
                with lock:
                    progress.advance()
            uploader.finish()
            if uploader.outcome.refused:
                raise ServerError(f"the aggregator refused a simulated snapshot: {uploader.outcome.reasons[0]}")
            return uploader.outcome.stored

    with Progress(screen, "pushing history", total) as progress, ThreadPoolExecutor(2) as pool:
        try:
            return sum(pool.map(push, [node.name for node in fleet.spec.nodes]))
        except ServerError:
            server.check()
            raise
        finally:
            ended.set()
            pool.shutdown(cancel_futures=True)


def _report(server: _Server, screen: Screen) -> None:
    """What `slabhound report --server ADDRESS` prints."""
    wanted: dict[str, Any] = {option.attribute: option.default for option in report.OPTIONS}
    wanted |= {"server": server.address, "json": False, "screen": screen}
    try:
        report.run(Namespace(**wanted))
    except ServerError:
        server.check()
        raise


def program_name(started_as: str, path: str | None) -> str:
    """How to call slabhound from here: by the path that started it where no folder of `path` has it."""
    named = Path(started_as).name == "slabhound" and shutil.which("slabhound", path=path) is None
    return started_as if named else "slabhound"


def _afterwards(address: str, fleet: Fleet, options: Namespace) -> list[str]:
    leaking = fleet.spec.leaks[0].nodes[0]
    if options.once:
        return []
    api, program = f"{address}/api/v1", program_name(sys.argv[0], os.environ.get("PATH"))
    return [
        "",
        f"The aggregator listens at {address} (described at {address}/docs) and goes on hearing from every node.",
        "While it does, try:",
        f"  {program} report --server {address}",
        f"  {program} compare scsi_cmd_cache --server {address}",
        f"  {program} show {leaking} --server {address}",
        f"  curl '{api}/nodes/{leaking}/diff' -H 'Accept: text/plain'",
        f"  curl '{api}/nodes/{leaking}/snapshots/latest' -H 'Accept: text/plain'",
        _ending(options),
    ]


def _ending(options: Namespace) -> str:
    if options.into:
        return "Ctrl-C ends the simulated nodes; what they sent stays there."
    return "Ctrl-C ends it all" + (
        f"; the store stays in {options.keep}." if options.keep else " and leaves nothing behind."
    )


def _push_on(server: _Server, fleet: Fleet, since: float, screen: Screen) -> None:
    """Sends every node's snapshots as their time comes, until Ctrl-C or SIGTERM."""
    coming = heapq.merge(*(_after(fleet, node.name, since) for node in fleet.spec.nodes), key=lambda s: s.taken_at)
    try:
        with Client(server.address) as client:
            uploader = Uploader(client)
            for snapshot in coming:
                while (wait := snapshot.taken_at - time.time()) > 0:
                    time.sleep(min(wait, 1.0))
                    server.check()
                uploader.add(snapshot)
                uploader.finish()
            screen.err.write("the simulated days are over; the aggregator stays until Ctrl-C\n")
            while True:
                time.sleep(1.0)
                server.check()
    except KeyboardInterrupt:
        screen.err.write("\nending\n")
    except ServerError:
        server.check()
        raise


def _after(fleet: Fleet, node: str, since: float) -> Iterator[Snapshot]:
    return (snapshot for snapshot in fleet.snapshots(node) if snapshot.taken_at > since)


def _server(options: Namespace, folder: Path) -> _Server:
    return RunningServer(options.into) if options.into else ServerProcess(folder, port=options.port or _free_port())


def _free_port() -> int:
    """The usual port where it is free, else 0 for any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _USUAL_PORT))
        except OSError:
            return 0
    return _USUAL_PORT


@contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    """Where the store lies: a folder to keep, or one that goes at the end."""
    if keep:
        folder = Path(keep)
        if (folder / "slabhound.db").exists():
            raise ConfigError(f"{folder / 'slabhound.db'} exists already: give --keep another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot make the folder: {error.strerror}") from None
        yield folder
    else:
        folder = Path(tempfile.mkdtemp(prefix="slabhound-demo-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that closes, end the demo as Ctrl-C does: its server and folder go too."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    heeded = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
