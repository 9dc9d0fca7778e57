"""The agent's day: read, hand to the courier, sleep; one thread, ended by a signal without losing a snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.collector import Collector
from agent.container import partial_view
from agent.courier import Courier
from agent.packing import Fresh
from agent.pusher import Outcome, Verdict
from agent.schedule import Schedule
from agent.stop import Stopper, Stopping
from common.errors import ReadError
from common.snapshot import Snapshot

__all__ = ["Agent"]


class Agent:
    """Puts collector, schedule and courier together."""

    def __init__(
        self,
        collector: Collector,
        courier: Courier,
        *,
        stopper: Stopper,
        say: Callable[[str], None],
        proc: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`proc`: where slabinfo lies. `clock`: the schedule's and the courier's.

        `sleep`: seconds; a signal may end it by raising Stopping.
        """
        self._collector = collector
        self._courier = courier
        self._stopper = stopper
        self._say = say
        self._proc = proc
        self._clock = clock
        self._sleep = sleep
        self._trouble = ""
        self._skipped = 0

    def once(self) -> Outcome:
        """Reads once and sends it, last, after what an earlier run left; the outcome is its own. Raises ReadError."""
        try:
            self._take(self._first())
            outcome = Outcome(Verdict.STORED)
            while self._courier.next_at is not None and outcome.verdict is not Verdict.AWAY:
                outcome = self._courier.send()
        except Stopping:
            outcome = Outcome(Verdict.AWAY, "interrupted")
        finally:
            self._courier.keep()
        return outcome

    def run(self, schedule: Schedule) -> None:
        """Until a signal. Raises ReadError when a first read, for trial, fails: then nothing would ever come."""
        self._first()
        try:
            while not self._stopper.requested:
                now = self._clock()
                due = self._courier.next_at
                if now >= schedule.due:
                    self._tick(schedule)
                elif due is not None and now >= due:
                    self._courier.send()
                else:
                    with self._stopper.interruptible():
                        self._sleep(min(schedule.due, due or schedule.due) - now)
        except Stopping:
            pass
        finally:
            self._courier.keep(flush=False)

    def _first(self) -> Snapshot:
        snapshot = self._collector.collect()
        warning = partial_view(self._proc, snapshot.caches.name)
        if warning:
            self._say(f"warning: {warning}")
        return snapshot

    def _tick(self, schedule: Schedule) -> None:
        before = schedule.interval
        try:
            snapshot = self._collector.collect(before)
        except ReadError as error:
            schedule.advance()
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._say(f"no snapshot: {error}")
            return
        if self._trouble:
            self._trouble = ""
            self._say("reading again")
        schedule.advance(snapshot.read_seconds)
        if schedule.interval != before:
            milliseconds = (snapshot.read_seconds or 0.0) * 1000
            self._say(f"reading takes {milliseconds:.0f} ms: one snapshot every {schedule.interval:g} s from now on")
        self._take(snapshot)

    def _take(self, snapshot: Snapshot) -> None:
        if self._collector.skipped != self._skipped:
            self._skipped = self._collector.skipped
            self._say(f"warning: {self._skipped} lines of slabinfo are no rows and are left out")
        self._courier.offer(Fresh(snapshot))
