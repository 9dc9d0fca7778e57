"""Simulated agents: steady pushes, late ones, ones sent twice, batches, and bodies that must be refused."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Sequence

from bench.performance.asking import Client
from bench.performance.pushes import JSON, LINES, Template
from bench.soak.ledger import Ledger

__all__ = ["BAD", "Agents"]

_NEGATIVE = (
    b'{"schema_version":1,"node":"bad","taken_at":1795392000,"caches":{"name":["a"],"active_objs":[-1],'
    b'"num_objs":[1],"obj_size":[8]}}'
)
_UNKNOWN = (
    b'{"schema_version":1,"node":"bad","taken_at":1795392000,"caches":{"layout":"00000000000000000000000000000000",'
    b'"active_objs":[1],"num_objs":[1]}}'
)
BAD: tuple[tuple[str, bytes, dict[str, str], int], ...] = (
    ("no JSON", b'{"schema_version": 1,', JSON, 400),
    ("no snapshot", b'{"schema_version": 1}', JSON, 422),
    ("a negative count", _NEGATIVE, JSON, 422),
    ("an unknown layout", _UNKNOWN, JSON, 409),
    ("another type", b"<xml/>", {"Content-Type": "application/xml"}, 415),
    ("no gzip", b"{}", {**JSON, "Content-Encoding": "gzip"}, 400),
)
"""What, body, headers, and the status that must be answered."""
_DOWN = (OSError, http.client.HTTPException)


class Agents(threading.Thread):
    """Some nodes on one connection, one snapshot after the other, at `rate` requests a second."""

    def __init__(
        self, address: str, nodes: Sequence[tuple[str, Template]], ledger: Ledger, *, rate: float, seed: int
    ) -> None:
        super().__init__(daemon=True)
        self._address, self._nodes, self._ledger = address, nodes, ledger
        self._pause, self._rng = 1 / rate, random.Random(seed)
        self._minutes = dict.fromkeys((name for name, _ in nodes), 0)
        self._known: set[str] = set()
        self._client = Client(address, timeout=30)
        self.stop = threading.Event()

    def run(self) -> None:
        due, at = time.monotonic(), 0
        while not self.stop.is_set():
            name, template = self._nodes[at % len(self._nodes)]
            at += 1
            kind = self._rng.random()
            if kind < 0.01:
                self._bad()
            elif kind < 0.02:
                self._several(name, template, 20)
            elif kind < 0.04 and self._minutes[name]:
                self._again(name, template)
            elif kind < 0.06 and self._minutes[name] > 200:
                self._late(name, template)
            else:
                self._next(name, template)
            due = max(due + self._pause, time.monotonic() - 1.0)
            time.sleep(max(0.0, due - time.monotonic()))
        self._client.close()

    def _next(self, name: str, template: Template) -> None:
        minute = self._minutes[name]
        self._minutes[name] += 1
        body = template.body(name, 60.0 * minute, short=name in self._known)
        if self._push(name, template, [60.0 * minute], body, JSON):
            self._known.add(name)

    def _several(self, name: str, template: Template, count: int) -> None:
        first = self._minutes[name]
        self._minutes[name] += count
        later = [60.0 * minute for minute in range(first, first + count)]
        self._push(name, template, later, b"\n".join(template.body(name, at) for at in later), LINES)

    def _late(self, name: str, template: Template) -> None:
        later = 60.0 * self._rng.randrange(self._minutes[name] - 200) + self._rng.randrange(1, 60_000) / 1000
        self._push(name, template, [later], template.body(name, later), JSON)

    def _again(self, name: str, template: Template) -> None:
        later = 60.0 * (self._minutes[name] - 1)
        self._push(name, template, [later], template.body(name, later), JSON)
        self._ledger.count("sent twice")

    def _bad(self) -> None:
        what, body, headers, wanted = self._rng.choice(BAD)
        try:
            status, answer = self._client.send("POST", "/api/v1/snapshots", body, headers)
        except _DOWN:
            self._reconnect()
            return
        self._ledger.count("refused, as they must be")
        if status != wanted:
            self._ledger.wrong(f"{what}: {status}, not {wanted}: {answer[:200]!r}")

    def _push(self, name: str, template: Template, later: list[float], body: bytes, headers: dict[str, str]) -> bool:
        """Until it is acknowledged, as a spool would; False when it is time to end, or it was refused."""
        instants = [round(template.snapshot.taken_at + at, 3) for at in later]
        self._ledger.sending(name, instants)
        while not self.stop.is_set():
            try:
                status, answer = self._client.send("POST", "/api/v1/snapshots", body, headers)
            except _DOWN:
                self._reconnect()
                continue
            if status == 201:
                self._ledger.took(name, instants)
                said = json.loads(answer)
                if said["stored"] + said["duplicates"] != len(instants):
                    self._ledger.wrong(f"{len(instants)} sent: {said}")
                return True
            if status in {429, 503}:
                self._ledger.count("told to come again")
                self.stop.wait(0.5)
                continue
            self._ledger.wrong(f"a good push: {status} {answer[:200]!r}")
            return False
        return False

    def _reconnect(self) -> None:
        self._ledger.count("connections lost")
        self._client.close()
        self._client = Client(self._address, timeout=30)
        self.stop.wait(0.2)
