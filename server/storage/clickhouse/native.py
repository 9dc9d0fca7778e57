"""ClickHouse's Native format, for the few types the schema has: whole columns to and from numpy, no row in between.

A block is the number of columns and of rows, then each column's name, type and values; an answer is a row of blocks.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.errors import StoreError

__all__ = ["Answer", "pack", "quote", "unpack"]

Answer = dict[str, Any]
"""By column: an array for numbers, a list of str for String, a list of these for Array."""

_NUMBERS = {"Int64": "<i8", "UInt64": "<u8", "Float64": "<f8", "UInt8": "u1"}


def quote(value: str | int) -> str:
    """A literal."""
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return _varint(len(data)) + data


def pack(columns: Mapping[str, tuple[str, Sequence[Any]]]) -> bytes:
    """One block: (type, values) by name. For Array(Int64) a value is a sequence of int."""
    rows = len(next(iter(columns.values()))[1])
    out = [_varint(len(columns)), _varint(rows)]
    for name, (kind, values) in columns.items():
        out += [_text(name), _text(kind), _pack(kind, values)]
    return b"".join(out)


def _pack(kind: str, values: Sequence[Any]) -> bytes:
    if kind == "String":
        return b"".join(map(_text, values))
    if kind == "Int64":
        return array("q", values).tobytes()
    if kind == "Float64":
        return array("d", values).tobytes()
    inner = kind[6:-1]
    if inner == "Int64":  # most of what there is
        parts = [np.asarray(value, dtype="<i8").tobytes() for value in values]
    else:
        parts = [_pack(inner, value) for value in values]
    return np.cumsum([len(value) for value in values], dtype="<u8").tobytes() + b"".join(parts)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def varint(self) -> int:
        byte = self.data[self.at]
        self.at += 1
        value, shift = byte & 0x7F, 7
        while byte & 0x80:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
        return value

    def text(self) -> str:
        size = self.varint()
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8", "surrogatepass")

    def column(self, kind: str, rows: int) -> Any:
        if kind.startswith("SimpleAggregateFunction("):
            kind = kind.partition(", ")[2][:-1]
        if kind in _NUMBERS:
            values = np.frombuffer(self.data, _NUMBERS[kind], rows, self.at)
            self.at += values.nbytes
            return values
        if kind == "String":
            return [self.text() for _ in range(rows)]
        if kind.startswith("Array("):
            ends = self.column("UInt64", rows).tolist()
            inner = self.column(kind[6:-1], ends[-1] if ends else 0)
            return [inner[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        raise StoreError(f"the store answered with a column of type {kind}: is this schema from another version?")


def unpack(data: bytes) -> Answer:
    """All blocks of an answer as one. Raises StoreError for what is cut off or of another type."""
    reader = _Reader(data)
    answer: Answer = {}
    try:
        while reader.at < len(data):
            columns, rows = reader.varint(), reader.varint()
            for _ in range(columns):
                name, kind = reader.text(), reader.text()
                values = reader.column(kind, rows)
                before = answer.get(name)
                if before is None:
                    answer[name] = values
                elif isinstance(before, list):
                    before += values
                else:
                    answer[name] = np.concatenate([before, values])
    except (IndexError, ValueError, struct.error) as error:
        raise StoreError(f"the store's answer was cut off: {error}") from error
    return answer
