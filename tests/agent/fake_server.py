"""A real HTTP server on loopback that answers by a script and remembers what it was sent."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """One scripted answer. `hang` never answers; `drop` hangs up without a word."""

    status: int = 201
    body: dict[str, Any] = field(default_factory=lambda: {"stored": 1, "duplicates": 0})
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False
    close_silently: bool = False
    """Answers as if it kept the connection, then closes it: the dead connection every client meets."""


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """Which connection it came over, counted from 1."""

    @property
    def snapshots(self) -> list[dict[str, Any]]:
        data = json.loads(gzip.decompress(self.body))
        return data if isinstance(data, list) else [data]

    @property
    def is_array(self) -> bool:
        return gzip.decompress(self.body).startswith(b"[")


class FakeServer(ThreadingHTTPServer):
    """Answers from `script` first, then `otherwise`; with `judge` by what it is sent."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *script: Answer, port: int = 0) -> None:
        self.script = list(script)
        self.otherwise = Answer()
        self.judge: Any = None
        self.received: list[Received] = []
        self.connections = 0
        self.released = threading.Event()
        self.asked = threading.Event()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def names(self) -> list[str]:
        """The node names of everything stored, in order of arrival."""
        return [snapshot["node"] for request in self.received for snapshot in request.snapshots]

    def answer(self, request: Received) -> Answer:
        if self.judge is not None:
            answer: Answer = self.judge(request)
            return answer
        return self.script.pop(0) if self.script else self.otherwise

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1
        self.number = self.server.connections

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = Received(self.path, dict(self.headers.items()), body, self.number)
        self.server.received.append(request)
        answer = self.server.answer(request)
        self.server.asked.set()
        if answer.hang:
            self.server.released.wait(30)
        if answer.hang or answer.drop:
            self.close_connection = True
            return
        content = json.dumps(answer.body).encode()
        self.send_response_only(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if answer.close_silently:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def serve(*script: Answer, port: int = 0) -> Iterator[FakeServer]:
    """A server in a thread of its own."""
    server = FakeServer(*script, port=port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
