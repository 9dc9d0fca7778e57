"""People and dashboards that ask while agents push."""

from __future__ import annotations

import http.client
import itertools
import threading
import time

from bench.performance.asking import Client
from bench.soak.ledger import Ledger

__all__ = ["Reader"]

_QUESTIONS = (
    "/api/v1/outliers?window=24h&at={now}",
    "/api/v1/nodes?limit=1000",
    "/api/v1/nodes/{node}/snapshots/latest",
    "/api/v1/nodes/{node}/diff",
    "/api/v1/outliers?window=1h&at={now}",
    "/api/v1/compare?cache=dentry&window=24h&at={now}&limit=10",
    "/metrics",
    "/readyz",
    "/api/v1/outliers?window=7d&at={now}",
    "/api/v1/caches?at={now}&limit=100",
)


class Reader(threading.Thread):
    """Asks one question after the other, with a pause between. `now` is where the agents' history is."""

    def __init__(self, address: str, node: str, ledger: Ledger, *, pause: float) -> None:
        super().__init__(daemon=True)
        self._address, self._node, self._ledger, self._pause = address, node, ledger, pause
        self.now = 0.0
        self.seconds: dict[str, list[float]] = {}
        """By question."""
        self.stop = threading.Event()

    def run(self) -> None:
        client = Client(self._address, timeout=300)
        for question in itertools.cycle(_QUESTIONS):
            if self.stop.wait(self._pause):
                break
            began = time.monotonic()
            try:
                status, answer = client.send("GET", question.format(now=self.now, node=self._node))
            except (OSError, http.client.HTTPException):
                client.close()
                client = Client(self._address, timeout=300)
                continue
            self.seconds.setdefault(question.partition("&at")[0], []).append(time.monotonic() - began)
            self._ledger.count("questions answered")
            if status == 503:
                self._ledger.count("questions told to come again")
            elif status != 200:
                self._ledger.wrong(f"GET {question}: {status} {answer[:200]!r}")
        client.close()
