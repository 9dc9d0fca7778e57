"""Times and durations as the contract spells them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.times import LATEST, format_duration, format_time, parse_duration, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("1795394547", 1795394547.0),
        ("1795394547.1254", 1795394547.125),
        (" 1795394547. ", 1795394547.0),
        ("2026-11-22T23:00:00Z", 1795388400.0),
        ("2026-11-22t23:00:00.125z", 1795388400.125),
        ("2026-11-23T00:00:00+01:00", 1795388400.0),
        ("2026-11-22T23:00:00.1259999+00:00", 1795388400.126),
        ("2026-11-22 23:00:00Z", 1795388400.0),
        ("2026-11-23T00:00:00 01:00", 1795388400.0),
        ("1970-01-01T00:00:00Z", 0.0),
        ("9999-12-31T23:59:59Z", LATEST),
    ],
)
def test_instants(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no time"),
        ("yesterday", "is no time"),
        ("-5", "is no time"),
        ("1e9", "is no time"),
        ("١٢٣", "is no time"),
        ("nan", "is no time"),
        ("2026-11-22", "is no time"),
        ("2026-11-22T23:00:00", "no offset"),
        ("20261122T230000Z", "is no time"),
        ("2026-W47-7T23:00:00Z", "is no time"),
        ("2026-13-22T23:00:00Z", "is no time"),
        ("1795394547000", "outside 1970 to 9999"),
        ("1969-12-31T23:59:59Z", "outside 1970 to 9999"),
        ("9" * 400, "outside 1970 to 9999"),
    ],
)
def test_what_is_no_instant(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_time(text)


@given(st.integers(0, int(LATEST) * 1000))
def test_an_instant_survives_its_text(milliseconds: int) -> None:
    seconds = round(milliseconds / 1000, 3)
    assert parse_time(format_time(seconds)) == seconds
    assert len(format_time(seconds)) == len("2026-11-22T23:00:00.125Z")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("30m", 1800.0),
        ("24h", 86400.0),
        ("7d", 604800.0),
        ("2w", 1209600.0),
        ("60", 60.0),
        ("0.5s", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "-1h", "1y", "h", "1 h", "1h30m", "٣s", "1e3", "inf"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(86400, "1d"), (5400, "90m"), (0.5, "0.5s"), (61, "61s"), (604800, "7d")]
)
def test_durations_as_text(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
    assert parse_duration(text) == seconds
