"""A disk that is really full, or read-only: agents are told to come again, and nothing acknowledged is lost."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.snapshot import to_wire
from common.times import parse_time
from server.demo_server import ServerProcess
from tests.e2e.processes import command, environment
from tests.factories import START, make_snapshot

BLOCK = 4096


def mount(*arguments: str | Path) -> None:
    """Skips the test where nothing can be mounted."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here (it takes root): {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid():
        pytest.skip("a small disk cannot be mounted here (it takes root)")
    mount("-t", "tmpfs", "-o", "size=8m", "slabhound-test", place)
    yield place
    subprocess.run(["umount", place], check=True)


@contextmanager
def running(folder: Path, disk: Path) -> Iterator[ServerProcess]:
    """What the server says goes elsewhere than its store."""
    with ServerProcess(folder, options=("--store", f"sqlite:///{disk}/slabhound.db")) as server:
        yield server


def fill(disk: Path) -> Path:
    """A file that leaves no byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * BLOCK):
                pass
        except OSError:
            pass
    return filler


class Pushing:
    """Pushes one snapshot after the other, and keeps what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[float] = []
        self._times, self.http = itertools.count(START), httpx.Client(trust_env=False, verify=False)

    def once(self, address: str) -> httpx.Response:
        at = float(next(self._times))
        answer = self.http.post(f"{address}/api/v1/snapshots", json=to_wire(make_snapshot("n1", at)))
        if answer.status_code == httpx.codes.CREATED:
            self.acknowledged.append(at)
        return answer

    def until(self, address: str, status: int) -> httpx.Response:
        for _ in range(20_000):
            answer = self.once(address)
            if answer.status_code == status:
                return answer
        pytest.fail(f"20,000 pushes, and none was answered {status}")


@pytest.fixture
def pushing() -> Iterator[Pushing]:
    made = Pushing()
    yield made
    made.http.close()


def get(server: ServerProcess, path: str) -> httpx.Response:
    return httpx.get(server.address + path, trust_env=False, timeout=30, verify=False)


def stored(server: ServerProcess) -> set[float]:
    times: set[float] = set()
    query = "limit=1000"
    while query:
        page: dict[str, Any] = get(server, f"/api/v1/nodes/n1/snapshots?{query}").json()
        times.update(parse_time(item["taken_at"]) for item in page["items"])
        query = f"limit=1000&cursor={page['next']}" if page["next"] else ""
    return times


def test_a_full_disk_turns_agents_away_until_there_is_room(tmp_path: Path, disk: Path, pushing: Pushing) -> None:
    with running(tmp_path, disk) as server:
        for _ in range(50):
            assert pushing.once(server.address).status_code == httpx.codes.CREATED
        filler = fill(disk)
        refused = pushing.until(server.address, httpx.codes.SERVICE_UNAVAILABLE)
        assert refused.json()["type"] == "urn:slabhound:problem:store-full"
        assert "disk is full" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) > 0
        ready = get(server, "/readyz")
        assert ready.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "disk is full" in ready.json()["detail"]
        assert re.search(r"^slabhound_store_writable 0(\.0)?$", get(server, "/metrics").text, re.MULTILINE)
        assert get(server, "/healthz").status_code == httpx.codes.OK
        assert stored(server) == set(pushing.acknowledged)  # reading goes on
        filler.unlink()
        assert pushing.once(server.address).status_code == httpx.codes.CREATED
        assert get(server, "/readyz").status_code == httpx.codes.OK
        assert stored(server) == set(pushing.acknowledged)


def test_an_import_into_a_full_disk_ends_at_once(tmp_path: Path, disk: Path, pushing: Pushing) -> None:
    dumps = tmp_path / "dumps.ndjson"
    dumps.write_text("\n".join(json.dumps(to_wire(make_snapshot("n1", START - 60 * i))) for i in range(1, 5000)))
    with running(tmp_path, disk) as server:
        pushing.once(server.address)
        fill(disk)
        importing = command("import", dumps, "--server", server.address)
        done = subprocess.run(importing, env=environment(), capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert "the disk is full: make room or mend it" in done.stderr


def test_a_server_that_dies_on_a_full_disk_has_lost_nothing(tmp_path: Path, disk: Path, pushing: Pushing) -> None:
    with running(tmp_path, disk) as server:
        pushing.once(server.address)
        filler = fill(disk)
        pushing.until(server.address, httpx.codes.SERVICE_UNAVAILABLE)
        server.process.kill()
        server.process.wait()
    filler.unlink()
    with running(tmp_path, disk) as server:
        assert stored(server) == set(pushing.acknowledged)
        assert pushing.once(server.address).status_code == httpx.codes.CREATED


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_server_does_not_start_where_it_cannot_store(disk: Path, trouble: str) -> None:
    if trouble == "full":
        fill(disk)
    else:
        mount("-o", "remount,ro", disk)
    started = command("server", "--port", "0", "--store", f"sqlite:///{disk}/slabhound.db")
    done = subprocess.run(started, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert f"{disk}/slabhound.db" in done.stderr


def test_a_disk_that_turns_read_only_under_way(tmp_path: Path, pushing: Pushing) -> None:
    """As ext4 does after an error: nothing more can be written, what is there can be read, a new mount mends it."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or not shutil.which("mkfs.ext4"):
        pytest.skip("a small ext4 disk cannot be made here (it takes root and e2fsprogs)")
    image.write_bytes(b"")
    os.truncate(image, 16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    mount("-o", "loop,errors=remount-ro", image, place)
    try:
        device = next(line.split()[0] for line in Path("/proc/mounts").read_text().splitlines() if f" {place} " in line)
        trigger = Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error")
        if not os.access(trigger, os.W_OK):
            pytest.skip("this kernel lets nobody make an ext4 error")
        with running(tmp_path, place) as server:
            for _ in range(20):
                assert pushing.once(server.address).status_code == httpx.codes.CREATED
            trigger.write_text("1")
            refused = pushing.until(server.address, httpx.codes.SERVICE_UNAVAILABLE)
            assert refused.json()["type"] == "urn:slabhound:problem:store-full"
            assert get(server, "/readyz").status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert stored(server) == set(pushing.acknowledged)
        subprocess.run(["umount", place], check=True)
        subprocess.run(["fsck.ext4", "-fy", image], capture_output=True, check=False)
        mount("-o", "loop", image, place)
        with running(tmp_path, place) as server:
            assert stored(server) == set(pushing.acknowledged)
            assert pushing.once(server.address).status_code == httpx.codes.CREATED
    finally:
        subprocess.run(["umount", place], check=False)
