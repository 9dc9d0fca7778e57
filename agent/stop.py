"""SIGTERM and SIGINT: end at once where that loses nothing, else at the next such place."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stopper", "Stopping"]


class Stopping(BaseException):
    """Raised by the signal handler inside `Stopper.interruptible`; no `except Exception` may swallow it."""


class Stopper:
    """Whether the agent is asked to end. Signals reach Python's main thread only, and there is no other."""

    def __init__(self) -> None:
        self.requested = False
        self._interruptible = False

    def install(self) -> None:
        """Takes over SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle)

    def handle(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self.requested = True
        if self._interruptible:
            self._interruptible = False
            raise Stopping

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A stretch in which a signal raises Stopping wherever it is: sleeping, or waiting for a server that hangs."""
        self._interruptible = True
        try:
            if self.requested:
                raise Stopping
            yield
        finally:
            self._interruptible = False

    @contextmanager
    def fatal(self) -> Iterator[None]:
        """A stretch in which a signal ends the process on the spot, by the system's default action.

        For getaddrinfo: the C library waits for name servers for many seconds and no Python handler runs meanwhile.
        Everything must be on disk by then. Does nothing where `install` was not called, nor as process 1 (of a
        container), to whom the default action does not apply: there the signal is heard after the look-up.
        """
        mine = () if os.getpid() == 1 else (signal.SIGTERM, signal.SIGINT)
        numbers = [number for number in mine if signal.getsignal(number) == self.handle]
        if numbers and self.requested:
            raise Stopping
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        try:
            yield
        finally:
            for number in numbers:
                signal.signal(number, self.handle)
