"""Tables that fit: numbers to the right, long texts cut where there is too little room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from common.terminal.colour import paint
from common.terminal.screen import Screen
from common.terminal.text import cells, cut, escape, pad

__all__ = ["Cell", "Column", "table"]

Text = str | Callable[[int], str]
"""A text, or what draws one in so many characters: a picture that is cut would lose its newest part."""
Cell = Text | tuple[Text, str | None]
"""A text, or a text and its style."""
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading and habits."""

    title: str
    right: bool = False
    """Aligned to the right: numbers."""
    least: int | None = None
    """How narrow it may become; None: never narrower than its contents."""
    drawn: int = 0
    """Characters in which its cells are drawn where there is room."""


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], screen: Screen, indent: str = "") -> list[str]:
    """The lines of a table, heading first, in at most the screen's width (if the columns can be cut to it)."""
    styled = [[cell if isinstance(cell, tuple) else (cell, None) for cell in row] for row in rows]
    widths = [max(cells(column.title), column.drawn) for column in columns]
    for row in styled:
        known = [0 if callable(text) else cells(escape(text)) for text, _ in row]
        widths = [max(pair) for pair in zip(widths, known, strict=True)]
    room = screen.width - cells(indent) - len(_GAP) * (len(columns) - 1)
    _shrink(widths, columns, room)
    colour, unicode = screen.colour, screen.unicode

    def line(row: Sequence[tuple[Text, str | None]]) -> str:
        texts = [text(width) if callable(text) else escape(text) for (text, _), width in zip(row, widths, strict=True)]
        fitted = (
            paint(pad(cut(text, width, unicode=unicode), width, right=column.right), style, colour=colour)
            for text, width, column, (_, style) in zip(texts, widths, columns, row, strict=True)
        )
        return indent + _GAP.join(fitted).rstrip()

    return [line([(column.title, "quiet") for column in columns]), *map(line, styled)]


def _shrink(widths: list[int], columns: Sequence[Column], room: int) -> None:
    """Takes columns from the widest of those that may be cut, until all fit or none can give more."""
    while sum(widths) > room:
        able = [i for i, c in enumerate(columns) if c.least is not None and widths[i] > max(c.least, 1)]
        if not able:
            return
        widths[max(able, key=lambda i: widths[i])] -= 1
