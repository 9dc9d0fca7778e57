"""A cache of this machine's own kernel made to grow, by a process that opens sockets and never closes them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from server.demo_server import ServerProcess
from server.simulator.fleet import Fleet, FleetSpec
from server.simulator.node import NodeSpec
from tests.e2e.processes import (
    SLABINFO,
    command,
    environment,
    json_of,
    needs_slabinfo,
    push,
    slabhound,
    sockets_held,
)

SOCKETS = "sock_inode_cache"
"""Its constructor keeps the kernel from merging it with another (mm/slab_common.c, find_mergeable)."""


def dump(path: Path) -> Path:
    path.write_bytes(SLABINFO.read_bytes())
    return path


@needs_slabinfo
def test_diff_shows_what_a_process_took(tmp_path: Path) -> None:
    before = dump(tmp_path / "before.slabinfo")
    with sockets_held(15_000) as held:
        if held < 2_000:
            pytest.skip(f"only {held} files may be open here")
        during = dump(tmp_path / "during.slabinfo")
    grown = dict(line.rsplit(": ", 1) for line in slabhound("diff", "allocated", before, during).splitlines())
    assert int(grown[SOCKETS]) > 0.8 * held * 600
    used = dict(line.rsplit(": ", 1) for line in slabhound("diff", "ac", before, during).splitlines())
    assert int(used[SOCKETS]) > 0.8 * held * 600


@needs_slabinfo
def test_the_report_names_this_machine_beside_simulated_peers(server: ServerProcess, tmp_path: Path) -> None:
    """The node, its counts and its times are real; so are both processes. Its four peers are simulated.

    The leak is fast because the window is short: the analysis wants ten samples and eight buckets of 5 s.
    """
    seconds = 46
    sending = ("agent", "--server", server.address, "--interval", "1s", "--node", "real", "--group", "mixed")
    agent = subprocess.Popen(command(*sending, "--spool", tmp_path / "spool"), env=environment())
    began = time.time()
    try:
        with sockets_held(19_000, per_second=350) as held:
            if held < 10_000:
                pytest.skip(f"only {held} files may be open here")
            time.sleep(seconds)
            peers = tuple(NodeSpec(f"peer{i}", "mixed", weekend=1.0, jitter=0.2) for i in range(1, 5))
            fleet = Fleet(FleetSpec(1, peers, (), seconds / 3600, 1.0, start=began))
            for peer in peers:
                assert push(server.address, fleet.snapshots(peer.name)) > 40
            wanted = ("--server", server.address, "--window", f"{seconds}s", "--json")
            report = json_of(slabhound("report", *wanted, status=1))
    finally:
        agent.terminate()
        assert agent.wait(timeout=10) == 0
    named = {
        (finding["node"], name)
        for finding in report["findings"]
        for name in (finding["cache"], *finding["aliases"], *(also["cache"] for also in finding["also"]))
    }
    assert ("real", SOCKETS) in named
    assert report["findings"][0]["node"] == "real"
