"""Figures as people read them."""

from __future__ import annotations

import pytest

from common.terminal.units import age, count, counted, rate, share, size, span, when


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1023.6, "1.0 KiB"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (99.94 * 1024, "99.9 KiB"),
        (99.96 * 1024, "100 KiB"),
        (999.4 * 1024, "999 KiB"),
        (999.6 * 1024, "1.0 MiB"),
        (-2 * 1024**3, "-2.0 GiB"),
        (-0.4, "0 B"),
        (2**63, "8.0 EiB"),
        (2**73, "8192 EiB"),
    ],
)
def test_size(value: float | None, text: str) -> None:
    assert size(value) == text


def test_signs() -> None:
    assert [size(v, sign=True) for v in (5, 0, -5)] == ["+5 B", "0 B", "-5 B"]
    assert [rate(v, sign=True) for v in (2330000, None, -1024)] == ["+2.2 MiB/h", "-", "-1.0 KiB/h"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0s"),
        (45.4, "45s"),
        (60, "1m"),
        (61, "1m 1s"),
        (12000, "3h 20m"),
        (3601, "1h"),
        (86400, "1d"),
        (90000, "1d 1h"),
        (86460, "1d"),
        (-5, "0s"),
    ],
)
def test_span(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_ages_and_instants() -> None:
    assert age(0, 12000) == "3h 20m ago"
    assert age(12000, 0) == "in 3h 20m"
    assert age(None, 0) == "-"
    assert when(1795474800.125) == "2026-11-23 23:00Z"
    assert when(None) == "-"
    assert [counted(v, "node") for v in (0, 1, 2000)] == ["0 nodes", "1 node", "2,000 nodes"]
    assert [count(v) for v in (None, 0, 1234567.4)] == ["-", "0", "1,234,567"]


def test_shares() -> None:
    assert [share(*pair) for pair in ((0, 0), (1, 4), (4, 4), (2**63, 4))] == ["-", "25%", "100%", ">100%"]
