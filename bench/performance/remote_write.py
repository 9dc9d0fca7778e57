"""Prometheus remote write, which VictoriaMetrics takes too: protobuf in snappy's form for what is not compressed.

The messages are WriteRequest, TimeSeries, Label and Sample of Prometheus's `prompb/types.proto` and `remote.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

__all__ = ["HEADERS", "METRIC", "SeriesLabels", "request"]

METRIC = "slab_allocated_bytes"
HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def varint(number: int) -> bytes:
    """Protobuf's and snappy's form of a number that is not negative."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


class SeriesLabels:
    """The labels of a node's series, encoded once; a name that occurs twice keeps its first row."""

    def __init__(self, node: str, group: str, names: Sequence[str]) -> None:
        first: dict[str, int] = {}
        for row, name in enumerate(names):
            first.setdefault(name, row)
        self.rows = list(first.values())
        self._labels = [_labels(__name__=METRIC, cache=name, group=group, node=node) for name in first]

    def series(self, values: Sequence[int], taken_at: float) -> bytes:
        """One sample of every series, as the fields of a WriteRequest; `values` in the order of `rows`."""
        stamp = b"\x10" + varint(round(taken_at * 1000))
        out = []
        for labels, value in zip(self._labels, values, strict=True):
            sample = b"\x09" + struct.pack("<d", value) + stamp
            out.append(_field(1, labels + _field(2, sample)))
        return b"".join(out)


def _labels(**labels: str) -> bytes:
    pairs = sorted(labels.items())
    return b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in pairs)


def request(parts: Iterable[bytes]) -> bytes:
    """The body of a request: one snappy literal for every 64 KiB."""
    message = b"".join(parts)
    out = [varint(len(message))]
    for at in range(0, len(message), 65536):
        piece = message[at : at + 65536]
        out += [b"\xf4", struct.pack("<H", len(piece) - 1), piece]
    return b"".join(out)
