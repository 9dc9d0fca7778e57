"""`slabhound server` as a process: ready line, plain errors, an orderly end."""

from __future__ import annotations

import io
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.cli import main
from common.config import resolve
from common.errors import ConfigError
from server.cli import OPTIONS, UNREAD_SECONDS, _listen, settings_from
from server.storage.migrations import MIGRATIONS
from tests.server.harness import assert_problem, wire


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "common.cli", "server", *arguments]


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server process on a free port, with the address it printed."""
    with subprocess.Popen(command("--port", "0", *arguments), stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            assert process.stderr
            found = None
            while found is None:
                line = process.stderr.readline()
                assert line, "the server ended early"
                found = re.fullmatch(r"slabhound server listening on (http://\S+:[0-9]+)\n", line)
            yield found[1], process
        finally:
            process.terminate()
            process.wait()
            watchdog.cancel()


def ends(*arguments: str) -> str:
    """What a server that cannot start says; its status is 2."""
    said = io.StringIO()
    assert main(["server", *arguments], environ={}, stderr=said) == 2
    assert said.getvalue().count("\n") == 1
    assert said.getvalue().startswith("slabhound: ")
    return said.getvalue()


def test_a_server_serves_over_keep_alive_connections_and_ends_in_order(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/a.db"
    for number in (1, 2):  # the second finds what the first stored
        with serving("--store", store) as (address, process), httpx.Client(base_url=address) as client:
            assert client.get("/healthz").json()["status"] == "ok"
            for i in range(20):
                got = client.post("/api/v1/snapshots", json=wire("n1", taken_at=1000.0 * number + i))
                assert got.json() == {"stored": 1, "duplicates": 0}
            assert client.get("/readyz").json()["snapshots"] == 20 * number
            assert_problem(client.get("/api/v1/nope"), "not-found")
            assert client.head("/healthz").content == b""
            response = client.get("/api/v1/nodes/n1/snapshots/latest")
            assert response.json()["taken_at"] == f"1970-01-01T00:{'16:59' if number == 1 else '33:39'}.000Z"
            process.terminate()
            assert process.wait(30) == 0


def test_it_may_hold_as_many_connections_as_the_machine_allows(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(500, before[1]), before[1]))
    try:
        with serving("--store", f"sqlite:///{tmp_path}/a.db") as (_, process):
            assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
def test_the_kernel_hangs_up_on_who_takes_nothing_of_an_answer() -> None:
    with closing(_listen("127.0.0.1", 0)) as listener, closing(socket.create_connection(listener.getsockname())):
        accepted, _ = listener.accept()
        with closing(accepted):
            milliseconds = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert milliseconds == UNREAD_SECONDS * 1000


def test_ctrl_c_ends_it_in_order_too(tmp_path: Path) -> None:
    with serving("--store", f"sqlite:///{tmp_path}/a.db") as (_, process):
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 0


def test_a_token_file_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    options = ("--store", f"sqlite:///{tmp_path}/a.db", "--token-file", str(tmp_path / "tokens"))
    with serving(*options) as (address, _):
        assert_problem(httpx.get(f"{address}/api/v1/nodes"), "unauthenticated")
        known = {"Authorization": "Bearer secret"}
        assert httpx.get(f"{address}/api/v1/nodes", headers=known).status_code == 200


def test_what_keeps_it_from_starting_is_one_line(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/a.db"
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        assert "choose another --port" in ends("--port", port, "--store", store)
    assert "--port" in ends("--port", "70000")
    assert "--host" in ends("--host", "300.0.0.1", "--port", "0", "--store", store)
    (tmp_path / "file").touch()
    assert f"{tmp_path}/file" in ends("--port", "0", "--store", f"sqlite:///{tmp_path}/file/a.db")
    assert "sqlite:///" in ends("--port", "0", "--store", "postgres://x")
    assert f"{tmp_path}/none" in ends("--port", "0", "--store", store, "--token-file", f"{tmp_path}/none")


def test_init_says_what_it_made(tmp_path: Path) -> None:
    for made in (", ".join(name for name, _ in MIGRATIONS), "nothing was to do"):
        said = io.StringIO()
        assert main(["server", "--init", "--store", f"sqlite:///{tmp_path}/a.db"], environ={}, stdout=said) == 0
        assert said.getvalue() == f"the store is ready ({made})\n"


def settled(**given: Any) -> Any:
    values = resolve(
        "server", OPTIONS, given=given, environ={}, path=None, commands=(), known_elsewhere=bool, warn=lambda _: None
    )
    return settings_from(type("Options", (), values)())


def test_options_become_settings() -> None:
    settings = settled(max_body="1MiB", retention_raw="2d", material_share="0.01", material_rate="1KiB", q_limit="0.5")
    assert (settings.max_body, settings.retention.snapshots) == (2**20, 172800)
    assert (settings.analysis.material_fraction, settings.analysis.material_bytes_per_hour) == (0.01, 1024)
    assert settings.analysis.q_limit == 0.5
    assert settled(token_file="x").token_file == Path("x")


def test_one_body_always_fits_into_what_may_be_pending() -> None:
    assert settled(max_body="1GiB").max_pending == 2 * 2**30


@pytest.mark.parametrize(
    "given",
    [
        {"max_body": "0"},
        {"max_body": "many"},
        {"max_nodes": "0"},
        {"material_share": "0"},
        {"material_share": "nan"},
        {"q_limit": "2"},
        {"log_level": "loud"},
        {"retention_raw": "999d"},
        {"retention_1h": "soon"},
        {"port": "-1"},
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        settled(**given)
