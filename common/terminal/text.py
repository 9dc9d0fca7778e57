"""Text in cells of a terminal: how wide it is, how it is cut, and what must not reach the terminal as it stands."""

from __future__ import annotations

import unicodedata

__all__ = ["cells", "cut", "escape", "pad", "wrap"]


def escape(text: str) -> str:
    """Names come from kernels and other people's files: what is not printable is shown as its escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def cells(text: str) -> int:
    """Columns the text takes: wide characters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_cells(c) for c in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def cut(text: str, width: int, *, unicode: bool = True) -> str:
    """The text in at most `width` columns; what is cut off is marked."""
    if cells(text) <= width:
        return text
    mark = "…" if unicode else "~"
    kept, used = [], 0
    for character in text:
        used += _cells(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + mark


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text filled with blanks to `width` columns; `right` aligns it there."""
    fill = " " * max(width - cells(text), 0)
    return fill + text if right else text + fill


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` columns, each after `indent`; words longer than a line are broken."""
    room = max(width - cells(indent), 1)
    lines, line = [], ""
    for word in text.split():
        rest = word
        if line and cells(line) + 1 + cells(rest) <= room:
            line += " " + rest
            continue
        if line:
            lines.append(line)
        while cells(rest) > room:
            head = cut(rest, room + 1, unicode=True)[:-1]
            lines.append(head)
            rest = rest[len(head) :]
        line = rest
    if line:
        lines.append(line)
    return [indent + line for line in lines]
