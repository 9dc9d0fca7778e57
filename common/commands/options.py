"""Options that several of the client commands share, so that each is spelled and explained once."""

from __future__ import annotations

from common.config import Option
from common.server_url import server_url
from common.times import format_duration, format_time, parse_duration, parse_time

__all__ = ["AT", "GROUP", "JSON", "PATHS_HELP", "SERVER", "TOKEN_FILE", "WINDOW", "window_or_all"]


def _window(text: str) -> str:
    return format_duration(parse_duration(text))


def _instant(text: str) -> str:
    return format_time(parse_time(text))


def window_or_all(text: str) -> float | None:
    """Seconds, or None for `all`. Raises ValueError."""
    return None if text == "all" else parse_duration(text)


PATHS_HELP = "folders of NODE/STAMP.slabinfo, .tar[.gz|.zst] archives of such, or .ndjson[.gz|.zst] files of snapshots"

SERVER = Option("server", "the aggregator's address", type=server_url, default="http://127.0.0.1:8080", metavar="URL")
TOKEN_FILE = Option("token-file", "file whose first line is the token for the server", metavar="FILE")
GROUP = Option("group", "only the nodes of this group", metavar="GROUP")
WINDOW = Option("window", "how far back to look: 90m, 24h, 7d", type=_window, default="24h", metavar="24h")
AT = Option("at", "where the window ends, RFC 3339 or epoch seconds; now unless given", type=_instant, metavar="TIME")
JSON = Option("json", "print JSON, for programs", flag=True)
