"""A client's connection with bounds that uvicorn has not: how long it may say nothing, how long a head may be."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from server.problems import Problem, problem_response

__all__ = ["Connection"]


class Connection(HttpToolsProtocol):
    """uvicorn waits for its keep-alive time between two requests only; here the first, and each one's head, is due."""

    silence = 30.0
    """Seconds in which a request's head must have come in, and what is left of a body that was refused."""
    head = 65536
    """Bytes of a request's line and headers."""

    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _came = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.silence, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._answering()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._answer_due():
            self._answering()
            return
        if self._timer is None:
            self._timer = self.loop.call_later(self.silence, self.transport.abort)
        if self._in_head:
            self._came += len(data)
            if self._came > self.head:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        self._in_head, self._came = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        # A head may come in one piece, with other requests before it: counted by what was read of it.
        self._came = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if self._came > self.head:
            raise ValueError  # which the parser makes its own, and uvicorn a call of send_400_response
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """As every other error is told; uvicorn's `msg` says less."""
        del msg
        detail = "this is not HTTP/1.1 as it is written: what is not plain ASCII in the address must be percent-encoded"
        if self._came > self.head:
            detail = f"the head of the request is longer than {self.head} bytes"
        answer = problem_response(Problem("malformed", detail, headers={"Connection": "close"}))
        headers = [*self.server_state.default_headers, *answer.raw_headers]
        lines = [STATUS_LINE[answer.status_code], *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
        self.transport.write(b"".join([*lines, bytes(answer.body)]))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: who asks for a WebSocket is answered as if not, and no package that uvicorn names is missing."""

    def _answer_due(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request, whatever its type says
        return cycle is not None and not cycle.response_complete

    def _answering(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
