"""Times the analysis alone, from arrays in memory: `python -m bench.detection.speed [NODES ...]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable

from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings
from server.buckets import NodeSeries, Source
from server.simulator.families import FAMILIES, Terms
from server.simulator.fleet import Fleet

__all__ = ["Remembered", "measure"]

Request = tuple[float, float, int, str | None, frozenset[str] | None]


class Remembered:
    """A source that reads every window once and has it at hand when it is asked again."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[Request, list[NodeSeries]] = {}

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        """See server.buckets.Source."""
        key = (start, end, width, group, None if caches is None else frozenset(caches))
        if key not in self._known:
            self._known[key] = list(self._source.window(start, end, width, group=group, caches=caches))
        return self._known[key]


def measure(nodes: int, hours: float = 24.0, interval: float = 300.0) -> tuple[float, float]:
    """CPU seconds to judge a fleet with one leak: the first time, reading included, and from memory (best of three)."""
    spec = FAMILIES["plain"].build(Terms(1, hours, interval, nodes)).spec
    source = Remembered(Fleet(spec, cached=1))
    seconds = []
    for _ in range(4):
        begun = time.process_time()
        judge(source, start=spec.start, end=spec.start + hours * 3600, group=None, settings=AnalysisSettings())
        seconds.append(time.process_time() - begun)
    return seconds[0], min(seconds[1:])


def main() -> None:
    print("| nodes, 24 h | CPU s from arrays | ms a node |\n| ---: | ---: | ---: |")
    for nodes in map(int, sys.argv[1:] or ("6", "12", "30", "100", "300", "1000")):
        _, seconds = measure(nodes)
        print(f"| {nodes} | {seconds:.3f} | {1000 * seconds / nodes:.2f} |", flush=True)


if __name__ == "__main__":
    main()
