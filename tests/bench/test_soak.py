"""Holds the soak's verdicts: what counts as growth, and as an error in a log."""

from __future__ import annotations

from bench.soak.checks import errors_in, flat
from bench.soak.ledger import Ledger


def test_memory_that_only_wanders_is_flat() -> None:
    assert flat([300_000 + 9_000 * (i % 3) for i in range(600)]).held


def test_warming_up_is_no_growth() -> None:
    assert flat([100_000 + min(i, 140) * 2_000 for i in range(600)]).held


def test_memory_that_grows_on_is_found() -> None:
    assert not flat([100_000 + i * 200 for i in range(600)]).held


def test_a_short_run_is_not_judged() -> None:
    found = flat([100_000 + i * 20_000 for i in range(239)])
    assert found.held
    assert "not judged" in found.figures


def test_errors_are_found_in_a_log() -> None:
    log = "2026 INFO a: well\n2026 ERROR b: bad\nTraceback (most recent call last):\n2026 WARNING c: mind\n"
    assert errors_in(log) == ["2026 ERROR b: bad", "Traceback (most recent call last):"]


def test_a_ledger_knows_what_was_sent_from_what_was_taken() -> None:
    ledger = Ledger()
    ledger.sending("n", [1.0, 2.001])
    ledger.took("n", [1.0])
    assert ledger.sent["n"] - ledger.acknowledged["n"] == {2001}
    assert ledger.counts["acknowledged"] == 1
