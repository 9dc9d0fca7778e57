"""One keep-alive HTTP/1.1 connection for httpx, over the standard library's http.client.

In place of httpx's own transport because the agent must stay small (httpcore, h11 and a TLS context that plain http
does not need are 2 MB, see docs/decisions/agent-transport.md), because it must know whether a connection is live, and
because a signal must be able to end it while the C library looks up a name.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import ssl

__all__ = ["OneConnection"]

_Addresses = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]

KEEP_ALIVE = 70.0
"""Seconds an idle connection is used again; the server keeps it 75 (contract.md)."""
LONGEST_ANSWER = 1 << 16
"""Bytes read of an answer's body; what is longer ends the connection."""


class OneConnection(httpx.BaseTransport):
    """Sends every request over one connection to one server, opened when needed.

    A connection that turns out dead when it is used again is replaced at once, one time. Raises httpx.TransportError.
    """

    def __init__(
        self,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
        resolving: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`timeout`: seconds for connecting, for sending and for a whole answer, however it trickles in.

        `resolving`: entered around the look-up of the server's name.
        """
        self._timeout = timeout
        self._tls = tls
        self._clock = clock
        self._resolving = resolving
        self._connection: _Connection | None = None
        self._used_at = float("-inf")

    @property
    def live(self) -> bool:
        """Whether a connection is open and young enough to be used again."""
        return self._connection is not None and self._clock() - self._used_at < KEEP_ALIVE

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            if self.live:
                try:
                    return self._exchange(request)
                except (ConnectionError, http.client.BadStatusLine):
                    pass
            self.close()
            return self._exchange(request)
        except TimeoutError as error:
            raise httpx.TimeoutException(f"no answer within {self._timeout:g} s", request=request) from error
        except OSError as error:
            raise httpx.NetworkError(error.strerror or str(error), request=request) from error
        except http.client.HTTPException as error:
            raise httpx.RemoteProtocolError(f"no HTTP: {error!r}", request=request) from error

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        if self._connection is None:
            self._connection = _Connection(request.url, self._timeout, self._tls, self._resolving)
        connection = self._connection
        complete = False
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(self._timeout)
            connection.putrequest(
                request.method, request.url.raw_path.decode("ascii"), skip_host=True, skip_accept_encoding=True
            )
            for key, value in request.headers.raw:
                connection.putheader(key.decode("ascii"), value)
            # A server may answer (413) and hang up before it has read everything.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(request.read())
            answer = connection.getresponse()
            if answer.status < 200:  # the answer proper would be taken for the next request's
                raise http.client.HTTPException(f"status {answer.status} in place of an answer")
            content = answer.read(LONGEST_ANSWER)
            complete = answer.isclosed() and not answer.will_close
            return httpx.Response(answer.status, headers=_plain(answer.getheaders()), content=content)
        finally:
            self._used_at = self._clock()
            if not complete:
                self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _plain(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """As they came, in any bytes, but for a Content-Encoding nobody asked for: httpx would unpack the body by it."""
    raw = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers]
    return [header for header in raw if header[0].lower() != b"content-encoding"]


class _Timed(io.RawIOBase):
    """Reads from a socket until its timeout is over, counted once and not for each piece that comes in."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open, as http.client expects
        self._until = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override] # a Buffer in practice
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock))


class _Connection(http.client.HTTPConnection):
    response_class = _Answer

    def __init__(
        self,
        url: httpx.URL,
        timeout: float,
        tls: ssl.SSLContext | None,
        resolving: Callable[[], AbstractContextManager[None]],
    ) -> None:
        super().__init__(
            url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80), timeout=timeout
        )
        self._tls = tls
        self._resolving = resolving

    def connect(self) -> None:
        with self._resolving():
            # Bytes are looked up as they are; text would load Python's IDNA codec, which raises errors of its own.
            addresses = socket.getaddrinfo(self.host.encode(), self.port, type=socket.SOCK_STREAM)
        self.sock = self._dial(addresses)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)

    def _dial(self, addresses: _Addresses) -> socket.socket:
        failure: OSError | None = None
        for family, kind, protocol, _, address in addresses:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(self.timeout)
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure or OSError("its name has no address")
