"""Options: an option beats its environment variable, which beats the configuration file, which beats the default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Option"]


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a command: `--name` on the command line, `SLABHOUND_NAME` in the environment, `name` in TOML."""

    name: str
    """Lower case, words joined by `-`; the attribute of the resolved options has `_` instead."""
    help: str
    type: Callable[[str], Any] = str
    """Turns the text into the value; raises ValueError with a sentence for the user."""
    default: Any = None
    """The final value, not text."""
    metavar: str | None = None
    flag: bool = False
    """Takes no value: False unless given."""
    repeat: bool = False
    """May be given several times: a list."""
