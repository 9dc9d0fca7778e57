"""The images built and run for real, by podman: `make test-containers`."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.containers import engine as containers

NODE = "this-machine"
SERVER, AGENT, DEMO = "slabhound_server_1", "slabhound_agent_1", "slabhound_demo_1"

pytestmark = pytest.mark.containers


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[containers.Engine]:
    if why := containers.missing():
        pytest.skip(why)
    engine = containers.Engine(tmp_path_factory.mktemp("podman"))
    try:
        dockerfile = (containers.ROOT / "Dockerfile").read_text(encoding="utf-8")
        found = re.search(r"^ARG PYTHON=(\S+-(\w+))$", dockerfile, re.MULTILINE)
        assert found
        engine.import_base(found[1], found[2])
        version = "import sys; print('%d.%d' % sys.version_info[:2])"
        python = engine.podman("run", "--rm", "--network=none", f"localhost/{found[1]}", "python3", "-c", version)
        wheels = engine.download_wheels(containers.ROOT / "requirements" / "server.txt", python.strip())
        for target in ("agent", "server"):
            engine.build(target, wheels)
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.fixture(scope="module")
def fleet(engine: containers.Engine, port: int) -> Iterator[httpx.Client]:
    """Everything docker-compose.yml names, running."""
    engine.compose("up", "--detach", "--no-build", "server", "agent", port=port, node=NODE)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10, trust_env=False) as client:
            yield client
    finally:
        for name in engine.containers():
            sys.stderr.write(f"{name}:\n{engine.logs(name)}\n")
        engine.compose("down", "--volumes", port=port, node=NODE)


def nodes(client: httpx.Client) -> dict[str, Any]:
    try:
        return {item["node"]: item for item in client.get("/nodes").json()["items"]}
    except httpx.TransportError:
        return {}


def eventually(what: Callable[[], Any], seconds: float = 60) -> Any:
    """The first true answer within so many seconds."""
    end = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < end, "nothing came of it in time"
        time.sleep(0.5)
    return answer


def test_the_agent_reads_this_machine_s_kernel(fleet: httpx.Client) -> None:
    node = eventually(lambda: nodes(fleet).get(NODE))
    assert node["group"] == "real"
    assert node["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    text = fleet.get(f"/nodes/{NODE}/snapshots/latest", headers={"Accept": "text/plain"}).text
    ours = {line.split()[0] for line in Path("/proc/slabinfo").read_text().splitlines()[2:]}
    assert len(ours & {line.split()[0] for line in text.splitlines()[2:]}) > 0.9 * len(ours)
    latest = fleet.get(f"/nodes/{NODE}/snapshots/latest").json()
    assert any(latest["caches"]["reclaimable"])


def test_both_are_healthy(engine: containers.Engine, fleet: httpx.Client) -> None:
    eventually(lambda: nodes(fleet).get(NODE))
    assert engine.healthy(SERVER)
    assert engine.healthy(AGENT)


def test_neither_can_do_more_than_it_must(engine: containers.Engine, fleet: httpx.Client) -> None:
    eventually(lambda: nodes(fleet).get(NODE))
    for name, uid in ((SERVER, "10001"), (AGENT, "0")):
        status = engine.podman("exec", name, "cat", "/proc/1/status")
        assert re.search(rf"^Uid:\s+{uid}\s", status, re.MULTILINE)
        assert re.findall(r"^Cap\w+:\s+(\w+)$", status, re.MULTILINE) == ["0" * 16] * 5
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
        engine.podman("exec", name, "sh", "-c", "! touch /anywhere 2>/dev/null")
    engine.podman("exec", AGENT, "sh", "-c", "! touch /host/proc/sys/kernel/hostname 2>/dev/null")


def test_simulated_nodes_beside_them_and_the_report_names_the_leak(
    engine: containers.Engine, fleet: httpx.Client, port: int
) -> None:
    engine.compose("up", "--detach", "--no-build", "demo", port=port, node=NODE)
    eventually(lambda: "Ctrl-C ends" in engine.logs(DEMO), seconds=120)
    report = fleet.get("/outliers", params={"window": "24h", "group": "lvs"}).json()
    assert [(f["node"], f["cache"]) for f in report["findings"]] == [("lvs3", "scsi_cmd_cache")]
    shown = engine.podman("exec", SERVER, "slabhound", "nodes", "--json")
    assert {"lvs1", "lvs6", NODE} <= {item["node"] for item in json.loads(shown)["items"]}


def test_a_killed_aggregator_comes_back_with_its_data_and_the_agent_catches_up(
    engine: containers.Engine, fleet: httpx.Client
) -> None:
    before = eventually(lambda: nodes(fleet).get(NODE))
    engine.podman("kill", "--signal", "KILL", SERVER)
    time.sleep(1)
    engine.podman("restart", AGENT)
    time.sleep(12)  # the agent reads within ten seconds of its start; that snapshot waits in the spool
    engine.podman("start", SERVER)
    eventually(lambda: engine.healthy(SERVER))
    after = eventually(
        lambda: (node := nodes(fleet).get(NODE)) and node["last_seen"] > before["last_seen"] and node, seconds=150
    )
    assert after["boot_id"] == before["boot_id"]
    instants = fleet.get(f"/nodes/{NODE}/snapshots").json()["items"]
    assert len(instants) >= 2
    assert len({item["taken_at"] for item in instants}) == len(instants)


def test_volumes_outlive_their_containers(engine: containers.Engine, fleet: httpx.Client, port: int) -> None:
    before = len(fleet.get(f"/nodes/{NODE}/snapshots").json()["items"])
    engine.compose("down", port=port, node=NODE)
    engine.compose("up", "--detach", "--no-build", "server", port=port, node=NODE)
    eventually(lambda: NODE in nodes(fleet))
    assert len(fleet.get(f"/nodes/{NODE}/snapshots").json()["items"]) >= before


def test_the_aggregator_stops_in_an_orderly_way(engine: containers.Engine, fleet: httpx.Client) -> None:
    eventually(lambda: nodes(fleet))
    engine.podman("stop", "--time", "15", SERVER)
    state = json.loads(engine.podman("inspect", SERVER))[0]["State"]
    assert state["ExitCode"] == 0
