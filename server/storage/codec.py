"""Exact, compact coding of integer and float columns: differences, a byte each where they are small, zstd over all."""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.zstd import zstd

__all__ = [
    "BYTES",
    "ESCAPE",
    "RAW",
    "compress",
    "decompress",
    "join",
    "pack_floats",
    "pack_ints",
    "pack_matrix",
    "pack_sizes",
    "pack_small",
    "signed",
    "split",
    "unpack_big",
    "unpack_floats",
    "unpack_ints",
    "unpack_matrix",
    "unpack_sizes",
    "zigzag",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Columns = NDArray[np.intp] | None
"""Which rows of a layout are wanted; None for all."""

_NO_SIGN = 2**63 - 1
ESCAPE = 255
RAW = 255
"""In place of the digits: a float column is kept as it is."""
_SCALES = (0, 1, 2, 3, 4, 6)
"""Decimal digits tried for a float column before its eight bytes are kept as they are."""
_local = threading.local()


def compress(data: bytes, level: int) -> bytes:
    """One zstd frame; the compressor is kept for each thread and level, which halves the cost of small frames.

    The checksum (four bytes) tells a damaged frame, which otherwise may give other numbers without a word.
    """
    compressors: dict[int, zstd.ZstdCompressor] = _local.__dict__.setdefault("compressors", {})
    if level not in compressors:
        parameter = zstd.CompressionParameter
        options: dict[int, int] = {parameter.compression_level: level, parameter.checksum_flag: 1}
        compressors[level] = zstd.ZstdCompressor(options=options)
    return compressors[level].compress(data, zstd.ZstdCompressor.FLUSH_FRAME)


def decompress(data: bytes) -> bytes:
    """What `compress` was given. Frames are nearly always whole and alone, which the module's own loop doesn't know."""
    frame = zstd.ZstdDecompressor()
    plain = frame.decompress(data)
    return plain if frame.eof and not frame.unused_data else zstd.decompress(data)


def join(sections: Sequence[bytes], level: int) -> bytes:
    """Several byte strings in one compressed frame."""
    head = struct.pack(f"<{len(sections) + 1}I", len(sections), *map(len, sections))
    return compress(head + b"".join(sections), level)


def split(blob: bytes) -> list[bytes]:
    """What `join` was given."""
    data = decompress(blob)
    (count,) = struct.unpack_from("<I", data)
    lengths = struct.unpack_from(f"<{count}I", data, 4)
    sections, at = [], 4 + 4 * count
    for length in lengths:
        sections.append(data[at : at + length])
        at += length
    return sections


def zigzag(values: Ints) -> NDArray[np.uint64]:
    """Small for small values of either sign."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def signed(values: NDArray[np.uint64]) -> Ints:
    """What `zigzag` was given."""
    whole = values.view(np.int64)
    return ((whole >> 1) & _NO_SIGN) ^ -(whole & 1)


BYTES = signed(np.arange(256, dtype=np.uint64))
"""What each byte of `pack_small` says of the value that `zigzag` was given."""


def pack_small(values: NDArray[np.uint64]) -> bytes:
    """Small values in one byte; the others after them in two, four or eight, first bytes first."""
    big = values[values >= ESCAPE]
    largest = int(big.max(initial=0))
    width = 8 if largest >> 32 else 4 if largest >> 16 else 2
    planes = big.astype(f"<u{width}").view(np.uint8).reshape(-1, width).T
    return np.minimum(values, ESCAPE).astype(np.uint8).tobytes() + planes.tobytes()


def unpack_big(data: bytes, count: int, escapes: int) -> NDArray[np.unsignedinteger]:
    """What stands after `count` single bytes in `pack_small`'s: so many values that did not fit into one."""
    width = (len(data) - count) // escapes if escapes else 4
    planes = np.frombuffer(data, dtype=np.uint8, offset=count).reshape(width, escapes)
    return np.ascontiguousarray(planes.T).view(f"<u{width}").ravel()


def pack_ints(values: Ints) -> bytes:
    """Any int64 column; differences wrap around, so nothing can overflow."""
    return pack_small(zigzag(np.diff(values, prepend=np.int64(0))))


def unpack_ints(data: bytes, count: int) -> Ints:
    small = np.frombuffer(data, dtype=np.uint8, count=count)
    steps = BYTES.take(small)
    if len(data) > count:
        at = (small == ESCAPE).nonzero()[0]
        if len(at) == 1:  # nearly always: the first value
            whole = int.from_bytes(data[count:], "little")
            steps[at[0]] = whole >> 1 if whole & 1 == 0 else ~(whole >> 1)
        else:
            steps[at] = signed(unpack_big(data, count, len(at)).astype(np.uint64))
    return steps.cumsum()


def pack_sizes(values: Ints) -> bytes:
    """Sizes in bytes, of which the kernel gives whole KiB or pages: kept in units of what divides them all."""
    known = values[values > 0]
    unit = np.gcd.reduce(known) if len(known) else np.int64(1)
    return unit.tobytes() + pack_ints(np.where(values > 0, values // unit, values))


def unpack_sizes(data: bytes, count: int) -> Ints:
    values, unit = unpack_ints(data[8:], count), np.frombuffer(data, dtype=np.int64, count=1)
    return values * unit if (values > 0).all() else np.where(values > 0, values * unit, values)


def pack_floats(values: Floats) -> bytes:
    """Any float64 column, to the last bit but for the sign of zero; NaN stands for unknown.

    Figures that were written with few decimals are kept as integers.
    """
    known = ~np.isnan(values)
    given = values[known]
    mask = b"" if len(given) == len(values) else np.packbits(known).tobytes()
    head = bytes([len(mask) > 0])
    for digits in _SCALES:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.rint(given * 10.0**digits)
            exact = bool(np.all((np.abs(scaled) < 2**53) & (scaled / 10.0**digits == given)))
        if exact:
            return head + bytes([digits]) + mask + pack_ints(scaled.astype(np.int64))
    return head + bytes([RAW]) + mask + given.tobytes()


def unpack_floats(data: bytes, count: int) -> Floats:
    masked, digits, at = data[0], data[1], 2
    if not masked and digits != RAW:  # the usual case
        return unpack_ints(data[at:], count) / 10.0**digits
    known = np.ones(count, dtype=np.bool_)
    if masked:
        length = (count + 7) // 8
        known = np.unpackbits(np.frombuffer(data, dtype=np.uint8, offset=at, count=length), count=count).view(np.bool_)
        at += length
    values = np.full(count, np.nan)
    if digits == RAW:
        values[known] = np.frombuffer(data, dtype=np.float64, offset=at)
    else:
        values[known] = unpack_ints(data[at:], int(known.sum())) / 10.0**digits
    return values


def pack_matrix(matrix: Ints) -> bytes:
    """[T, C] counts, each column's differences over time side by side."""
    steps = matrix.copy()
    steps[1:] -= matrix[:-1]
    return pack_small(zigzag(np.ascontiguousarray(steps.T).ravel()))


def unpack_matrix(data: bytes, times: int, width: int, columns: Columns = None) -> Ints:
    """The [T, C] counts again, or only some `columns` of them, which costs accordingly less."""
    count = times * width
    small = np.frombuffer(data, dtype=np.uint8, count=count)
    at = np.flatnonzero(small == ESCAPE)
    big = unpack_big(data, count, len(at))
    if columns is None:
        values = small.astype(np.uint64)
        values[at] = big
        values = values.reshape(width, times)
    else:
        values = small.reshape(width, times)[columns].astype(np.uint64)
        place = np.full(width, -1, dtype=np.intp)
        place[columns] = np.arange(len(columns))
        row = place[at // times]
        kept = row >= 0
        values[row[kept], at[kept] % times] = big[kept]
    return np.ascontiguousarray(np.cumsum(signed(values), axis=1, dtype=np.int64).T)
