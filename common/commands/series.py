"""The series of one cache on one node, as /compare gives it, for the sparklines beside a report's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.errors import ServerError
from common.times import parse_time

if TYPE_CHECKING:
    from common.commands.client import Client
    from common.terminal.report import Points

__all__ = ["SeriesOfFindings", "points"]

_POINTS, _NODES = 60, 1000
_MOST = 10
"""Different caches asked for: each is an analysis for the server, and further down a report nobody needs pictures."""


def points(series: Any) -> Points:
    """The (epoch seconds, allocated bytes) of a series in /compare's form."""
    return [(parse_time(str(point["time"])), point["bytes"]) for point in series]


class SeriesOfFindings:
    """Asks the server for the series of findings, once for each cache and group."""

    def __init__(self, client: Client, window: str, at: str) -> None:
        """`window` and `at`: those of the report, so that the pictures show what was judged."""
        self._client = client
        self._asked_of = {"window": window, "at": at, "points": _POINTS, "limit": _NODES}
        self._asked: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def __call__(self, finding: Any) -> Points | None:
        """Allocated bytes of the finding's cache on its node (a fleet's: on the first node); None without any."""
        key = finding["cache"], finding["group"]
        if key not in self._asked and len(self._asked) < _MOST:
            self._asked[key] = self._nodes(*key)
        for row in self._asked.get(key, []):
            if finding["node"] in {None, row["node"]}:
                return points(row["series"])
        return None

    def _nodes(self, cache: str, group: str) -> list[dict[str, Any]]:
        try:
            nodes: list[dict[str, Any]] = self._client.get(
                "/compare", {"cache": cache, "group": group, **self._asked_of}
            )["nodes"]
        except ServerError:  # the picture is missing; the figures beside it stand
            return []
        return nodes
