"""The address of an aggregator, as an option names it."""

from __future__ import annotations

import re

__all__ = ["server_url"]

_ADDRESS = r"https?://(\[[0-9A-Fa-f:.]+\]|[^/?#@\s:\[\]]+)(:(?P<port>[0-9]{1,5}))?(/[^?#\s]*)?"


def server_url(text: str) -> str:
    """An http or https URL without a slash at its end. Raises ValueError."""
    found = re.fullmatch(_ADDRESS, text)
    if not found or not 0 < int(found["port"] or 80) <= 65535:
        raise ValueError(f"{text!r} is no server: write http://HOST:8080 (a token goes into --token-file)")
    return text.rstrip("/")
