"""Colours by meaning; without colours the text stays as it is."""

from __future__ import annotations

__all__ = ["STYLES", "paint"]

STYLES = {"alarm": "1;31", "warn": "33", "good": "32", "head": "1", "quiet": "2"}
"""Name -> parameters of the SGR control sequence (ECMA-48, 8.3.117)."""


def paint(text: str, style: str | None, *, colour: bool) -> str:
    """The text in a style of STYLES; as it is without a style or without colour."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if style and colour and text else text
