"""Opens the files people name: plain, gzip or zstd by their first bytes, `-` for standard input.

Every failure, also one in the middle of a damaged archive, is an InputError that names the file. slabdiff starts
through here, so nothing is imported that is not needed for a plain file.
"""

from __future__ import annotations

import io
import os
import sys

from common.errors import InputError

TYPE_CHECKING = False  # importing typing would cost slabdiff a tenth of its start
if TYPE_CHECKING:
    import gzip
    from typing import BinaryIO

    from common.zstd import zstd

    _Readable = BinaryIO | io.RawIOBase | gzip.GzipFile | zstd.ZstdFile

__all__ = ["MAX_DUMP", "decode", "open_binary", "read_text", "unpacked"]

MAX_DUMP = 64 << 20
"""Bytes of one dump, unpacked; 64 MiB hold half a million rows."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def open_binary(path: str | os.PathLike[str], *, stdin: BinaryIO | None = None) -> io.BufferedReader:
    """The file's bytes, unpacked as they are read. Raises InputError, on reading too.

    `stdin` is what `-` means: standard input unless given.
    """
    name = os.fspath(path)
    try:
        if name == "-":
            if stdin is None:
                stdin = sys.stdin.buffer if sys.stdin else io.BytesIO()
            return unpacked(stdin, "standard input")
        return unpacked(open(name, "rb", buffering=0), name)  # noqa: PTH123 - pathlib is slow to load
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise _failed(name, error) from None


def unpacked(file: BinaryIO | io.RawIOBase, name: str) -> io.BufferedReader:
    """The bytes of a file that may be gzip or zstd; `name` is for messages."""
    guarded: io.BufferedReader = io.BufferedReader(_Guarded(file, name))
    magic = guarded.peek(4)[:4]
    if magic.startswith(_GZIP):
        import gzip  # noqa: PLC0415 - plain files do without

        return io.BufferedReader(_Guarded(gzip.GzipFile(fileobj=guarded), name, guarded))
    if magic == _ZSTD:
        from common.zstd import zstd  # noqa: PLC0415 - as above, only when used

        return io.BufferedReader(_Guarded(zstd.ZstdFile(guarded), name, guarded))
    return guarded


def read_text(path: str | os.PathLike[str], *, stdin: BinaryIO | None = None) -> str:
    """The text of a dump. Raises InputError."""
    with open_binary(path, stdin=stdin) as file:
        data = file.read(MAX_DUMP + 1)
    if len(data) > MAX_DUMP:
        raise InputError(f"{os.fspath(path)}: larger than {MAX_DUMP >> 20} MiB: this is no dump of /proc/slabinfo")
    return decode(data)


def decode(data: bytes) -> str:
    r"""UTF-8, without a byte order mark; bytes that are none stay visible as `\xNN`."""
    return data.decode("utf-8", "backslashreplace").removeprefix("\ufeff")


def _failed(name: str, error: Exception) -> InputError:
    if isinstance(error, PermissionError) and name.startswith("/proc"):
        return InputError(f"{name}: permission denied: run as root, or give Python CAP_DAC_READ_SEARCH")
    return InputError(f"{name}: {getattr(error, 'strerror', None) or error}")


class _Guarded(io.RawIOBase):
    """Passes reads through; whatever goes wrong becomes an InputError with the file's name."""

    def __init__(self, file: _Readable, name: str, below: io.BufferedReader | None = None) -> None:
        """`below`: what `file` unpacks, closed with it."""
        self._file = file
        self._name = name
        self._below = below

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # what a Buffer is in practice
        try:
            data = self._file.read(len(buffer)) or b""
        except (OSError, EOFError, ValueError) as error:
            raise _failed(self._name, error) from None
        except Exception as error:  # noqa: BLE001 - zlib.error and ZstdError have no common base but this
            raise InputError(f"{self._name}: damaged archive: {error}") from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
            if self._below:
                self._below.close()
        super().close()
