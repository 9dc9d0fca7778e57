"""A real aggregator in a process of its own, on this machine, for the demo and the end-to-end tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from common.errors import ServerError

__all__ = ["RunningServer", "ServerProcess"]

_ROOT = Path(__file__).parents[1]
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


class RunningServer:
    """An aggregator that somebody else runs, seen as the demo sees its own."""

    def __init__(self, address: str) -> None:
        """Waits up to half a minute until it is ready. Raises ServerError."""
        self.address = address
        deadline = time.monotonic() + 30.0
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            while not _ready(client, address):
                if time.monotonic() >= deadline:
                    raise ServerError(f"{address} is no aggregator that is ready: start `slabhound server` there")
                time.sleep(0.2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def check(self) -> None: ...


class ServerProcess:
    """`slabhound server` on loopback. A context manager: leaving it ends the process."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        options: tuple[str, ...] = (),
        patience: float = 30.0,
        module: str = "common.cli",
    ) -> None:
        """Starts it and waits up to `patience` seconds until it is ready.

        `folder` holds the store (`slabhound.db`) and what the process says (`server.log`). Settings from this
        process's environment are not handed on. `module` is run in place of the command line. Raises ServerError when
        it does not come up.
        """
        self.address = ""
        self._log = folder / "server.log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SLABHOUND_")}
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), environ.get("PYTHONPATH", "")]))
        environ["PYTHONUNBUFFERED"] = "1"
        command = [sys.executable, "-P", "-m", module, "server", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--store", f"sqlite:///{(folder / 'slabhound.db').absolute()}", *options]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - this very program, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ,
                process_group=0,  # Ctrl-C reaches the demo alone, which then ends its server
            )
        try:
            self._wait(patience)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def said(self) -> str:
        """All that the process has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def check(self) -> None:
        """Raises ServerError when the process has ended."""
        status = self.process.poll()
        if status is None:
            return
        if status < 0:
            raise ServerError(f"the aggregator was killed by signal {-status}")
        last = (self.said.strip().splitlines() or ["it said nothing"])[-1]
        raise ServerError(f"the aggregator ended by itself with status {status}: {last}")

    def stop(self) -> int:
        """Ends the process and gives its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _wait(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            while time.monotonic() < deadline:
                self.check()
                found = _ADDRESS.search(self.said)
                if found and _ready(client, found[0]):
                    self.address = found[0]
                    return
                time.sleep(0.05)
        raise ServerError(
            f"the aggregator was not ready within {patience:g} s: {self.said.strip() or 'it said nothing'}"
        )


def _ready(client: httpx.Client, address: str) -> bool:
    try:
        return client.get(f"{address}/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
