"""A day of the agent on a clock that only its own sleep moves."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from agent.collector import Collector, Identity
from agent.courier import Courier
from agent.loop import Agent
from agent.packing import Entry, in_full, unpack
from agent.pusher import Outcome, Verdict
from agent.reader import ProcReader
from agent.schedule import Schedule
from agent.spool import BLOCK, DiskSpool
from agent.stop import Stopper
from common.errors import EmptyError, MissingError
from tests.agent.conftest import Kernel, row


class Day:
    """Everything but the network and the time."""

    def __init__(self, kernel: Kernel, tmp_path: Path, *, until: float) -> None:
        self.kernel = kernel
        self.now = 0.0
        self.until = until
        self.live = True
        self.outcomes: list[Outcome] = []
        self.pushed: list[tuple[float, int]] = []
        self.log: list[str] = []
        self.events: dict[float, object] = {}
        self.stopper = Stopper()
        self.spool = DiskSpool(tmp_path / "spool", limit=1000 * BLOCK)
        self.read_seconds = 0.001
        self.courier = Courier(
            self,
            self.spool,
            say=self.log.append,
            clock=lambda: self.now,
            random=Random(1),
            waiting=self.stopper.interruptible,
        )
        ticks = 0.0

        def clock() -> float:
            nonlocal ticks
            ticks += self.read_seconds
            return ticks

        reader = ProcReader(str(kernel.proc), str(kernel.sys))
        collector = Collector(reader, Identity("n"), wall=lambda: 1.7e9 + self.now, clock=clock)
        self.agent = Agent(
            collector,
            self.courier,
            stopper=self.stopper,
            say=self.log.append,
            proc=str(kernel.proc),
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def push(self, entries: list[Entry], /) -> Outcome:
        for entry in entries:
            assert unpack(in_full(entry))
        self.pushed.append((self.now, len(entries)))
        return self.outcomes.pop(0) if self.outcomes else Outcome(Verdict.STORED, status=201)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        if self.now >= self.until:
            self.stopper.handle()

    def run(self) -> None:
        self.agent.run(Schedule(60, "n", clock=lambda: self.now, wall=lambda: 1.7e9 + self.now, random=Random(1)))


def test_an_hour_is_sixty_snapshots(kernel: Kernel, tmp_path: Path) -> None:
    day = Day(kernel, tmp_path, until=3600)
    day.run()
    assert 59 <= len(day.pushed) <= 61
    assert day.log == []


def test_an_outage_of_an_hour_loses_nothing(kernel: Kernel, tmp_path: Path) -> None:
    day = Day(kernel, tmp_path, until=7200)
    day.outcomes = [Outcome(Verdict.AWAY, "away")] * 40
    day.run()
    stored = sum(count for _, count in day.pushed[40:])
    assert 119 <= stored <= 121
    assert len(day.spool) == 0
    assert day.spool.dropped == 0


def test_the_clock_goes_on_while_the_server_is_away(kernel: Kernel, tmp_path: Path) -> None:
    day = Day(kernel, tmp_path, until=3600)
    day.outcomes = [Outcome(Verdict.AWAY, "away")] * 1000
    day.run()
    assert 59 <= len(day.spool) <= 61


def test_the_end_keeps_what_is_in_hand(kernel: Kernel, tmp_path: Path) -> None:
    day = Day(kernel, tmp_path, until=1e9)

    def hang(entries: list[Entry], /) -> Outcome:
        assert len(entries) == 1
        day.stopper.handle()
        pytest.fail("the push went on")

    day.push = hang  # type: ignore[method-assign]  # this server hangs until the signal
    day.run()
    assert len(day.spool) == 1


def test_a_first_read_that_fails_is_the_end(kernel: Kernel, tmp_path: Path) -> None:
    (kernel.proc / "slabinfo").unlink()
    with pytest.raises(MissingError):
        Day(kernel, tmp_path, until=600).run()


def test_a_later_read_that_fails_is_said_once_and_got_over(kernel: Kernel, tmp_path: Path) -> None:
    day = Day(kernel, tmp_path, until=1200)
    text = (kernel.proc / "slabinfo").read_text()
    sleep = day.agent._sleep

    def troubled(seconds: float) -> None:
        sleep(seconds)
        (kernel.proc / "slabinfo").write_text("" if 300 < day.now < 700 else text)

    day.agent._sleep = troubled
    day.run()
    assert [line.split(":")[0] for line in day.log] == ["no snapshot", "reading again"]
    assert 12 <= len(day.pushed) <= 15


def test_slow_reads_are_said_and_made_rare(kernel: Kernel, tmp_path: Path) -> None:
    day = Day(kernel, tmp_path, until=3600)
    day.read_seconds = 0.2
    day.run()
    assert "reading takes 200 ms: one snapshot every 240 s from now on" in day.log
    assert 14 <= len(day.pushed) <= 17


def test_a_containers_view_is_one_warning(kernel: Kernel, tmp_path: Path) -> None:
    kernel.slabinfo(row("dentry", 10, 21, 192, 21, 1))
    day = Day(kernel, tmp_path, until=600)
    day.run()
    assert len(day.log) == 1
    assert day.log[0].startswith("warning: ")
    assert len(day.pushed) >= 9


def test_once_sends_one_and_what_was_left(kernel: Kernel, tmp_path: Path) -> None:
    day = Day(kernel, tmp_path, until=1e9)
    day.live = False
    day.outcomes = [Outcome(Verdict.AWAY, "away")]
    assert day.agent.once().verdict is Verdict.AWAY
    assert len(day.spool) == 1
    assert day.agent.once().verdict is Verdict.STORED
    assert [count for _, count in day.pushed] == [1, 2]
    assert len(day.spool) == 0


def test_once_with_nothing_to_read(kernel: Kernel, tmp_path: Path) -> None:
    (kernel.proc / "slabinfo").write_text("")
    with pytest.raises(EmptyError):
        Day(kernel, tmp_path, until=1e9).agent.once()
