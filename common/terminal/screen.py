"""Where a command writes, and what that place can show: its width, its characters, its colours.

The whole of common.terminal does without a library on purpose: a terminal library beside httpx makes httpx load its
own command line, which costs every agent 6 MB.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TextIO

__all__ = ["Screen"]

_DEFAULT_WIDTH, _LEAST_WIDTH = 100, 40


class Screen:
    """Standard output and standard error as one command sees them."""

    def __init__(self, out: TextIO, err: TextIO, environ: Mapping[str, str]) -> None:
        self.out = out
        self.err = err
        self._environ = environ

    @property
    def width(self) -> int:
        """Columns: COLUMNS, else the terminal's, else 100."""
        said = self._environ.get("COLUMNS", "")
        if said.isdecimal() and int(said):
            return max(int(said), _LEAST_WIDTH)
        try:
            return max(os.get_terminal_size(self.out.fileno()).columns, _LEAST_WIDTH)
        except (OSError, ValueError):
            return _DEFAULT_WIDTH

    @property
    def unicode(self) -> bool:
        """Whether the output's encoding knows block characters."""
        try:
            "▁█…·".encode(getattr(self.out, "encoding", None) or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    @property
    def colour(self) -> bool:
        """Only on a terminal that has colours, and not against NO_COLOR (no-color.org)."""
        return self._is_terminal(self.out) and not self._environ.get("NO_COLOR")

    @property
    def animated(self) -> bool:
        """Whether a progress bar may redraw itself on standard error."""
        return self._is_terminal(self.err)

    def _is_terminal(self, stream: TextIO) -> bool:
        return stream.isatty() and self._environ.get("TERM", "") not in {"", "dumb"}

    def write(self, lines: Iterable[str]) -> None:
        """Writes lines to standard output."""
        self.out.writelines(f"{line.rstrip()}\n" for line in lines)
