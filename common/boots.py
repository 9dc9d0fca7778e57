"""Which boot a snapshot belongs to: its boot_id, else the instant it booted at, else one unknown boot."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from common.times import format_time, parse_time

__all__ = ["TOLERANCE_SECONDS", "BootLabels"]

TOLERANCE_SECONDS = 60.0
"""Two boots without boot_id are one when taken_at minus uptime differs by no more (contract.md)."""


class BootLabels:
    """Labels the boots of one node: the boot_id; `booted TIME` without one; empty when nothing is known."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """`known`: labels given out before."""
        self._booted = {}
        for label in known:
            with suppress(ValueError):  # or a boot_id that begins so
                if label.startswith("booted "):
                    self._booted[label] = parse_time(label[7:])

    def label(self, boot_id: str | None, taken_at: float, uptime_seconds: float | None) -> str:
        if boot_id:
            return boot_id
        if uptime_seconds is None:
            return ""
        booted = taken_at - uptime_seconds
        near = [
            (abs(at - booted), label) for label, at in self._booted.items() if abs(at - booted) <= TOLERANCE_SECONDS
        ]
        if near:
            return min(near)[1]
        label = f"booted {format_time(max(booted, 0.0))}"
        self._booted[label] = booted
        return label
