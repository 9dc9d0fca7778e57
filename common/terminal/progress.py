"""How far a long task has come: a bar on a terminal, a plain line now and then elsewhere, nothing when it is quick."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from common.terminal.screen import Screen
from common.terminal.text import cut
from common.terminal.units import span

__all__ = ["Progress"]

_FIRST, _REDRAW, _LINE = 1.0, 0.1, 15.0
"""Seconds before anything is shown, between two states of the bar, and between two plain lines."""


class Progress:
    """A context manager; `advance` as work gets done. Everything goes to standard error."""

    def __init__(
        self,
        screen: Screen,
        label: str,
        total: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`total`: the amount of work, where it is known; `clock` gives seconds that only grow."""
        self._screen = screen
        self._label = label
        self._total = total
        self._clock = clock
        self._began = clock()
        self._due = self._began + (_FIRST if screen.animated else _LINE)
        self._done = 0.0
        self._note = ""
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._screen.err.write("\r\x1b[K")
            self._screen.err.flush()

    def advance(self, amount: float = 1, note: str = "") -> None:
        """`amount` more is done; `note` says what it came to, e.g. `120 snapshots`."""
        self.reach(self._done + amount, self._total, note)

    def reach(self, done: float, total: float | None, note: str = "") -> None:
        """So much of the whole is done now."""
        self._done, self._total = done, total
        self._note = note or self._note
        now = self._clock()
        if now < self._due:
            return
        animated = self._screen.animated
        self._due = now + (_REDRAW if animated else _LINE)
        text = self._text(now - self._began)
        if animated:
            self._drawn = True
            self._screen.err.write(f"\r\x1b[K{cut(text, self._screen.width - 1)}")
        else:
            self._screen.err.write(f"{text}\n")
        self._screen.err.flush()

    def _text(self, elapsed: float) -> str:
        words = [self._label]
        if self._total:
            part = min(self._done / self._total, 1.0)
            if self._screen.animated:
                full, empty = ("█", "░") if self._screen.unicode else ("#", ".")
                words.append(full * int(part * 24) + empty * (24 - int(part * 24)))
            words.append(f"{part:4.0%}")
            if 0.02 < part < 1:
                words.append(f"{span(elapsed / part - elapsed)} left")
        else:
            words.append(span(elapsed))
        if self._note:
            words.append(self._note)
        return "  ".join(words)
