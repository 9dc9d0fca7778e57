"""Sizes as people write them in options: `512k`, `64M`, `1GiB`."""

from __future__ import annotations

import re

__all__ = ["parse_size"]

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_size(text: str) -> int:
    """Bytes, one at least; multiples are binary whether written `64M`, `64MB` or `64MiB`. Raises ValueError."""
    found = re.fullmatch(r"([0-9]+)([kmg]?)(?:i?b)?", text.strip().lower())
    if not found or not int(found[1]):
        raise ValueError(f"{text!r} is no size: write bytes, or 512k, 64MiB, 1G")
    return int(found[1]) * _UNITS[found[2]]
