"""The line that says what is being waited for."""

from __future__ import annotations

import io
import threading

from common.terminal.screen import Screen
from common.terminal.waiting import Waiting
from tests.common.terminal.test_table import Terminal


class Shown(Terminal):
    """Notes when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        done = super().write(text)
        self.written.set()
        return done


def test_it_shows_and_is_wiped() -> None:
    err, times = Shown(), iter(range(0, 10**6, 7))
    screen = Screen(io.StringIO(), err, {"TERM": "xterm"})
    with Waiting(screen, "waiting for the report", every=0.001, clock=lambda: float(next(times))):
        assert err.written.wait(30)
    assert err.getvalue().startswith("\r\x1b[Kwaiting for the report  7s")
    assert err.getvalue().endswith("\r\x1b[K")


def test_quick_work_shows_nothing() -> None:
    err = Terminal()
    with Waiting(Screen(io.StringIO(), err, {"TERM": "xterm"}), "waiting", every=60):
        pass
    assert err.getvalue() == ""


def test_without_a_terminal_nothing_waits_to_be_shown() -> None:
    before = threading.active_count()
    with Waiting(Screen(io.StringIO(), io.StringIO(), {"TERM": "xterm"}), "waiting", every=60):
        assert threading.active_count() == before
