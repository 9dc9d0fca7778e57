"""The agent as a program: started, starved, signalled, killed; nothing it collected is lost."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from common.times import parse_time
from tests.agent.conftest import Kernel
from tests.agent.fake_server import Answer, FakeServer, serve

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
"""Seconds until a test gives up; nothing here takes one on an idle machine."""


def command(kernel: Kernel, tmp_path: Path, server: str, *more: str) -> list[str]:
    roots = ["--proc", str(kernel.proc), "--sys", str(kernel.sys)]
    rest = ["--spool", str(tmp_path / "spool"), "--interval", "1s", "--node", "n1", *more]
    return [sys.executable, "-m", "agent", "--server", server, *roots, *rest]


@contextmanager
def running(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def spooled(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(gzip.decompress(path.read_bytes())) for path in sorted((tmp_path / "spool").glob("0*.gz"))]


def sent(server: FakeServer) -> list[float]:
    return [parse_time(str(snapshot["taken_at"])) for request in server.received for snapshot in request.snapshots]


def ended(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    process.send_signal(number)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, log
    return log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_server_hangs_loses_nothing(kernel: Kernel, tmp_path: Path, number: int) -> None:
    with serve(Answer(), Answer(hang=True)) as server, running(command(kernel, tmp_path, server.url)) as process:
        until(lambda: len(server.received) == 2)
        log = ended(process, number)
        assert [parse_time(s["taken_at"]) for s in spooled(tmp_path)] == sent(server)[1:]
    assert "stopped; 1 snapshot kept in" in log
    assert "Traceback" not in log


def test_a_signal_while_it_sleeps_ends_it_with_everything_sent(kernel: Kernel, tmp_path: Path) -> None:
    with (
        serve() as server,
        running(command(kernel, tmp_path, server.url, "--interval", "1h")) as process,
    ):
        assert process.stderr is not None
        assert "every 1h" in process.stderr.readline()
        assert "everything is sent" in ended(process)


def test_kill_9_while_the_server_is_away_loses_nothing(kernel: Kernel, tmp_path: Path) -> None:
    with serve(*[Answer(503)] * 1000) as away, running(command(kernel, tmp_path, away.url)) as process:
        until(lambda: len(spooled(tmp_path)) >= 2)
        process.kill()
        process.wait()
    kept = [parse_time(s["taken_at"]) for s in spooled(tmp_path)]
    with serve() as server, running(command(kernel, tmp_path, server.url)) as process:
        until(lambda: len(sent(server)) > len(kept))
        ended(process)
        assert sent(server)[: len(kept)] == kept


def test_kill_9_from_a_new_look_up_on_loses_nothing(kernel: Kernel, tmp_path: Path) -> None:
    """A live connection proves dead: a look-up may take long, and what was in hand is on disk before it."""
    script = Answer(), Answer(drop=True), Answer(hang=True)
    with serve(*script) as server, running(command(kernel, tmp_path, server.url)) as process:
        until(lambda: len(server.received) == len(script))
        process.kill()
        process.wait()
        assert [request.connection for request in server.received] == [1, 1, 2]
        assert [parse_time(s["taken_at"]) for s in spooled(tmp_path)] == sent(server)[2:]


def test_once(kernel: Kernel, tmp_path: Path) -> None:
    with serve() as server:
        done = subprocess.run(
            command(kernel, tmp_path, server.url, "--once", "--group", "lvs", "--label", "rack=r4"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        snapshot = server.received[0].snapshots[0]
    assert done.stdout == ""
    assert (snapshot["node"], snapshot["group"], snapshot["labels"]) == ("n1", "lvs", {"rack": "r4"})
    assert snapshot["caches"]["name"] == ["scsi_cmd_cache", "raid5-md0", "dentry", "kmem_cache"]


def test_once_while_the_server_is_away(kernel: Kernel, tmp_path: Path) -> None:
    with serve(Answer(503)) as server:
        done = subprocess.run(
            command(kernel, tmp_path, server.url, "--once"), cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == f"slabhound: not sent: 503 Service Unavailable; 1 snapshot kept in {tmp_path}/spool\n"
    assert len(spooled(tmp_path)) == 1


def test_once_refused(kernel: Kernel, tmp_path: Path) -> None:
    with serve(Answer(422, body={"detail": "no such luck"})) as server:
        done = subprocess.run(
            command(kernel, tmp_path, server.url, "--once"), cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "slabhound: the server refuses for good: 422 no such luck\n"
    assert len(list((tmp_path / "spool/rejected").iterdir())) == 1


def test_once_stored_while_leftovers_are_refused(kernel: Kernel, tmp_path: Path) -> None:
    with serve(Answer(503)) as away:
        subprocess.run(command(kernel, tmp_path, away.url, "--once"), cwd=ROOT, capture_output=True, check=False)
    refusal = Answer(422, body={"detail": "no such luck"})
    with serve(refusal, refusal) as server:
        done = subprocess.run(
            command(kernel, tmp_path, server.url, "--once"), cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert [len(request.snapshots) for request in server.received] == [2, 1, 1]
    assert done.stderr == (
        "slabhound agent: the server refuses 1 snapshot of an earlier run for good: "
        f"set aside in {tmp_path}/spool/rejected\n"
    )
    assert done.returncode == 0


def test_what_was_set_aside_is_not_called_sent(kernel: Kernel, tmp_path: Path) -> None:
    with (
        serve(Answer(413)) as server,
        running(command(kernel, tmp_path, server.url, "--interval", "1h")) as process,
    ):
        until(lambda: list((tmp_path / "spool/rejected").glob("*.gz")))
        log = ended(process)
    assert log.splitlines()[-1] == (
        f"slabhound agent: stopped; 1 snapshot refused for good, set aside in {tmp_path}/spool/rejected"
    )


NOBODY = """
import os, sys
from common.cli import main
import agent.assembly, agent.cli, common.terminal.screen
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""
"""A root gives itself up once everything is loaded: another user need not be able to read this checkout."""


def test_denied_is_one_line_and_status_2(kernel: Kernel, tmp_path: Path) -> None:
    (kernel.proc / "slabinfo").chmod(0o400 if os.geteuid() == 0 else 0)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    agent = command(kernel, tmp_path, "http://127.0.0.1:9", "--once")[3:]
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, "agent", *agent], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "CAP_DAC_READ_SEARCH" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_is_one_thread_without_openssl_nor_the_server(kernel: Kernel, tmp_path: Path) -> None:
    with serve() as server, running(command(kernel, tmp_path, server.url)) as process:
        until(lambda: len(server.received) >= 2)
        folder = Path(f"/proc/{process.pid}")
        assert len(list((folder / "task").iterdir())) == 1
        maps = (folder / "maps").read_text()
        ended(process)
    for library in ("libssl", "libcrypto", "pydantic", "numpy", "sqlite3"):
        assert library not in maps
