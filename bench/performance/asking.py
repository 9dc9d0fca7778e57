"""An HTTP client that measures what a server process spends on an answer."""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.performance.machine import cpu_seconds

__all__ = ["Client", "Cost", "cost_of"]


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds until the answer was there, CPU seconds of the server's process, and the answer's size."""

    wall: float
    cpu: float
    answer: int = 0


class Client:
    """One keep-alive connection."""

    def __init__(self, address: str, timeout: float = 900.0) -> None:
        self._http = http.client.HTTPConnection(urlsplit(address).netloc, timeout=timeout)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._http.request(method, path, body, dict(headers or {}))
        answer = self._http.getresponse()
        return answer.status, answer.read()

    def get(self, path: str) -> bytes:
        """Raises RuntimeError unless the answer is 200."""
        status, body = self.send("GET", path)
        if status != http.client.OK:
            raise RuntimeError(f"GET {path}: {status} {body[:300]!r}")
        return body

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Raises RuntimeError unless the answer is 2xx."""
        status, answer = self.send("POST", path, body, headers)
        if status // 100 != 2:
            raise RuntimeError(f"POST {path}: {status} {answer[:300]!r}")
        return answer

    def close(self) -> None:
        self._http.close()


def cost_of(pid: int, ask: Callable[[], bytes], times: int = 1) -> Cost:
    """The median of some answers' times, and the mean of their CPU seconds in process `pid`."""
    walls, size = [], 0
    cpu = cpu_seconds(pid)
    for _ in range(times):
        began = time.perf_counter()
        size = len(ask())
        walls.append(time.perf_counter() - began)
    return Cost(statistics.median(walls), (cpu_seconds(pid) - cpu) / times, size)
