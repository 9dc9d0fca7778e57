"""A real agent process, a real aggregator process, this machine's own kernel: what it said comes back unchanged."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import httpx

from common.slabinfo import parse
from server.demo_server import ServerProcess
from tests.e2e.processes import SLABINFO, command, environment, json_of, needs_slabinfo, slabhound


def latest(server: ServerProcess, node: str, accept: str) -> httpx.Response:
    address = f"{server.address}/api/v1/nodes/{node}/snapshots/latest"
    return httpx.get(address, headers={"Accept": accept}, trust_env=False).raise_for_status()


def frozen_kernel(folder: Path) -> Path:
    """This machine's /proc files that the agent reads, standing still."""
    for name in ("slabinfo", "meminfo", "uptime", "sys/kernel/random/boot_id", "sys/kernel/osrelease"):
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((Path("/proc") / name).read_bytes())
    return folder


@needs_slabinfo
def test_the_kernel_s_own_text_comes_back_byte_for_byte(server: ServerProcess, tmp_path: Path) -> None:
    proc = frozen_kernel(tmp_path / "proc")
    slabhound(
        "agent", "--once", "--server", server.address, "--node", "here", "--proc", proc, "--spool", tmp_path / "spool"
    )
    assert latest(server, "here", "text/plain").text == (proc / "slabinfo").read_text()


@needs_slabinfo
def test_json_and_text_say_the_same_of_the_live_kernel(server: ServerProcess, tmp_path: Path) -> None:
    before = parse(SLABINFO.read_text()).caches
    slabhound("agent", "--once", "--server", server.address, "--node", "here", "--spool", tmp_path / "spool")
    said = latest(server, "here", "application/json").json()
    text = parse(latest(server, "here", "text/plain").text).caches
    for name in ("name", "active_objs", "num_objs", "obj_size", "objs_per_slab", "pages_per_slab", "num_slabs"):
        assert said["caches"][name] == getattr(text, name)
    assert (text.name, text.obj_size) == (before.name, before.obj_size)
    assert said["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert said["memory"]["total"] > 0
    (node,) = json_of(slabhound("nodes", "--server", server.address, "--json"))["items"]
    assert node["node"] == "here"


@needs_slabinfo
def test_an_agent_in_the_foreground_sends_on_and_ends_at_once(server: ServerProcess, tmp_path: Path) -> None:
    agent = subprocess.Popen(
        command(
            "agent", "--server", server.address, "--node", "here", "--interval", "1s", "--spool", tmp_path / "spool"
        ),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 20
        while len(instants(server)) < 3:
            assert time.monotonic() < deadline, "no three snapshots within 20 s"
            assert agent.poll() is None
            time.sleep(0.2)
        agent.send_signal(signal.SIGTERM)
        said, _ = agent.communicate(timeout=5)
    finally:
        agent.kill()
        agent.wait()
    assert agent.returncode == 0, said
    times = instants(server)
    assert times == sorted(set(times))


def instants(server: ServerProcess) -> list[str]:
    answer = httpx.get(f"{server.address}/api/v1/nodes/here/snapshots?limit=1000", trust_env=False)
    return [item["taken_at"] for item in answer.json().get("items", [])]
