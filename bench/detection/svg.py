"""Just enough SVG for small line charts: panels with lines, bands, marks and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from xml.sax.saxutils import escape

__all__ = ["Drawing", "Line"]

FINE = 2
"""Paths are drawn on a grid so many times finer than the picture's unit, in whole steps, to keep files small."""


@dataclass(frozen=True, slots=True)
class Line:
    """A polyline; None breaks it."""

    points: Sequence[tuple[float, float] | None]
    """From 0 to 1, from the left and from the bottom."""
    colour: str = "#aaa"
    width: float = 0.8


@dataclass(slots=True)
class Drawing:
    """A picture that grows by panels."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def words(
        self, x: float, y: float, text: str, *, size: float = 10, colour: str = "#222", bold: bool = False
    ) -> None:
        """Text whose baseline begins at (x, y)."""
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}"{weight}>{escape(text)}</text>'
        )

    def box(self, x: float, y: float, width: float, height: float, *, fill: str, stroke: str = "none") -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}" stroke="{stroke}"/>'
        )

    def upright(self, x: float, top: float, bottom: float, colour: str) -> None:
        """A dashed mark at an instant."""
        self.parts.append(
            f'<path d="M{x:.1f} {top:g}V{bottom:g}" stroke="{colour}" stroke-dasharray="3 2" fill="none"/>'
        )

    def lines(self, x: float, y: float, width: float, height: float, lines: Sequence[Line]) -> None:
        """Lines in a frame whose upper left corner is (x, y)."""
        self.parts.append(f'<g transform="translate({x:g} {y:g}) scale({1 / FINE:g})" fill="none">')
        for line in lines:
            steps = _path([p and (p[0] * width * FINE, (1 - p[1]) * height * FINE) for p in line.points])
            self.parts.append(f'<path d="{steps}" stroke="{line.colour}" stroke-width="{line.width * FINE:g}"/>')
        self.parts.append("</g>")

    def text(self) -> str:
        """The whole file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" font-family="sans-serif"><rect width="100%" height="100%" fill="#fff"/>'
        )
        return "\n".join([head, *self.parts, "</svg>", ""])


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    rounded = [None, *(p and (round(p[0]), round(p[1])) for p in points)]
    steps = []
    for before, here in pairwise(rounded):
        if here is not None:
            steps.append(f"M{here[0]} {here[1]}" if before is None else f"l{here[0] - before[0]} {here[1] - before[1]}")
    return "".join(steps)
