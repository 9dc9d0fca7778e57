"""A real ClickHouse for tests, out of the package chdb-core: its engine behind an HTTP port, on loopback only.

Unofficial: the embedded engine's `SYSTEM START LISTEN` opens the ports that `~/.clickhouse-local/config.xml` names, for
as long as one query keeps running. No authentication, no Keeper (so no replication), and SIGTERM is not heard.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

__all__ = ["INSTALLED", "ClickHouseServer", "free_ports"]

INSTALLED = importlib.util.find_spec("chdb") is not None

_SERVE = """
import sys
from chdb import _chdb
forever = "SELECT sleepEachRow(3) FROM numbers(100000) FORMAT Null SETTINGS max_block_size = 1"
queries = ["SYSTEM STOP TTL MERGES", "SYSTEM START LISTEN TCP", "SYSTEM START LISTEN HTTP", forever]
result = _chdb.query("; ".join(queries), "TabSeparated", path=sys.argv[1])
sys.exit(result.error_message() if result.has_error() else 0)
"""
_CONFIG = """<clickhouse>
  <http_port>{http}</http_port> <tcp_port>{tcp}</tcp_port> <listen_host>127.0.0.1</listen_host>
  <logger><level>none</level></logger>
  <remote_servers><slabs>{shards}</slabs></remote_servers>
</clickhouse>
"""
_SHARD = "<shard><replica><host>127.0.0.1</host><port>{}</port></replica></shard>"


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, all different."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


class ClickHouseServer:
    """One process that keeps its data below `folder`; `shards` are the native ports of the cluster `slabs`."""

    def __init__(self, folder: Path, *, http: int, tcp: int, shards: Sequence[int] = ()) -> None:
        self._folder, self.http, self.tcp = folder, http, tcp
        self._shards = shards or (tcp,)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("ClickHouse is not running")
        return self._process.pid

    def start(self) -> None:
        config = self._folder / ".clickhouse-local" / "config.xml"
        config.parent.mkdir(parents=True, exist_ok=True)
        shards = "".join(_SHARD.format(port) for port in self._shards)
        config.write_text(_CONFIG.format(http=self.http, tcp=self.tcp, shards=shards))
        with (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(self._folder / "data")],
                stdout=output,
                stderr=output,
                env={**os.environ, "HOME": str(self._folder)},
            )
        until = time.monotonic() + 60
        while True:
            try:
                self.ask("SELECT 1")
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    said = (self._folder / "output").read_text(errors="replace")
                    raise RuntimeError(f"ClickHouse did not start: {said}") from None
                time.sleep(0.05)
            else:
                return

    def ask(self, query: str) -> str:
        """What the server says to it, as text. Raises OSError."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/", query.encode())
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None

    def kill(self) -> None:
        """As the kernel would: kill -9, nothing is flushed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
