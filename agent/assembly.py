"""Puts the agent together from its options and runs it; nothing here is imported before agent.light has had its say."""

from __future__ import annotations

import gc
import os
import re
import socket
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.collector import Collector, Identity
from agent.container import foreign_hostname
from agent.courier import Courier, set_aside
from agent.loop import Agent
from agent.pusher import Pusher, Verdict
from agent.reader import ProcReader
from agent.schedule import Schedule
from agent.spool import DiskSpool, MemorySpool, Spool
from agent.stop import Stopper
from agent.token import TokenFile
from agent.transport import OneConnection
from common.errors import ConfigError, ServerError
from common.times import format_duration

if TYPE_CHECKING:
    import ssl

__all__ = ["assemble", "default_spool", "left", "node_name", "open_spool"]

Say = Callable[[str], None]

MEMORY_LIMIT = 1 << 20
"""Bytes kept where no folder can be written: about four hours of snapshots."""


def assemble(options: Namespace, *, tls: bool, say: Say) -> int:
    """Runs until a signal, or once. Raises SlabhoundError."""
    stopper = Stopper()

    @contextmanager
    def resolving() -> Iterator[None]:
        courier.keep()
        with stopper.fatal():
            yield

    transport = OneConnection(
        timeout=max(5.0, min(30.0, options.interval / 2)), tls=_tls_context() if tls else None, resolving=resolving
    )
    token = TokenFile(options.token_file) if options.token_file else None
    pusher = Pusher(options.server, transport, token=token)
    reader = ProcReader(options.proc, options.sys)
    identity = Identity(
        node=options.node or node_name(socket.gethostname(), foreign=foreign_hostname(), say=say),
        group=options.group,
        labels=dict(options.label or ()),
    )
    spool = open_spool(options.spool, options.spool_size, once=options.once, environ=os.environ, say=say)
    courier = Courier(pusher, spool, say=_quiet if options.once else say, waiting=stopper.interruptible)
    agent = Agent(Collector(reader, identity), courier, stopper=stopper, say=say, proc=reader.proc)
    # What is here by now stays: the collector of garbage need not walk it again.
    gc.collect()
    gc.freeze()
    stopper.install()
    try:
        if options.once:
            return _once(agent, spool, say)
        schedule = Schedule(options.interval, identity.node)
        every = format_duration(options.interval)
        say(
            f"sends {identity.node} (group {identity.group}) to {options.server} every {every}"
            + (f"; {_waiting(spool)}" if len(spool) else "")
        )
        agent.run(schedule)
        say(f"stopped; {left(spool)}")
        return 0
    finally:
        pusher.close()


def _once(agent: Agent, spool: Spool, say: Say) -> int:
    outcome = agent.once()
    refused = outcome.verdict not in {Verdict.STORED, Verdict.AWAY}
    if older := spool.rejected - refused:
        say(f"the server refuses {_count(older)} of an earlier run for good: {set_aside(spool)}")
    if outcome.verdict is Verdict.AWAY:
        raise ServerError(f"not sent: {outcome.reason}; {_waiting(spool)}")
    if refused:
        raise ServerError(f"the server refuses for good: {outcome.reason}")
    if sys.stderr.isatty():  # cron would mail it
        say("sent")
    return 0


def _quiet(_line: str) -> None:
    """What a single push has to say is its outcome."""


def left(spool: Spool) -> str:
    """What is not stored, now that it ends."""
    parts = [_waiting(spool)] if len(spool) else []
    if spool.rejected:
        parts.append(f"{_count(spool.rejected)} refused for good, {set_aside(spool)}")
    if spool.dropped:
        parts.append(f"{_count(spool.dropped)} dropped")
    return "; ".join(parts) or "everything is sent"


def _count(snapshots: int) -> str:
    return "1 snapshot" if snapshots == 1 else f"{snapshots} snapshots"


def _waiting(spool: Spool) -> str:
    count = _count(len(spool))
    if not spool.lasting:
        return f"{count} in memory only, not kept"
    return f"{count} kept in {spool.place}"


def _tls_context() -> ssl.SSLContext:
    """TLS by the machine's own certificates, as its administrator set them up (SSL_CERT_FILE is honoured)."""
    import ssl  # noqa: PLC0415 - plain http does without OpenSSL

    return ssl.create_default_context()


def node_name(hostname: str, *, foreign: bool, say: Say) -> str:
    """A node's name from the hostname, with what the rule does not allow as `-`. Raises ConfigError.

    `foreign`: the hostname is a container's, not the machine's.
    """
    name = re.sub(r"[^A-Za-z0-9._:-]", "-", hostname).lstrip("._:-")[:253]
    if not name:
        raise ConfigError(f"the hostname {hostname!r} gives no node name: give --node NAME")
    if name != hostname:
        say(f"warning: the hostname {hostname!r} is no node name, {name} is used; --node sets another")
    if foreign:
        say(
            f"warning: {name} is a container's hostname; give --node NAME, or share the host's (--uts host, "
            "hostNetwork), lest every new container become a new node"
        )
    return name


def default_spool(environ: Mapping[str, str], *, system: Path = Path("/var/lib/slabhound")) -> Path | None:
    """The service's own folder (systemd's STATE_DIRECTORY), `system` where it can be written, else the user's."""
    if environ.get("STATE_DIRECTORY"):
        return Path(environ["STATE_DIRECTORY"].split(":")[0]) / "spool"
    there = next((folder for folder in (system, *system.parents) if folder.exists()), None)
    if there is not None and os.access(there, os.W_OK):
        return system / "spool"
    if environ.get("XDG_STATE_HOME"):
        return Path(environ["XDG_STATE_HOME"]) / "slabhound" / "spool"
    if environ.get("HOME"):
        return Path(environ["HOME"]) / ".local" / "state" / "slabhound" / "spool"
    return None


def open_spool(given: str | None, limit: int, *, once: bool, environ: Mapping[str, str], say: Say) -> Spool:
    """The folder given, or the default one; memory, with a warning, where the default cannot be had.

    Raises ConfigError when the folder given cannot be used. `--once` beside a running agent makes do with memory.
    """
    folder = Path(given) if given else default_spool(environ)
    problem = "there is no folder to keep snapshots in; give --spool one"
    if folder is not None:
        try:
            return DiskSpool(folder, limit=limit)
        except ConfigError as error:
            if given and not once:
                raise
            problem = str(error)
    if not once:
        say(f"warning: {problem}; until then they wait in memory only")
    return MemorySpool(limit=min(limit, MEMORY_LIMIT))
