"""Bounds of a question in whole milliseconds, as instants are stored; comparing as floats, as everybody else does."""

from __future__ import annotations

import math

from common.times import LATEST

__all__ = ["CLOSING", "HOUR", "ceil_milliseconds", "closed_before", "floor_milliseconds"]

HOUR = 3_600_000
"""Milliseconds of what is sealed together."""
CLOSING = 300_000
"""Milliseconds of the least bucket that is kept in memory."""


def closed_before(newest: int) -> int:
    """Where the first bucket begins that is not closed, by the newest snapshot (milliseconds both)."""
    return newest // CLOSING * CLOSING


def floor_milliseconds(seconds: float) -> int:
    """The last millisecond at or before."""
    near = round(min(max(seconds, -1.0), LATEST) * 1000)
    return near if near / 1000 <= seconds else near - 1


def ceil_milliseconds(seconds: float) -> int:
    """The first millisecond at or after."""
    near = round(min(max(seconds, 0.0), LATEST + 1) * 1000)
    return near if near / 1000 >= seconds or not math.isfinite(seconds) else near + 1
