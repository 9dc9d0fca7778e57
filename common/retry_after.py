"""How long a server asks to wait before the next attempt: the header Retry-After (RFC 9110, 10.2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

__all__ = ["retry_after"]


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds, not bounded; None where the server does not say.

    A date is measured from the server's own Date, or from `now` (epoch seconds) where it gives none.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = _date(text)
    if until is None:
        return None
    sent = _date(headers.get("Date", ""))
    return max(0.0, until - (now if sent is None else sent))


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
