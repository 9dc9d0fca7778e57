"""A short way into the wire format for what most pushes are: columns whose layout was checked before.

It takes only what `common.wire` would take, and gives the same snapshots; everything else, and everything that is
wrong, is left to `common.wire`, whose errors say what is.
"""

from __future__ import annotations

import hashlib
import marshal
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from pydantic_core import from_json

from common.snapshot import DATA_COLUMNS, LAYOUT_COLUMNS, Caches, Snapshot, layout_hash
from common.wire import MAX_BATCH, LayoutLookup, WireHead, snapshot_of

__all__ = ["QuickReader"]

_REQUIRED = ("active_objs", "num_objs")
_INTS = {int}


class QuickReader:
    """Remembers layouts that were checked in full, up to `rows` rows in all. Safe to use from any thread."""

    def __init__(self, resolve: LayoutLookup, rows: int) -> None:
        self._resolve, self._rows = resolve, rows
        self._known: dict[bytes, Caches] = {}

    def read(self, texts: Sequence[bytes], *, arrays: bool) -> list[Snapshot] | None:
        """Snapshots from JSON texts, one each (or, with `arrays`, an array of them each); None when in any doubt."""
        found: list[Snapshot] = []
        try:
            for text in texts:
                value = from_json(text, allow_inf_nan=False)
                plain = b"true" not in text and b"false" not in text
                for item in value if arrays else (value,):
                    snapshot = self._snapshot(item, plain=plain)
                    if snapshot is None or len(found) == MAX_BATCH:
                        return None
                    found.append(snapshot)
        except (ValueError, TypeError, OverflowError):  # pydantic's ValidationError is a ValueError
            return None
        return found

    def learn(self, snapshots: Iterable[Snapshot]) -> None:
        """Remembers the layouts of snapshots that `common.wire` has checked."""
        for snapshot in snapshots:
            caches = snapshot.caches
            mark = _fingerprint([getattr(caches, name) for name in LAYOUT_COLUMNS])
            if mark not in self._known:
                if sum(map(len, self._known.values())) + len(caches) > self._rows:
                    self._known.clear()
                empty = replace(caches, active_objs=[], num_objs=[], active_slabs=None, num_slabs=None)
                empty.layout = layout_hash(caches)
                self._known[mark] = empty

    def _snapshot(self, item: Any, *, plain: bool) -> Snapshot | None:
        """`plain`: there is no boolean in it."""
        columns = item.pop("caches", None) if type(item) is dict else None
        if type(columns) is not dict:
            return None
        key = columns.get("layout")
        given = [columns.get(name) for name in LAYOUT_COLUMNS]
        if key is None:
            layout = self._known.get(_fingerprint(given))
        else:
            layout = self._resolve(key) if type(key) is str and not any(c is not None for c in given) else None
        if layout is None:
            return None
        counts: dict[str, Any] = {name: columns.get(name) for name in DATA_COLUMNS}
        for name, values in counts.items():
            fit = name not in _REQUIRED if values is None else _are_counts(values, len(layout), plain=plain)
            if not fit:
                return None
        caches = replace(layout, **counts)
        caches.layout = layout.layout
        return snapshot_of(WireHead.model_validate(item), caches)


def _are_counts(values: Any, length: int, *, plain: bool) -> bool:
    """Whether it is a list of so many integers from 0 to 2^32-1. Raises OverflowError, TypeError for most others."""
    if type(values) is not list or len(values) != length:
        return False
    array("I", values)  # takes booleans, too
    return plain or not values or set(map(type, values)) == _INTS


def _fingerprint(columns: list[Any]) -> bytes:
    # Version 2 of marshal writes values alone, no references: different columns never look the same.
    return hashlib.blake2b(marshal.dumps(columns, 2), digest_size=16).digest()
