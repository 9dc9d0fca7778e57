"""Tables that fit: numbers to the right, long texts cut where there is too little room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.terminal.colour import paint
from common.terminal.screen import Screen
from common.terminal.text import cells, cut, escape, pad

__all__ = ["Cell", "Column", "table"]

Cell = str | tuple[str, str | None]
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


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], screen: Screen, indent: str = "") -> list[str]:
    """The lines of a table, heading first, in at most the screen's width (if the columns can be cut to it)."""
    texts = [[escape(cell if isinstance(cell, str) else cell[0]) for cell in row] for row in rows]
    widths = [max([cells(column.title), *(cells(row[place]) for row in texts)]) for place, column in enumerate(columns)]
    room = screen.width - cells(indent) - len(_GAP) * (len(columns) - 1)
    _shrink(widths, columns, room)
    colour, unicode = screen.colour, screen.unicode

    def line(row: Sequence[str], styles: Sequence[str | None]) -> str:
        fitted = (
            paint(pad(cut(text, width, unicode=unicode), width, right=column.right), style, colour=colour)
            for text, width, column, style in zip(row, widths, columns, styles, strict=True)
        )
        return indent + _GAP.join(fitted).rstrip()

    lines = [line([column.title for column in columns], ["quiet"] * len(columns))]
    for row, row_texts in zip(rows, texts, strict=True):
        lines.append(line(row_texts, [None if isinstance(cell, str) else cell[1] for cell in row]))
    return lines


def _shrink(widths: list[int], columns: Sequence[Column], room: int) -> None:
    """Takes columns from the widest of those that may be cut, until all fit or none can give more."""
    while sum(widths) > room:
        able = [i for i, c in enumerate(columns) if c.least is not None and widths[i] > max(c.least, 1)]
        if not able:
            return
        widths[max(able, key=lambda i: widths[i])] -= 1
