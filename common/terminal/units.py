"""Figures for people: bytes in KiB and MiB, rates an hour, ages, instants, counts."""

from __future__ import annotations

from common.times import format_time

__all__ = ["age", "count", "counted", "rate", "share", "size", "span", "when"]

_SIZES = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(value: float | None, *, sign: bool = False) -> str:
    """`512 B`, `1.5 KiB`, `12 MiB`; `-` when unknown. `sign` puts a plus before what is above zero."""
    if value is None:
        return "-"
    number, unit = abs(value), "B"
    for bigger in _SIZES:
        # 999.5 and more would print as 1000: the next unit says it shorter.
        if number < (1023.5 if unit == "B" else 999.5):
            break
        number, unit = number / 1024, bigger
    digits = 0 if unit == "B" or number >= 99.95 else 1
    before = "-" if value < 0 and round(number, digits) else "+" if sign and value > 0 else ""
    return f"{before}{number:.{digits}f} {unit}"


def rate(value: float | None, *, sign: bool = False) -> str:
    """Bytes an hour: `2.2 MiB/h`."""
    return "-" if value is None else f"{size(value, sign=sign)}/h"


def share(part: float, whole: float) -> str:
    """`97%`; `-` of nothing, and `>100%` where counts that no kernel gives say so."""
    if not whole:
        return "-"
    return f"{part / whole:.0%}" if part <= whole else ">100%"


def count(value: float | None) -> str:
    """`12,345`; `-` when unknown."""
    return "-" if value is None else f"{value:,.0f}"


def counted(number: float, thing: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count(number)} {thing}{'' if number == 1 else 's'}"


def span(seconds: float | None) -> str:
    """A length of time in its two biggest units: `45s`, `3h 20m`, `12d 4h`."""
    if seconds is None:
        return "-"
    left = max(round(seconds), 0)
    words: list[str] = []
    for length, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if left >= length or (unit == "s" and not words):
            words.append(f"{left // length}{unit}")
        elif words:
            words.append("")
        left %= length
        if len(words) == 2:
            break
    return " ".join(word for word in words if word)


def age(then: float | None, now: float) -> str:
    """`3h 20m ago`; `in 2d` for what lies ahead."""
    if then is None:
        return "-"
    return f"in {span(then - now)}" if then > now else f"{span(now - then)} ago"


def when(seconds: float | None) -> str:
    """`2026-11-22 23:00Z`, to the minute, in UTC."""
    return "-" if seconds is None else format_time(seconds)[:16].replace("T", " ") + "Z"
