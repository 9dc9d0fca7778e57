"""A real leak on this machine beside peers made by hand: `python -m bench.detection.by_hand --output FILE` (root).

A process opens pairs of UNIX sockets and never closes them, bounded by count; the agent's own collector reads this
kernel before and during that. The peers are what this kernel showed *before* the leak, walked forwards and backwards
from another instant each, on other scales and with jitter of their own: nothing comes from server.simulator.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from agent.collector import Collector, Identity
from agent.reader import ProcReader
from common.dumps import Tally, read_inputs
from common.snapshot import Snapshot, to_wire
from common.wire import load_snapshot
from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings
from server.dumps_source import MemorySource

__all__ = ["main", "peer"]

PEERS = {"peer1": (0.8, 0.0), "peer2": (1.0, 0.35), "peer3": (1.3, 0.7)}
"""(scale, share of the quiet time at which it starts) of each."""
MOST_PAIRS = 4000
"""Two descriptors and about 5 KiB each: 20 MiB at most."""


def leak(pairs_per_second: float) -> None:
    """Opens socket pairs and keeps them until standard input ends, or MOST_PAIRS are open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kept: list[tuple[socket.socket, socket.socket]] = []
    begun = time.monotonic()
    while len(kept) < min(MOST_PAIRS, hard // 2 - 50):
        while len(kept) < (time.monotonic() - begun) * pairs_per_second:
            kept.append(socket.socketpair())
        time.sleep(0.25)
    sys.stdin.read()


def record(quiet: float, leaking: float, interval: float, pairs_per_second: float) -> tuple[list[Snapshot], int]:
    """Snapshots of this kernel, and how many of them come from before the leak. Times in seconds."""
    collector = Collector(ProcReader(), Identity("leaky", "hand"))
    begun, taken, before = time.monotonic(), list[Snapshot](), 0
    child: subprocess.Popen[bytes] | None = None
    try:
        while (now := time.monotonic() - begun) < quiet + leaking:
            if child is None and now >= quiet:
                before = len(taken)
                command = [sys.executable, "-m", "bench.detection.by_hand", "--leak", str(pairs_per_second)]
                child = subprocess.Popen(command, stdin=subprocess.PIPE)
            taken.append(collector.collect(interval))
            time.sleep(max(0.0, begun + interval * len(taken) - time.monotonic()))
    finally:
        if child is not None:
            child.kill()
            child.wait()
    return taken, before


def peer(name: str, quiet: Sequence[Snapshot], times: Sequence[Snapshot]) -> list[Snapshot]:
    """A node of its own for the instants of `times`, from what the kernel showed in `quiet`."""
    scale, begin = PEERS[name]
    rng = np.random.default_rng(sum(name.encode()))
    num = np.array([one.caches.num_objs for one in quiet], dtype=np.float64)
    active = np.array([one.caches.active_objs for one in quiet], dtype=np.float64)
    per_slab = np.array(quiet[0].caches.objs_per_slab, dtype=np.float64)
    varies = num.max(axis=0) > num.min(axis=0)
    lap = [*range(len(quiet)), *range(len(quiet) - 2, 0, -1)]
    made = []
    for step, model in enumerate(times):
        at = lap[(int(begin * len(quiet)) + step) % len(lap)]
        slabs = num[at] / per_slab
        moved = np.maximum(np.round(slabs * scale + rng.normal(0, 0.4 + 0.003 * slabs)), np.ceil(slabs * scale / 2))
        total = np.where(varies, moved * per_slab, np.round(slabs * scale) * per_slab)
        used = np.minimum(np.round(active[at] / np.maximum(num[at], 1) * total), total)
        memory = quiet[at].memory
        caches = replace(
            quiet[at].caches,
            num_objs=total.astype(int).tolist(),
            active_objs=used.astype(int).tolist(),
            num_slabs=(total / per_slab).astype(int).tolist(),
            active_slabs=(total / per_slab).astype(int).tolist(),
        )
        if memory is not None and memory.available is not None:
            memory = replace(memory, available=int(memory.available * (1.05 - scale / 20) * rng.normal(1, 1e-3)))
        uptime = None if model.uptime_seconds is None else model.uptime_seconds + 1e5 * scale
        made.append(
            replace(model, node=name, boot_id=f"boot-of-{name}", uptime_seconds=uptime, memory=memory, caches=caches)
        )
    return made


def replay(path: Path, begun: float) -> None:
    """A report every minute, over what there is by then and over its last part: who is named, and when first."""
    source = MemorySource()
    for snapshot in read_inputs([str(path)], load_line=load_snapshot, tally=Tally()):
        source.add(snapshot)
    first, last, _ = source.span()
    for name, length in (("all data so far", last - first), ("the last 15 minutes", 900.0)):
        named: dict[tuple[str | None, str], list[float]] = {}
        ends = np.arange(first + 180, last + 1, 60).tolist()
        for end in ends:
            begin = max(first, end - length)
            for found in judge(source, start=begin, end=end, group=None, settings=AnalysisSettings()).findings:
                named.setdefault((found.node, found.cache), []).append((end - begun) / 60)
        print(f"{len(ends)} reports, one a minute, of {name}; findings in any of them:")
        for (node, cache), minutes in named.items():
            print(f"  {node} {cache}: in {len(minutes)}, first {minutes[0]:.0f} minutes after the leak began")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("by-hand.ndjson.gz"))
    parser.add_argument("--quiet", type=float, default=12.0, help="minutes before the leak")
    parser.add_argument("--leaking", type=float, default=20.0, help="minutes with it")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds")
    parser.add_argument("--pairs", type=float, default=1.0, help="socket pairs a second")
    parser.add_argument("--leak", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.leak is not None:
        leak(given.leak)
        return
    own, before = record(given.quiet * 60, given.leaking * 60, given.interval, given.pairs)
    alike = [one for one in own[:before] if one.caches.name == own[0].caches.name]  # a cache may come or go meanwhile
    fleet = [own, *(peer(name, alike, own) for name in PEERS)]
    with gzip.open(given.output, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(to_wire(one)) + "\n" for node in fleet for one in node)
    print(f"{len(own)} snapshots of each of {len(fleet)} nodes; the leak began after {before}", flush=True)
    subprocess.run(
        [Path(sys.executable).with_name("slabhound"), "analyze", given.output, "--window", "all"], check=False
    )
    replay(given.output, own[before].taken_at)


if __name__ == "__main__":
    main()
