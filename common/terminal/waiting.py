"""Says what is being waited for, once that takes more than a second and somebody sits at the terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from common.terminal.screen import Screen
from common.terminal.units import span

__all__ = ["Waiting"]

_EVERY = 1.0
"""Seconds until it shows, and between two states."""


class Waiting:
    """A context manager around work that cannot say how far it has come. Nothing else may write meanwhile."""

    def __init__(
        self, screen: Screen, label: str, *, every: float = _EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._screen = screen
        self._label = label
        self._every = every
        self._clock = clock
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._drawn = False

    def __enter__(self) -> Self:
        if self._screen.animated:
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()
        if self._drawn:
            self._write("\r\x1b[K")

    def _show(self) -> None:
        began = self._clock()
        while not self._ended.wait(self._every):
            self._drawn = True
            self._write(f"\r\x1b[K{self._label}  {span(self._clock() - began)}")

    def _write(self, text: str) -> None:
        self._screen.err.write(text)
        self._screen.err.flush()
