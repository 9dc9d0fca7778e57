"""When a node's memory will be gone at the present rate."""

from __future__ import annotations

import math

__all__ = ["YEAR", "exhausts_at"]

YEAR = 365 * 86400.0


def exhausts_at(now: float, available: float, bytes_per_hour: float) -> float | None:
    """Epoch seconds when `available` bytes are used up at `bytes_per_hour`; None past a year or when not known."""
    if math.isnan(available) or bytes_per_hour <= 0:
        return None
    seconds = max(available, 0.0) / bytes_per_hour * 3600.0
    return now + seconds if seconds <= YEAR else None
