"""When to read next: a steady clock with the node's own phase, a little jitter, and longer steps when reads hurt."""

from __future__ import annotations

import math
import time
import zlib
from collections import deque
from collections.abc import Callable
from random import Random

__all__ = ["Schedule"]

FIRST_WITHIN = 10.0
"""Seconds: the first snapshot is taken at random within these (or a sixth of the interval)."""
JITTER = 0.02
"""Of the interval: no two nodes beat in step with each other, nor with a job on the minute, for long."""
SLOW_READ = 0.02
"""Seconds: a read below this is never called slow. Usual is 0.3-3 ms; it holds slab_mutex and, per cache, walks the
partial lists under their lock, for which stalls of 200 ms were reported (lkml.iu.edu 2002.2/08131)."""
READ_SHARE = 0.001
"""Slow reads may take this share of the time ..."""
MOST_STRETCHED = 10
"""... but the interval grows at most so many times."""


class Schedule:
    """Instants on a monotonic clock: the node's phase plus whole intervals.

    Each instant is computed from the grid, never from the last one, so nothing drifts; an instant that was missed
    (suspend, a long push) is skipped, so nothing bursts.
    """

    def __init__(
        self,
        interval: float,
        node: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        random: Random | None = None,
    ) -> None:
        """`interval`: seconds. `clock`: seconds that only rise; `wall`: epoch seconds, used once to place the grid."""
        self._interval = interval
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - spreads load, keeps no secret
        self._reads: deque[float] = deque(maxlen=5)
        self._stretch = 1
        phase = zlib.crc32(node.encode()) / 2**32 * interval
        now = clock()
        self._anchor = now - (wall() - phase) % interval
        self.due = now + self._random.uniform(0, min(FIRST_WITHIN, interval / 6))

    @property
    def interval(self) -> float:
        """Seconds between snapshots as now planned."""
        return self._interval * self._stretch

    def advance(self, read_seconds: float | None = None) -> None:
        """Plans the next instant, after a read that took `read_seconds` (None when it failed)."""
        if read_seconds is not None:
            self._reads.append(read_seconds)
            # The median; the module `statistics` would cost the agent a megabyte.
            self._stretch = self._fitting(sorted(self._reads)[len(self._reads) // 2])
        now = self._clock()
        passed = math.floor((now - self._anchor) / self._interval)
        due = self._anchor + (passed + self._stretch) * self._interval
        if due - now < self._interval / 2:
            due += self._interval
        self.due = due + self._random.uniform(0, JITTER * self._interval)

    def _fitting(self, usual: float) -> int:
        if usual <= SLOW_READ:
            return 1
        return min(MOST_STRETCHED, max(1, math.ceil(usual / READ_SHARE / self._interval)))
