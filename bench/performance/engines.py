"""The three servers that get the same snapshots: how each is started, fed, asked, and what lies on its disk."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent.packing import Fresh, in_full, pack_array
from bench.performance import remote_write
from bench.performance.asking import Client
from bench.performance.fleets import HOUR, STORE, seal
from bench.performance.machine import folder_bytes, free_port
from bench.performance.pushes import JSON
from common.snapshot import Snapshot, layout_hash
from server.demo_server import ServerProcess

__all__ = ["ENGINES", "Engine", "Questions"]

Questions = dict[str, list[str]]
"""Paths to get, one after the other, by question."""
_M = remote_write.METRIC
_GZIP = {**JSON, "Content-Encoding": "gzip"}


class Engine(ABC):
    """A server on loopback with its data in `folder`."""

    name: str
    program: str | None
    """What must be installed."""
    remark: str
    counted = "samples"
    """What `count` counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def missing(cls) -> str | None:
        """Which Debian package is not installed."""
        return None if cls.program is None or shutil.which(cls.program) else cls.program

    @abstractmethod
    def start(self) -> Client:
        """Starts it and waits until it is ready."""

    @abstractmethod
    def push(self, client: Client, snapshots: Sequence[Snapshot]) -> int:
        """One request; gives how many samples it held. Raises RuntimeError when they are refused."""

    @abstractmethod
    def questions(self, node: str, start: float, end: float) -> Questions: ...

    @abstractmethod
    def settle(self) -> None:
        """Brings what came in to its place on the disk, as far as it can be asked for; it may stop for that."""

    @abstractmethod
    def bytes_per_sample(self, samples: int) -> float: ...

    @abstractmethod
    def count(self, client: Client) -> int:
        """Samples that are there."""

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def kill(self) -> None:
        """As by kill -9."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()


class Slabhound(Engine):
    name, program = "Slabhound", None
    remark = "four numbers of every cache, memory, boot and geometry"
    counted = "snapshots"

    def start(self) -> Client:
        keep = tuple(part for tier in ("raw", "5m", "1h") for part in (f"--retention-{tier}", "3650d"))
        server = ServerProcess(self.folder, options=keep, patience=120)
        self.process = server.process
        self._known: set[str] = set()
        return Client(server.address)

    def push(self, client: Client, snapshots: Sequence[Snapshot]) -> int:
        if len(snapshots) > 1:
            body = pack_array([in_full(Fresh(one)) for one in snapshots])
        else:
            (one,) = snapshots
            layout = layout_hash(one.caches) if one.node in self._known else None
            body = Fresh(one).short(layout) if layout else Fresh(one).full()
            self._known.add(one.node)
        client.post("/api/v1/snapshots", body, _GZIP)
        return sum(len(one.caches) for one in snapshots)

    def questions(self, node: str, start: float, end: float) -> Questions:
        base, half = f"/api/v1/nodes/{node}", (start + end) / 2
        return {
            "latest": [f"{base}/snapshots/latest"],
            "diff": [f"{base}/diff?from={half}&to={end}"],
            "series of a cache on all nodes, 24 h": [f"/api/v1/compare?cache=dentry&window=24h&at={end}"],
            "report over 24 h": [f"/api/v1/outliers?window=24h&at={end}"],
        }

    def settle(self) -> None:
        """Stops it and seals what is over, which it would do in its next round of maintenance."""
        self.stop()
        seal(self.folder)

    def bytes_per_sample(self, samples: int) -> float:
        """Sealed; without free pages, which are many because the history came in faster than it was sealed."""
        seal(self.folder)
        db = sqlite3.connect(self.folder / STORE)
        (free,) = db.execute(
            "SELECT page_size * freelist_count FROM pragma_page_size, pragma_freelist_count"
        ).fetchone()
        db.close()
        used: int = (self.folder / STORE).stat().st_size - free
        return used / samples

    def count(self, client: Client) -> int:
        found = client.get("/metrics").decode().splitlines()
        (line,) = [line for line in found if line.startswith("slabhound_store_snapshots ")]
        return int(float(line.split()[1]))


class _PromQL(Engine):
    """What Prometheus and VictoriaMetrics have in common."""

    remark = "one number of every cache"
    write: str
    _newest = 0.0
    """When the newest snapshot pushed was taken."""

    def _spawn(self, command: list[str], port: int, ready: str) -> Client:
        with (self.folder.parent / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, process_group=0)
        self._labels: dict[str, remote_write.SeriesLabels] = {}
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            client = Client(f"http://127.0.0.1:{port}")
            try:
                if client.send("GET", ready)[0] == 200:
                    self._client = client
                    return client
            except OSError:
                client.close()
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not come up: see {self.folder.parent / self.name}.log")

    def push(self, client: Client, snapshots: Sequence[Snapshot]) -> int:
        parts, samples = [], 0
        for one in snapshots:
            known = self._labels.get(one.node)
            if known is None:
                known = self._labels[one.node] = remote_write.SeriesLabels(one.node, one.group, one.caches.name)
            sizes, counts = one.caches.obj_size, one.caches.num_objs
            parts.append(known.series([counts[row] * sizes[row] for row in known.rows], one.taken_at))
            samples += len(known.rows)
            self._newest = max(self._newest, one.taken_at)
        client.post(self.write, remote_write.request(parts), remote_write.HEADERS)
        return samples

    def questions(self, node: str, start: float, end: float) -> Questions:
        half, one, dentry = (start + end) / 2, f'{_M}{{node="{node}"}}', f'{_M}{{cache="dentry"}}'
        growth = f"deriv({_M}[24h])"
        report = f"topk(100, {growth} - on (cache) group_left () quantile by (cache) (0.5, {growth}))"
        return {
            "latest": [_query(one, end)],
            "diff": [_query(one, half), _query(one, end)],
            "series of a cache on all nodes, 24 h": [
                f"/api/v1/query_range?query={quote(dentry)}&start={end - 24 * HOUR}&end={end}&step=300&nocache=1"
            ],
            "report over 24 h": [_query(report, end)],
        }

    def count(self, client: Client) -> int:
        answer: Any = json.loads(client.get(_query(f"sum(count_over_time({_M}[30h]))", self._newest + 1)))
        result = answer["data"]["result"]
        return int(float(result[0]["value"][1])) if result else 0


def _query(expression: str, at: float) -> str:
    # VictoriaMetrics leaves out the newest 30 s, and answers from memory, unless told not to.
    return f"/api/v1/query?query={quote(expression)}&time={at}&nocache=1"


class Prometheus(_PromQL):
    name = program = "prometheus"
    write = "/api/v1/write"

    def start(self) -> Client:
        config = self.folder.parent / "prometheus.yml"
        config.write_text("global: {}\n", encoding="ascii")
        port = free_port()
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver",
            "--storage.tsdb.retention.time=10y",
            "--log.level=error",
        ]
        return self._spawn(command, port, "/-/ready")

    def settle(self) -> None:
        """Waits for the blocks of two hours that it cuts once a minute."""
        until = time.monotonic() + 150
        before = -1
        while time.monotonic() < until and (now := len(list(self.folder.glob("*/meta.json")))) != before:
            before = now
            time.sleep(62)

    def bytes_per_sample(self, samples: int) -> float:
        """Of its finished blocks: the last hours stand in its log, which is several times as big."""
        found = size = 0
        for meta in self.folder.glob("*/meta.json"):
            found += json.loads(meta.read_text(encoding="utf-8"))["stats"]["numSamples"]
            size += folder_bytes(meta.parent)
        return size / found if found else folder_bytes(self.folder) / samples


class VictoriaMetrics(_PromQL):
    name = program = "victoria-metrics"
    write = "/api/v1/write"

    def start(self) -> Client:
        port = free_port()
        command = [
            "victoria-metrics",
            f"-storageDataPath={self.folder}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=10y",
            "-search.latencyOffset=0s",
            "-loggerLevel=ERROR",
        ]
        return self._spawn(command, port, "/health")

    def settle(self) -> None:
        self._client.send("GET", "/internal/force_flush")
        self._client.send("GET", "/internal/force_merge")
        time.sleep(10)

    def bytes_per_sample(self, samples: int) -> float:
        return folder_bytes(self.folder) / samples


ENGINES: tuple[type[Engine], ...] = (Slabhound, Prometheus, VictoriaMetrics)
