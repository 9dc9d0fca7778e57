"""Draws what a command prints to a terminal of 100 columns as an SVG: `picture.py OUT COMMAND...`."""

from __future__ import annotations

import os
import pty
import re
import sys
from html import escape
from pathlib import Path

COLUMNS, SIZE, ADVANCE, LEADING, MARGIN = 100, 14, 8.43, 19, 16
INK, PAPER = "#d7dae0", "#1b1d23"
STYLES = {
    "1": 'font-weight="bold"',
    "2": 'fill="#8a909c"',
    "31": 'fill="#ff6b6b"',
    "32": 'fill="#7bd88f"',
    "33": 'fill="#f2c94c"',
}
"""SGR parameters (see common/terminal/colour.py) and how they look."""


def record(command: list[str]) -> str:
    """What the command writes to a terminal."""
    os.environ.update(TERM="xterm", COLUMNS=str(COLUMNS))
    heard = bytearray()

    def read(terminal: int) -> bytes:
        data = os.read(terminal, 65536)
        heard.extend(data)
        return data

    pty.spawn(command, read)
    # A progress bar draws over its own line: what stands after the last return is what remains.
    lines = heard.decode().replace("\r\n", "\n").split("\n")
    return "\n".join(re.sub(r"\x1b\[\d*[A-KJ]", "", line.rpartition("\r")[2]) for line in lines).strip("\n")


def draw(text: str) -> str:
    """The SVG of a terminal's text."""
    lines = text.split("\n")
    width, height = MARGIN * 2 + COLUMNS * ADVANCE, MARGIN * 2 + len(lines) * LEADING
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" xml:space="preserve">',
        f'<g font-size="{SIZE}" fill="{INK}" font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace">',
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>',
    ]
    for number, line in enumerate(lines):
        style: tuple[str, ...] = ()
        column = 0
        y = MARGIN + number * LEADING + SIZE
        for piece in re.split(r"(\x1b\[[\d;]*m)", line):
            if piece.startswith("\x1b"):
                style = tuple(code for code in piece[2:-1].split(";") if code in STYLES)
            elif piece:
                look = "".join(" " + STYLES[code] for code in style)
                place = f'x="{MARGIN + column * ADVANCE:.1f}" y="{y}"'
                at = f'{place} textLength="{len(piece) * ADVANCE:.1f}" lengthAdjust="spacingAndGlyphs"'
                parts.append(f"<text {at}{look}>{escape(piece)}</text>")
                column += len(piece)
    return "\n".join([*parts, "</g>", "</svg>", ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(record(sys.argv[2:])), encoding="utf-8")
