"""Instants and durations as the contract writes them: RFC 3339 or epoch seconds, `90s`, `30m`, `24h`, `7d`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

__all__ = ["EARLIEST", "LATEST", "format_duration", "format_time", "parse_duration", "parse_time"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = 0.0, 253402300799.0
"""1970-01-01 and 9999-12-31T23:59:59Z in epoch seconds: what RFC 3339 and this program can both say."""


def parse_time(text: str) -> float:
    """Epoch seconds, to the millisecond, of an RFC 3339 instant with an offset, or of a plain number.

    A `+` that a URL turned into a blank is put back. Raises ValueError with a sentence for the user.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", text):
        seconds = float(text)
    else:
        try:
            instant = datetime.fromisoformat(re.sub(r" (?=[0-9]{2}:?[0-9]{2}$)", "+", text).upper())
        except ValueError:
            instant = None
        if instant is None or not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", text):
            raise ValueError(f"{text!r} is no time: write 2026-11-22T23:00:00Z or epoch seconds") from None
        if instant.tzinfo is None:
            raise ValueError(f"{text!r} has no offset: end it with Z or +01:00")
        seconds = (instant - _EPOCH) / timedelta(seconds=1)
    if not EARLIEST <= seconds <= LATEST:
        raise ValueError(f"{text!r} lies outside 1970 to 9999: are these milliseconds? Give epoch seconds")
    return round(seconds, 3)


def format_time(seconds: float) -> str:
    """RFC 3339 in UTC to the millisecond: `2026-11-22T23:00:00.125Z`."""
    instant = _EPOCH + timedelta(milliseconds=round(seconds * 1000))
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `30m`, `24h`, `7d`, `2w` (a bare number is seconds). Raises ValueError."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhdw]?)", text.strip())
    if not found or float(found[1]) <= 0:
        raise ValueError(f"{text!r} is no duration: write 90s, 30m, 24h or 7d")
    return float(found[1]) * _UNITS[found[2] or "s"]


def format_duration(seconds: float) -> str:
    """The shortest exact form with one unit: 86400 -> `1d`, 5400 -> `90m`, 0.5 -> `0.5s`."""
    for unit in ("d", "h", "m"):
        if seconds >= _UNITS[unit] and seconds % _UNITS[unit] == 0:
            return f"{int(seconds // _UNITS[unit])}{unit}"
    return f"{seconds:g}s"
