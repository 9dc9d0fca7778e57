"""Which layout the server knows: after one push in full, names and geometry need not be sent again."""

from __future__ import annotations

from typing import Any

from common.snapshot import LAYOUT_COLUMNS, Caches, layout_hash

__all__ = ["KnownLayout"]

MISSES = 3
"""Times in a row that the server may ask for what it was given before."""


class KnownLayout:
    """The layout that the server took last, and whether it takes hashes at all; for one server and one process."""

    def __init__(self) -> None:
        self._columns: list[Any] | None = None
        self._hash = ""
        self._known = False
        self._misses = 0
        self._off = False

    def of(self, caches: Caches) -> str | None:
        """The hash to send in place of the columns; None where they have to be sent."""
        if self._off:
            return None
        columns = [getattr(caches, name) for name in LAYOUT_COLUMNS]
        if columns != self._columns:
            self._columns, self._hash, self._known = columns, layout_hash(caches), False
        return self._hash if self._known else None

    def taken(self) -> None:
        """The server stored caches that `of` gave a hash for."""
        self._misses = 0

    def learnt(self) -> None:
        """The server stored, in full, the caches that `of` was asked about last."""
        self._known = True

    def missed(self, *, understood: bool) -> None:
        """The server refused the hash and took the full form of the same.

        Once is news of a server that started anew. A server that does not understand hashes, or makes other hashes of
        the same columns, is sent the full form from now on.
        """
        self._misses += 1
        self._off = not understood or self._misses >= MISSES
