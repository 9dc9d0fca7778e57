"""What is sent when: fresh snapshots at once, a backlog in batches, in order, patiently while the server is away.

In ordinary times a snapshot goes from memory straight to the aggregator over the open connection and never touches the
disk (1,440 flushed files a day would wear flash for nothing). It is spooled first whenever the push may take long: a
connection has to be opened, older snapshots wait, or the server is away. So SIGTERM loses nothing, and kill -9 or a
power cut loses at most the one snapshot that is on its way over a live connection at that moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from random import Random
from typing import Protocol

from agent.packing import Entry, Fresh, in_full
from agent.pusher import Outcome, Verdict
from agent.spool import Spool
from common.times import format_duration

__all__ = ["Courier", "set_aside"]

BATCH = 32
"""Snapshots in one request while draining: about 0.4 MB of JSON, and no more than that in memory."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 120.0
"""Seconds before the first and the later attempts at a server that is away; doubled in between."""
PAUSE = 1.0
"""Seconds, at most, between two batches of a backlog: a fleet that comes back at once must not crush the server."""


class _Pusher(Protocol):
    @property
    def live(self) -> bool: ...

    def push(self, entries: list[Entry], /) -> Outcome: ...


class Courier:
    """Owns everything between a packed snapshot and its 201."""

    def __init__(
        self,
        pusher: _Pusher,
        spool: Spool,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`say`: takes a line for the log. `clock`: seconds that only rise. `waiting`: entered around a push."""
        self._pusher = pusher
        self._spool = spool
        self._say = say
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - spreads load, keeps no secret
        self._waiting = waiting
        self._hand: Entry | None = None
        self._spooled: tuple[int, Fresh] | None = None
        """What was spooled last, with its number, while it is in memory still: alone it goes in short."""
        self._moved = 0
        """The number in the spool of what was in hand when its push began."""
        self._next_at = float("-inf")
        self._failures = 0
        self._most = BATCH
        """What the server takes at once, as 413 taught."""
        self._size = BATCH
        """The next batch: smaller while one that is refused is being looked for."""
        self._away_since: float | None = None
        self._away_reason = ""
        self._drained = 0
        self._dropped_before = 0

    @property
    def next_at(self) -> float | None:
        """When `send` is due, on the clock given; None while there is nothing to send."""
        return self._next_at if self._hand is not None or len(self._spool) else None

    def offer(self, entry: Entry) -> None:
        """Takes a fresh snapshot."""
        self._spool.touch()
        if self._pusher.live and not len(self._spool) and self._hand is None:
            self._hand = entry
            return
        self.keep()
        self._add(entry)

    def keep(self, *, flush: bool = True) -> None:
        """Puts what is in memory on disk; `flush=False` when there is no time to wait for it."""
        if self._hand is not None:
            self._moved = self._add(self._hand, flush=flush)
            self._hand = None

    def _add(self, entry: Entry, *, flush: bool = True) -> int:
        had_room = self._spool.dropped == self._dropped_before
        number = self._spool.add(in_full(entry), flush=flush)
        self._spooled = (number, entry) if isinstance(entry, Fresh) else None
        if had_room and self._spool.dropped > self._dropped_before:
            trouble = "is full: giving up the oldest" if number else "cannot be written: mend it; giving up fresh"
            self._say(f"the spool ({self._spool.place}) {trouble} snapshots from now on")
        return number

    def send(self) -> Outcome:
        """One request; plans the next. What it does not confirm stays, also when `waiting` ends it by an exception."""
        self._moved = 0
        numbered = self._next()
        if not numbered:
            return Outcome(Verdict.STORED)
        with self._waiting():
            outcome = self._pusher.push([entry for _, entry in numbered])
        if outcome.verdict is Verdict.STORED:
            self._stored([number for number, _ in numbered])
        elif outcome.verdict is Verdict.AWAY:
            self._away(outcome)
        elif len(numbered) > 1:
            self._size = len(numbered) // 2
            if outcome.verdict is Verdict.TOO_LARGE:
                self._most = self._size
        else:
            self._refused(*numbered[0], outcome)
        return outcome

    def _next(self) -> list[tuple[int, Entry]]:
        """What to send, with the numbers in the spool, 0 for what is not there."""
        if self._hand is not None:
            return [(0, self._hand)]
        oldest = self._spool.oldest(self._size)
        if self._spooled is not None and [number for number, _ in oldest] == [self._spooled[0]]:
            return [self._spooled]
        return list(oldest)

    def _stored(self, numbers: list[int]) -> None:
        for number in numbers:
            self._spool.remove(number or self._moved)
        self._hand = self._spooled = None
        self._drained += len(numbers)
        self._failures = 0
        self._size = min(self._most, self._size * 2)
        self._next_at = self._clock()
        if len(self._spool):
            self._next_at += self._random.uniform(0, PAUSE)
        elif self._away_since is not None:
            self._back()
        else:
            if self._drained > 1:
                self._say(f"{self._drained} kept snapshots sent")
            self._drained = 0

    def _away(self, outcome: Outcome) -> None:
        self.keep()
        now = self._clock()
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._failures, 10))
        wait *= self._random.uniform(0.5, 1)
        if outcome.wait is not None:
            wait = max(wait, outcome.wait * self._random.uniform(1, 1.1))
        self._failures += 1
        self._next_at = now + wait
        if self._away_since is None:
            self._away_since = now
            self._drained = 0
            self._dropped_before = self._spool.dropped
        # Said once, and again only when the trouble changes: 401 after "refused" is news.
        if outcome.reason != self._away_reason:
            self._away_reason = outcome.reason
            self._say(f"cannot push: {outcome.reason}; keeping snapshots in {self._spool.place} and trying again")

    def _back(self) -> None:
        away = self._clock() - (self._away_since or 0.0)
        dropped = self._spool.dropped - self._dropped_before
        self._say(
            f"pushing again after {format_duration(max(1, round(away)))}: {self._drained} kept snapshots sent"
            + (f", {dropped} dropped" if dropped else "")
        )
        self._away_since = None
        self._away_reason = ""
        self._drained = 0
        self._dropped_before = self._spool.dropped

    def _refused(self, number: int, entry: Entry, outcome: Outcome) -> None:
        self._spool.remove(number or self._moved)
        self._hand = self._spooled = None
        self._failures = 0
        self._next_at = self._clock()
        self._spool.reject(in_full(entry), str(outcome.status or "damaged"))
        fate = set_aside(self._spool)
        self._say(f"the server refuses a snapshot for good: {outcome.reason}; {fate} ({self._spool.rejected} so far)")


def set_aside(spool: Spool) -> str:
    """What becomes of snapshots that the server refuses for good."""
    return f"set aside in {spool.place}/rejected" if spool.lasting else "given up"
