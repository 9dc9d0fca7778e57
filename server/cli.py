"""`slabhound server`: runs the aggregator in the foreground."""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import logging
import os
import resource
import signal
import socket
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import uvicorn

from common.config import Option
from common.errors import ConfigError
from common.sizes import parse_size
from common.times import parse_duration
from server.analysis.types import AnalysisSettings
from server.app import create_app
from server.connection import Connection
from server.settings import ServerSettings, default_store
from server.storage import Retention, init_store

__all__ = ["OPTIONS", "ready_line", "run", "settings_from"]

KEEP_ALIVE_SECONDS = 75
"""Longer than the agent's 70 s, so that it is the agent who lets an idle connection go."""
GRACE_SECONDS = 10
UNREAD_SECONDS = 60
"""After so long without a byte of its answer taken a reader is cut off: what it leaves unread is kept in memory."""
_log = logging.getLogger("slabhound.server")
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LEVELS = ("debug", "info", "warning", "error")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"{text!r} is no port: write 0 to 65535 (0 picks a free one)")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{text!r} is no count: write 1 or more")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ValueError(f"{text!r} is no share: write a number above 0, at most 1")
    return share


def _level(text: str) -> str:
    if text not in _LEVELS:
        raise ValueError(f"{text!r} is no log level: write one of {', '.join(_LEVELS)}")
    return text


_D, _A, _R = ServerSettings(), AnalysisSettings(), Retention()
OPTIONS: tuple[Option, ...] = (
    Option("host", "address to listen on", default=_D.host, metavar="ADDRESS"),
    Option("port", "port to listen on; 0 picks a free one", type=_port, default=_D.port, metavar="PORT"),
    Option(
        "store",
        "where snapshots are kept: sqlite:///relative, sqlite:////absolute or clickhouse://USER@HOST:8123/DATABASE;"
        " default: /var/lib/slabhound, else the user's data folder",
        metavar="URL",
    ),
    Option("store-password-file", "file whose first line is the password for clickhouse://", metavar="FILE"),
    Option("init", "make the store's schema, or bring it to this version, and exit", flag=True),
    Option("token-file", "file of bearer tokens, one a line; without it anybody may come in", metavar="FILE"),
    Option("retention-raw", "how long exact snapshots are kept", parse_duration, _R.snapshots, "7d"),
    Option("retention-5m", "how long 5-minute roll-ups are kept", parse_duration, _R.five_minutes, "35d"),
    Option("retention-1h", "how long hourly roll-ups are kept", parse_duration, _R.hourly, "400d"),
    Option("max-nodes", "most nodes the store takes", type=_count, default=_D.max_nodes, metavar="N"),
    Option("max-body", "most bytes of one request, inflated", type=parse_size, default=_D.max_body, metavar="16MiB"),
    Option(
        "max-pending",
        "most bytes of requests taken in at once; past it agents come again",
        type=parse_size,
        default=_D.max_pending,
        metavar="64MiB",
    ),
    Option(
        "material-share",
        "share of a node's memory in 30 days below which growth is no finding",
        type=_share,
        default=_A.material_fraction,
        metavar="0.0025",
    ),
    Option(
        "material-rate",
        "the same in bytes an hour where the node's memory is unknown",
        type=parse_size,
        default=int(_A.material_bytes_per_hour),
        metavar="100KiB",
    ),
    Option(
        "q-limit",
        "share of false findings worth waking somebody for",
        type=_share,
        default=_A.q_limit,
        metavar="0.01",
    ),
    Option("log-level", f"least level to log: {', '.join(_LEVELS)}", _level, _D.log_level, "LEVEL"),
    Option("access-log", "log every request", flag=True),
)


def settings_from(options: Namespace) -> ServerSettings:
    """The settings that resolved options stand for. Raises ConfigError where two contradict each other."""
    return ServerSettings(
        host=options.host,
        port=options.port,
        store=options.store or default_store(os.environ),
        store_password_file=Path(options.store_password_file) if options.store_password_file else None,
        token_file=Path(options.token_file) if options.token_file else None,
        retention=Retention(options.retention_raw, options.retention_5m, options.retention_1h),
        max_nodes=options.max_nodes,
        max_body=options.max_body,
        max_pending=max(options.max_pending, 2 * options.max_body),
        log_level=options.log_level,
        access_log=options.access_log,
        analysis=AnalysisSettings(
            material_fraction=options.material_share,
            material_bytes_per_hour=options.material_rate,
            q_limit=options.q_limit,
        ),
    )


def run(options: Namespace) -> int:
    """Serves until SIGTERM or SIGINT; then answers what is under way and closes the store. With --init only that."""
    settings = settings_from(options)
    if options.init:
        options.screen.write([_init(settings)])
        return 0
    listener = _listen(settings.host, settings.port)
    with contextlib.closing(listener):
        app = create_app(settings)
        logging.basicConfig(
            level=settings.log_level.upper(),
            stream=sys.stderr,
            format=_LOG_FORMAT,
        )
        if settings.token_file is None and not _is_loopback(settings.host):
            _log.warning("listening on %s without --token-file: anybody who reaches it may come in", settings.host)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=Connection,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level=settings.log_level,
            access_log=settings.access_log,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=2048,
        )
        _allow_connections()
        _spare_garbage_collection()
        _Server(config, ready_line(listener), sys.stderr).run(sockets=[listener])
    return 0


def _allow_connections() -> None:
    """As many open files as may be: every agent keeps a connection, and 1,024 is the usual bound."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _spare_garbage_collection() -> None:
    """Leaves what is loaded by now out of every collection, and collects seldom.

    A snapshot in full has a list for each cache's aliases, which counts as garbage-to-be until it is read: collections
    took half the time of a batch, and stood in the way of other pushes for up to 0.4 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _init(settings: ServerSettings) -> str:
    done = init_store(settings.store, retention=settings.retention, password_file=settings.store_password_file)
    return f"the store is ready ({', '.join(done) if done else 'nothing was to do'})"


def ready_line(listener: socket.socket) -> str:
    """What is printed once requests are answered: `slabhound server listening on http://127.0.0.1:8080`."""
    host, port = listener.getsockname()[:2]
    return f"slabhound server listening on http://{f'[{host}]' if ':' in host else host}:{port}"


class _Server(uvicorn.Server):
    """Says when it is ready, and ends with status 0 when asked to stop."""

    def __init__(self, config: uvicorn.Config, ready: str, stream: TextIO) -> None:
        super().__init__(config)
        self._ready, self._stream = ready, stream

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        print(self._ready, file=self._stream, flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal that was obeyed is not raised again."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises ConfigError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        hint = "is another server running? choose another --port" if "in use" in reason else "see --host and --port"
        raise ConfigError(f"cannot listen on {host} port {port}: {reason} ({hint})") from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
