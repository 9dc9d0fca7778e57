"""One snapshot as a row of the recent table, and back again, exact to the bit the sender gave."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul
from typing import Any

import numpy as np

from common.errors import SnapshotError
from common.slabinfo import MAX_COUNT
from common.snapshot import MEMORY_COLUMNS, Caches, Memory, Snapshot, layout_columns
from server.storage.base import Received
from server.storage.codec import Ints, compress, decompress
from server.storage.samples import UNKNOWN, Counts, Samples

__all__ = [
    "COUNT_COLUMNS",
    "Record",
    "check_counts",
    "decode_counts",
    "decode_pair",
    "encode",
    "encode_counts",
    "facts_of",
    "milliseconds",
    "to_snapshot",
]

_LEVEL = 1
COUNT_COLUMNS = ("active_objs", "num_objs", "num_slabs", "active_slabs")
"""What of a snapshot's caches changes, in the order in which it is kept."""
_FACTS = ("group", "interval_seconds", "boot_id", "kernel", "machine", "cpus", "page_size")
_ABSENT, _SAME, _NARROW, _WIDE = b"-", b"=", b"I", b"q"
"""How a column is kept: not at all; as the one before; in four bytes an entry; in eight, with UNKNOWN entries."""
_SIZES = {_NARROW: 4, _WIDE: 8, _ABSENT: 0, _SAME: 0}


@dataclass(slots=True)
class Record:
    """A snapshot ready to be written; times are milliseconds since the epoch."""

    source: Received
    layout: str
    taken: int
    received: int
    offset: float | None
    memory: tuple[int | None, ...]
    facts: str
    counts: bytes
    allocated_bytes: int
    active_bytes: int


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def encode(received: Received, layout: str, counts: Callable[[str, Caches], bytes] | None = None) -> Record:
    """`counts` makes (or only checks) the blob of counts.

    Raises SnapshotError for what no kernel says: negative counts, columns of unequal length.
    """
    snapshot, caches = received.snapshot, received.snapshot.caches
    memory = snapshot.memory
    sizes: tuple[int | None, ...] = (None,) * 4
    if memory is not None:
        sizes = tuple(getattr(memory, name) for name in MEMORY_COLUMNS)
        for name, size in zip(MEMORY_COLUMNS, sizes, strict=True):
            if size is not None and not 0 <= size <= MAX_COUNT:
                raise SnapshotError(f"node {snapshot.node}: memory.{name} is {size}: give bytes from 0 to 2^63-1")
    return Record(
        received,
        layout,
        milliseconds(snapshot.taken_at),
        milliseconds(received.received_at),
        None if received.offset_seconds is None else round(received.offset_seconds, 3),
        sizes,
        _facts(snapshot),
        (counts or encode_counts)(snapshot.node, caches),
        min(sum(map(mul, caches.num_objs, caches.obj_size)), MAX_COUNT),
        min(sum(map(mul, caches.active_objs, caches.obj_size)), MAX_COUNT),
    )


def _facts(snapshot: Snapshot) -> str:
    facts: dict[str, Any] = {name: value for name in _FACTS if (value := getattr(snapshot, name)) is not None}
    if snapshot.labels:
        facts["labels"] = snapshot.labels
    if snapshot.memory is not None:
        facts["memory"] = True
    absent = [name for name in COUNT_COLUMNS if getattr(snapshot.caches, name) is None]
    if absent:
        facts["absent"] = absent
    return json.dumps(facts, separators=(",", ":"))


@lru_cache(maxsize=1024)
def facts_of(text: str) -> dict[str, Any]:
    """The facts of a record; shared, so not to be changed. Raises ValueError for what are none."""
    facts: Any = json.loads(text)
    if not isinstance(facts, dict) or not isinstance(facts.get("labels", {}), dict):
        raise ValueError("facts that are no object")  # noqa: TRY004 - of what was read, not of what was passed
    return facts


def check_counts(node: str, caches: Caches) -> bytes:
    """Keeps nothing; raises SnapshotError for what no kernel says."""
    for name in COUNT_COLUMNS:
        values = getattr(caches, name)
        if values is not None:
            _check_length(node, name, values, len(caches))
            _column(node, name, values)
    return b""


