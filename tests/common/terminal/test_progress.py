"""The progress bar, with a clock of the test's own."""

from __future__ import annotations

import io

from common.terminal.progress import Progress
from common.terminal.screen import Screen
from tests.common.terminal.test_table import Terminal


class Clock:
    """Gives the time it was set to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_quick_work_shows_nothing() -> None:
    clock = Clock()
    for stream in (Terminal(), io.StringIO()):
        with Progress(Screen(io.StringIO(), stream, {"TERM": "xterm"}), "reading", 10, clock=clock) as bar:
            for _ in range(10):
                bar.advance()
        assert stream.getvalue() == ""


def test_a_bar_grows_on_a_terminal_and_is_wiped_at_the_end() -> None:
    clock, err = Clock(), Terminal()
    with Progress(Screen(io.StringIO(), err, {"TERM": "xterm"}), "reading", 10, clock=clock) as bar:
        for second in range(1, 6):
            clock.now = second
            bar.advance(note=f"{second} snapshots")
    shown = err.getvalue().split("\r")
    assert "reading" in shown[1]
    assert " 10%" in shown[1]
    assert " 50%  5s left  5 snapshots" in shown[5]
    assert shown[5].count("█") == 12
    assert shown[-1] == "\x1b[K"


def test_it_redraws_no_more_than_ten_times_a_second() -> None:
    clock, err = Clock(), Terminal()
    with Progress(Screen(io.StringIO(), err, {"TERM": "xterm"}), "reading", clock=clock) as bar:
        for tick in range(3000):
            clock.now = tick / 1000
            bar.advance()
    assert err.getvalue().count("reading") == 20


def test_elsewhere_a_plain_line_now_and_then() -> None:
    clock, err = Clock(), io.StringIO()
    with Progress(Screen(io.StringIO(), err, {}), "reading", 100, clock=clock) as bar:
        for second in range(1, 41):
            clock.now = second
            bar.advance(note="x")
    assert err.getvalue() == "reading   15%  1m 25s left  x\nreading   30%  1m 10s left  x\n"


def test_without_a_total_the_time_is_shown() -> None:
    clock, err = Clock(), io.StringIO()
    with Progress(Screen(io.StringIO(), err, {}), "reading", clock=clock) as bar:
        clock.now = 20
        bar.advance(note="7 snapshots")
    assert err.getvalue() == "reading  20s  7 snapshots\n"
