"""Reads a window in whole buckets: the one that its start cuts is there with all of its snapshots, if it has any."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from server.analysis.windows import bucket_width, opening
from server.buckets import ARRAYS, BootSeries, NodeSeries, Source

__all__ = ["opened"]


def opened(
    source: Source, start: float, end: float, *, group: str | None, caches: Collection[str] | None = None
) -> Iterator[NodeSeries]:
    """The nodes of a window (epoch seconds) in its widest buckets (windows.bucket_width), from windows.opening on.

    What lies before `start` alone is left out: a bucket whose last snapshot does, and nodes with nothing later.
    """
    for node in source.window(opening(start, end), end, bucket_width(end - start), group=group, caches=caches):
        if all(boot.time[0] >= start for boot in node.boots):
            yield node
        elif boots := tuple(boot for every in node.boots if len((boot := _from(every, start)).time)):
            yield replace(node, boots=boots)


def _from(boot: BootSeries, start: float) -> BootSeries:
    kept = boot.time >= start
    if kept.all():
        return boot
    return replace(boot, **{name: getattr(boot, name)[kept] for name in ARRAYS})
