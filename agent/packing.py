"""Snapshots as gzip: in full for the spool and for every server, in short for one that knows their layout."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

from common.snapshot import Snapshot, to_wire

__all__ = ["Entry", "Fresh", "in_full", "pack", "pack_array", "unpack"]

LEVEL = 6
GZIP = 31
"""zlib's wbits for a gzip stream."""
SMALL = 29
"""The same with a window of 8 KB, which holds the short form: 170 KB less of the agent's memory."""


def pack(text: str) -> bytes:
    """One snapshot's JSON as a gzip stream that ends in a line feed: a spooled file is an .ndjson.gz."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    return squeeze.compress(text.encode()) + squeeze.compress(b"\n") + squeeze.flush()


def unpack(entry: bytes) -> bytes:
    """The JSON bytes of a packed snapshot. Raises zlib.error."""
    return zlib.decompress(entry, GZIP)


class Fresh:
    """A snapshot that is in memory still, packed only in the form that is asked for."""

    __slots__ = ("_packed", "snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._packed: bytes | None = None

    def full(self) -> bytes:
        """As a spool keeps it."""
        if self._packed is None:
            self._packed = pack(_text(to_wire(self.snapshot)))
        return self._packed

    def short(self, layout: str) -> bytes:
        """Without the columns that the hash stands for: about 1 KB of 235 caches.

        Words and numbers have a Huffman code each (Z_BLOCK ends the first one's block), and numbers are spelled rather
        than referred to where a match is short (Z_FILTERED): 6 % less. Another 2 % are a time as a number and a group
        that goes without saying. Together they bring busy nodes below 1,100.
        """
        wire = to_wire(self.snapshot, layout=layout)
        wire["taken_at"] = round(self.snapshot.taken_at, 3)
        if wire["group"] == "default":
            del wire["group"]
        text = _text(wire)
        numbers = text.index("[", text.rindex(layout)) + 1
        squeeze = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, SMALL, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)
        words = squeeze.compress(text[:numbers].encode()) + squeeze.flush(zlib.Z_BLOCK)
        return words + squeeze.compress(text[numbers:].encode()) + squeeze.flush()


Entry = bytes | Fresh
"""What is carried: packed in full by an earlier hour, or fresh."""


def in_full(entry: Entry) -> bytes:
    """Packed, for a spool."""
    return entry if isinstance(entry, bytes) else entry.full()


def pack_array(entries: Sequence[Entry]) -> bytes:
    """Several as one JSON array, packed. Raises zlib.error."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    parts = []
    for number, entry in enumerate(entries):
        parts += [squeeze.compress(b"," if number else b"["), squeeze.compress(unpack(in_full(entry)))]
    parts += [squeeze.compress(b"]"), squeeze.flush()]
    return b"".join(parts)


def _text(wire: dict[str, Any]) -> str:
    return json.dumps(wire, separators=(",", ":"))
