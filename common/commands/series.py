"""The series of one cache on one node, as /compare gives it, for the sparklines beside other figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.errors import ServerError
from common.times import parse_time

if TYPE_CHECKING:
    from common.commands.client import Client
    from common.terminal.report import Points

__all__ = ["of_node", "points"]

_POINTS = 60


def points(series: Any) -> Points:
    """The (epoch seconds, allocated bytes) of a series in /compare's form."""
    return [(parse_time(str(point["time"])), point["bytes"]) for point in series]


def of_node(client: Client, node: str | None, cache: str, window: str, group: str) -> Points | None:
    """The cache's allocated bytes on the node (None: on the one that stands out most); None where there are none."""
    wanted = {"cache": cache, "window": window, "group": group, "points": _POINTS}
    try:
        found = client.get("/compare", wanted)
    except ServerError:  # the picture is missing; the figures beside it stand
        return None
    for row in found["nodes"]:
        if node is None or row["node"] == node:
            return points(row["series"])
    return None
