"""`slabhound demo`, from nothing to the report that names the leak."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx

from server.demo_server import ServerProcess
from tests.e2e.processes import command, environment, json_of, slabhound


def test_the_demo_ends_at_a_report_that_names_the_leak(tmp_path: Path) -> None:
    text = slabhound("demo", "--once", "--nodes", "4", "--port", free_port(), "--keep", tmp_path / "kept")
    assert re.search(r"^ 1\. lvs3  scsi_cmd_cache ", text, re.MULTILINE), text
    assert re.search(r"^1 finding:", text, re.MULTILINE), text
    assert (tmp_path / "kept" / "slabhound.db").stat().st_size > 0


def test_the_demo_can_fill_an_aggregator_that_runs_already(server: ServerProcess) -> None:
    slabhound("demo", "--once", "--nodes", "2", "--into", server.address)
    nodes = json_of(slabhound("nodes", "--server", server.address, "--json"))["items"]
    assert [node["node"] for node in nodes] == ["lvs1", "lvs2"]


def test_a_store_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "slabhound.db").touch()
    assert slabhound("demo", "--once", "--keep", tmp_path, status=2) == ""


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        demo = subprocess.run(
            command("demo", "--once", "--port", port),
            env=environment() | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert demo.returncode == 2
    assert f"port {port}" in demo.stderr.splitlines()[-1]
    assert "Traceback" not in demo.stderr
    assert list(tmp_path.iterdir()) == []


def test_sigterm_ends_the_demo_its_server_and_its_folder(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        command("demo", "--nodes", "2", "--port", free_port()),
        env=environment() | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stdout
        said = ""
        while "Ctrl-C" not in said and (line := demo.stdout.readline()):
            said += line
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, said
        assert httpx.get(f"{found[0]}/healthz", trust_env=False).status_code == 200
        (folder,) = tmp_path.glob("slabhound-demo-*")
        demo.send_signal(signal.SIGTERM)
        _, error = demo.communicate(timeout=20)
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode == 0, error
    assert not folder.exists()
    time.sleep(0.1)
    assert not listening(found[0])


def listening(address: str) -> bool:
    try:
        httpx.get(f"{address}/healthz", trust_env=False)
    except httpx.ConnectError:
        return False
    return True


def free_port() -> str:
    """A port that was free a moment ago; the usual one may be anybody's."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])
