"""`slabhound agent`: its options, and what runs before agent.assembly may be loaded."""

from __future__ import annotations

import sys
from argparse import Namespace

from common.config import Option
from common.errors import ConfigError
from common.names import MAX_GROUP, MAX_TEXT, NODE_RULE, is_node_name
from common.server_url import server_url
from common.sizes import parse_size
from common.times import parse_duration

__all__ = ["OPTIONS", "run"]


def parse_node(text: str) -> str:
    """A node's name. Raises ValueError."""
    if not is_node_name(text):
        raise ValueError(f"{text!r} is no node name: {NODE_RULE}")
    return text


def parse_group(text: str) -> str:
    """A group's name. Raises ValueError."""
    if not text.isprintable() or not 0 < len(text) <= MAX_GROUP:
        raise ValueError(f"{text!r} is no group name: 1 to {MAX_GROUP} printable characters")
    return text


def parse_label(text: str) -> tuple[str, str]:
    """`rack=r4`. Raises ValueError."""
    key, equals, value = text.partition("=")
    if not (key and equals) or not text.isprintable() or max(len(key), len(value)) > MAX_TEXT:
        raise ValueError(f"{text!r} is no label: write KEY=VALUE, at most {MAX_TEXT} printable characters each")
    return key, value


def parse_interval(text: str) -> float:
    """Seconds, at least one. Raises ValueError."""
    seconds = parse_duration(text)
    if not 1 <= seconds <= 86400:
        raise ValueError(f"{text!r} is no interval: 1s to 1d")
    return seconds


OPTIONS = (
    Option(name="server", type=server_url, metavar="URL", help="the aggregator, such as http://aggregator:8080"),
    Option(name="interval", type=parse_interval, default=60.0, metavar="60s", help="time between snapshots"),
    Option(name="group", type=parse_group, default="default", metavar="GROUP", help="nodes that ought to behave alike"),
    Option(name="node", type=parse_node, metavar="NAME", help="this node's name (default: its hostname)"),
    Option(name="label", type=parse_label, repeat=True, metavar="K=V", help="a label for people; may be repeated"),
    Option(name="proc", default="/proc", metavar="DIR", help="where the kernel's proc file system is"),
    Option(name="sys", default="/sys", metavar="DIR", help="where its sys file system is"),
    Option(
        name="spool",
        metavar="DIR",
        help="where snapshots wait while the server is away (default: /var/lib/slabhound/spool, else in the user's "
        "state folder)",
    ),
    Option(
        name="spool-size",
        type=parse_size,
        default=64 << 20,
        metavar="64M",
        help="most disk the waiting snapshots may take; then the oldest go (64M holds about ten days)",
    ),
    Option(name="token-file", metavar="FILE", help="file with the server's bearer token"),
    Option(name="once", flag=True, help="send one snapshot and exit: 0 when it is stored, 2 when not"),
)


def run(options: Namespace) -> int:
    """Runs until a signal (status 0), or once. Raises SlabhoundError with what to do."""
    if not options.server:
        raise ConfigError("no server to send to: give --server URL, such as http://aggregator:8080")
    tls = options.server.startswith("https:")
    from agent.light import load_httpx  # noqa: PLC0415 - before anything that would load OpenSSL

    load_httpx(tls=tls)
    from agent.assembly import assemble  # noqa: PLC0415 - as above, only when used

    return assemble(options, tls=tls, say=say)


def say(line: str) -> None:
    """One line to standard error; the journal or the container engine adds the time."""
    try:
        sys.stderr.write(f"slabhound agent: {line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody listens, and there is nowhere to say so
