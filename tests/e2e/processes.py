"""Real processes for the end-to-end tests: the command line, and a child that holds kernel objects."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from common.commands.client import Client
from common.commands.upload import Uploader
from common.snapshot import Snapshot

__all__ = ["SLABINFO", "command", "needs_slabinfo", "push", "slabhound", "sockets_held"]

SLABINFO = Path("/proc/slabinfo")


def _readable() -> bool:
    try:
        return bool(SLABINFO.read_text())
    except OSError:
        return False


needs_slabinfo = pytest.mark.skipif(
    not _readable(), reason="/proc/slabinfo cannot be read here (it takes root, or CAP_DAC_READ_SEARCH)"
)


def command(*arguments: str | Path) -> list[str]:
    """`slabhound ARGUMENTS` by this interpreter."""
    return [sys.executable, "-m", "common.cli", *map(str, arguments)]


def environment() -> dict[str, str]:
    """This process's environment without settings of slabhound's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SLABHOUND_")}


def slabhound(*arguments: str | Path, status: int = 0, timeout: float = 60.0) -> str:
    """Runs a command to its end and gives its standard output; fails unless it exits with `status`."""
    done = subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode != status:
        pytest.fail(f"{done.args[2:]} ended with {done.returncode}, not {status}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def push(address: str, snapshots: Iterable[Snapshot]) -> int:
    """Sends snapshots over HTTP; how many were stored."""
    with Client(address) as client:
        uploader = Uploader(client)
        for snapshot in snapshots:
            uploader.add(snapshot)
        uploader.finish()
    assert uploader.outcome.reasons == []
    return uploader.outcome.stored


_HOLDER = """
import resource, socket, sys, time
count, pace = int(sys.argv[1]), float(sys.argv[2])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held, began = [], time.monotonic()
while len(held) < count:
    due = count if not pace else min(count, int((time.monotonic() - began) * pace))
    while len(held) < due:
        held.append(socket.socket(socket.AF_UNIX))
    time.sleep(0.02)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def sockets_held(most: int, *, per_second: float = 0.0) -> Iterator[int]:
    """A child process opens UNIX sockets and never closes them, until the block ends; how many it will hold.

    At once, or `per_second` of them. `most` is cut to what the limit on open files allows.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = most if hard == resource.RLIM_INFINITY else min(most, hard - 64)
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(count), str(per_second)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin
    assert child.stdout
    try:
        if not per_second:
            assert child.stdout.readline() == "held\n"
        yield count
    finally:
        child.kill()
        child.communicate()


def json_of(text: str) -> Any:
    """The JSON a command printed."""
    return json.loads(text)
