"""Signals: raised where they may be, remembered where they may not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from agent.stop import Stopper, Stopping


@pytest.fixture
def stopper() -> Iterator[Stopper]:
    """Installed, and undone afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    made = Stopper()
    made.install()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


def kill_and_wait(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    pytest.fail("the wait went on")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_wait(stopper: Stopper, number: signal.Signals) -> None:
    with pytest.raises(Stopping), stopper.interruptible():
        kill_and_wait(number)
    assert stopper.requested


def test_a_signal_during_other_work_is_remembered(stopper: Stopper) -> None:
    with stopper.interruptible():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    assert stopper.requested
    with pytest.raises(Stopping), stopper.interruptible():
        pytest.fail("a wait began")


def test_a_second_signal_does_not_disturb_the_end(stopper: Stopper) -> None:
    went_on: list[bool] = []

    def killed_twice() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            went_on.append(True)

    with pytest.raises(Stopping), stopper.interruptible():
        killed_twice()
    assert went_on


def test_a_look_up_leaves_signals_to_the_system(stopper: Stopper) -> None:
    with stopper.fatal():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) == stopper.handle


def test_no_look_up_begins_when_the_end_is_asked_for(stopper: Stopper) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Stopping), stopper.fatal():
        pytest.fail("a look-up began")


def test_without_installation_nothing_is_touched() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stopper().fatal():
        assert signal.getsignal(signal.SIGTERM) == before