def _check_length(node: str, name: str, values: Sequence[Any], rows: int) -> None:
    if len(values) != rows:
        raise SnapshotError(f"node {node}: caches.{name} has {len(values)} entries for {rows} names")


def encode_counts(node: str, caches: Caches) -> bytes:
    """The counts as one compressed blob."""
    rows = len(caches)
    kinds, payload, before = b"", [], None
    for name in COUNT_COLUMNS:
        values = getattr(caches, name)
        if values is not None:
            _check_length(node, name, values, rows)
        if values is None:
            kinds += _ABSENT
        elif values == before:
            kinds += _SAME
        else:
            kind, data = _column(node, name, values)
            kinds += kind
            payload.append(data)
        before = values
    return compress(kinds + b"".join(payload), _LEVEL)


def _column(node: str, name: str, values: Sequence[Any]) -> tuple[bytes, bytes]:
    try:
        return _NARROW, array("I", values).tobytes()
    except (OverflowError, TypeError):  # something larger, unknown, or wrong
        pass
    known = [value for value in values if value is not None]
    if not all(isinstance(value, int) and 0 <= value <= MAX_COUNT for value in known):
        raise SnapshotError(f"node {node}: caches.{name} has an entry that is no count from 0 to 2^63-1")
    return _WIDE, array("q", [UNKNOWN if value is None else value for value in values]).tobytes()


def decode_counts(blob: bytes, rows: int) -> Counts:
    """The counts of one record as [1, rows] arrays."""
    data = decompress(blob)
    at, columns = len(COUNT_COLUMNS), {}
    values = np.full(rows, UNKNOWN, dtype=np.int64)
    for index, name in enumerate(COUNT_COLUMNS):
        kind = data[index : index + 1]
        if kind == _ABSENT:
            values = np.full(rows, UNKNOWN, dtype=np.int64)
        elif kind != _SAME:
            values = np.frombuffer(data, "<u4" if kind == _NARROW else "<i8", rows, at).astype(np.int64)
        at += rows * _SIZES[kind]
        columns[name] = values[None, :]
    return Counts(**columns)


def decode_pair(blobs: Sequence[bytes], rows: int) -> tuple[Ints, Ints]:
    """num_objs and active_objs of many records, [T, rows] each: all that a window needs."""
    plain = [decompress(blob) for blob in blobs]
    begin, size = len(COUNT_COLUMNS), 8 * rows
    if all(data[:2] == b"II" for data in plain):
        both = np.frombuffer(b"".join([data[begin : begin + size] for data in plain]), "<u4", 2 * rows * len(plain))
        pairs = both.reshape(len(plain), 2, rows).astype(np.int64)
    else:
        pairs = np.array([_pair(data, rows) for data in plain]).reshape(len(plain), 2, rows)
    return pairs[:, 1], pairs[:, 0]


def _pair(data: bytes, rows: int) -> list[Ints]:
    """The first two columns of one record, decompressed."""
    at, pair = len(COUNT_COLUMNS), list[Ints]()
    for kind in (data[:1], data[1:2]):
        if kind == _SAME:
            pair.append(pair[-1])
            continue
        pair.append(np.frombuffer(data, "<u4" if kind == _NARROW else "<i8", rows, at).astype(np.int64))
        at += rows * _SIZES[kind]
    return pair


def _optional(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def to_snapshot(node: str, samples: Samples, counts: Counts, row: int, layout: Caches) -> Snapshot:
    """The snapshot in that row, with the columns of its layout."""
    facts = facts_of(samples.facts[row])
    absent = facts.get("absent", ())
    columns: dict[str, Any] = {name: list(column) for name, column in layout_columns(layout).items()}
    for name in COUNT_COLUMNS:
        values = getattr(counts, name)[row].tolist()
        if name not in absent:
            columns[name] = [None if value == UNKNOWN else value for value in values]
    memory = None
    if "memory" in facts:
        memory = Memory(*(None if value == UNKNOWN else value for value in samples.memory[row].tolist()))
    return Snapshot(
        node,
        int(samples.taken[row]) / 1000,
        Caches(**columns),
        labels=dict(facts.get("labels", {})),
        uptime_seconds=_optional(samples.uptime[row]),
        read_seconds=_optional(samples.read_seconds[row]),
        memory=memory,
        **{name: facts[name] for name in _FACTS if name in facts},
    )
