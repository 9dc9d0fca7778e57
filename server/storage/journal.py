"""What changed in a store since when: tells whether an answer over a window still holds."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import numpy as np

from server.storage.instants import HOUR, ceil_milliseconds, floor_milliseconds

__all__ = ["Journal"]

_KEPT = 65_536
"""Changes remembered to the millisecond (1 MiB); of older ones only the hour is."""
_HOURS = 100_000
"""Hours remembered (some 10 MB); with more, all that is older counts as changed."""


class Journal:
    """Changes in the order in which they were committed. Safe to use from any thread.

    Note a change once readers can see it, and take `mark` before reading: then an answer is dropped once too often at
    worst.
    """

    def __init__(self, kept: int = _KEPT, hours: int = _HOURS) -> None:
        self._spans = np.zeros((2, kept), dtype=np.int64)
        self._most_hours = hours
        self._hours: dict[int, int] = {}
        """The newest change of each hour."""
        self._everything = 0
        """The newest change that concerned every window."""
        self._joined: dict[str, int] = {}
        """The newest change of each group that brought a node."""
        self._count = 0
        self._lock = threading.Lock()

    @property
    def mark(self) -> int:
        """Stands for what was committed so far."""
        return self._count

    def note(self, instants: Sequence[int]) -> None:
        """That snapshots taken then (milliseconds) came."""
        with self._lock:
            self._write(instants, instants)
            self._remember({at // HOUR for at in instants})

    def note_spans(self, spans: Sequence[tuple[int, int]]) -> None:
        """That something from `first` to `last` (milliseconds, both included) went away."""
        with self._lock:
            self._write([first for first, _ in spans], [last for _, last in spans])
            self._remember({h for first, last in spans for h in range(first // HOUR, last // HOUR + 1)})

    def note_everything(self) -> None:
        """That answers over any window may differ."""
        with self._lock:
            self._count += 1
            self._everything = self._count

    def note_nodes(self, groups: Iterable[str]) -> None:
        """That nodes of these groups came which were not known, after what they brought is noted."""
        with self._lock:
            self._joined.update(dict.fromkeys(groups, self._count))

    def joined(self, mark: int, group: str | None) -> bool:
        """Whether a node of that group (None: of any) came since `mark` which was not known."""
        with self._lock:
            newest = self._joined.values() if group is None else [self._joined.get(group, 0)]
            return max(newest, default=0) > mark

    def changed(self, mark: int, start: float, end: float) -> bool:
        """Whether an answer about `start` to `end` (epoch seconds, both included) may differ from one at `mark`."""
        low, high = ceil_milliseconds(start), floor_milliseconds(end)
        with self._lock:
            if self._everything > mark:
                return True
            since = self._count - mark
            kept = self._spans.shape[1]
            if since <= kept:
                place = np.arange(mark, self._count) % kept
                first, last = self._spans[:, place]
                return bool(((first <= high) & (last >= low)).any())
            hours = range(low // HOUR, high // HOUR + 1)
            if len(hours) <= len(self._hours):
                return any(self._hours.get(hour, 0) > mark for hour in hours)
            return any(at > mark and hour in hours for hour, at in self._hours.items())

    def _write(self, first: Sequence[int], last: Sequence[int]) -> None:
        kept = self._spans.shape[1]
        if len(first) == 1:  # a push alone in its commit: a tenth of the time
            self._spans[:, self._count % kept] = first[0], last[0]
            self._count += 1
            return
        place = np.arange(self._count, self._count + len(first))[-kept:] % kept
        self._spans[0, place], self._spans[1, place] = first[-kept:], last[-kept:]
        self._count += len(first)

    def _remember(self, hours: Iterable[int]) -> None:
        self._hours.update(dict.fromkeys(hours, self._count))
        if len(self._hours) > self._most_hours:
            self._hours.clear()
            self._everything = self._count
