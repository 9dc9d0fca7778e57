"""Those who push to a server and those who ask it, each on a connection and thread of its own."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Sequence

from bench.performance.asking import Client
from bench.performance.pushes import JSON, Template

__all__ = ["Asker", "Pusher"]


class Pusher(threading.Thread):
    """Some nodes' snapshots in layout form, one after the other; notes the seconds until each answer."""

    def __init__(self, address: str, nodes: Sequence[tuple[str, Template]], later: float, rate: float) -> None:
        """`later`: seconds after the templates' time; `rate`: pushes a second, 0 for as many as are answered."""
        super().__init__(daemon=True)
        self._client, self._nodes, self._later = Client(address, timeout=60), nodes, later
        self._pause = 1 / rate if rate else 0.0
        self.seconds: list[float] = []
        self.stop = threading.Event()

    def run(self) -> None:
        due, at = time.monotonic(), 0
        headers = {**JSON, "Content-Encoding": "gzip"}
        while not self.stop.is_set():
            name, template = self._nodes[at % len(self._nodes)]
            minute, at = at // len(self._nodes), at + 1
            body = gzip.compress(template.body(name, self._later + 60.0 * minute, short=True), 1)
            began = time.monotonic()
            self._client.post("/api/v1/snapshots", body, headers)
            self.seconds.append(time.monotonic() - began)
            due = max(due + self._pause, time.monotonic() - 1.0)
            self.stop.wait(max(0.0, due - time.monotonic()))
        self._client.close()


class Asker(threading.Thread):
    """Asks one question again and again, a moment after each answer, until told to stop."""

    def __init__(self, address: str, question: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._client, self._question, self._enough = Client(address), question, stop

    def run(self) -> None:
        while not self._enough.wait(0.2):
            self._client.get(self._question)
        self._client.close()
