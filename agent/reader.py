"""Reads the kernel's own files: bytes, or a plain reason why not (denied, missing, empty).

Every path lies under the two roots given, so that a container can read its host's files and a test a tree of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from common.errors import DeniedError, EmptyError, MissingError, ReadError

__all__ = ["ProcReader", "decode", "read_bytes"]

_CHUNK = 1 << 16
_CONTROLS = bytes.maketrans(bytes(code for code in (*range(32), 127) if code not in b"\n\t"), b"?" * (31))
_MORE_CONTROLS = re.compile("[\x80-\x9f\u2028\u2029]")


def read_bytes(path: str) -> bytes:
    """All bytes of a file of /proc or /sys. Raises OSError.

    Reads until end of file: these files say they are 0 bytes long, and seq_file hands out about a page a call.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, _CHUNK):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def decode(data: bytes) -> str:
    r"""Text of slabinfo without control characters: a driver that frees its cache's name too early prints anything.

    Bytes that are no UTF-8 are shown as `\xNN`, control characters as `?`: one such name must not silence the node.
    """
    text = data.translate(_CONTROLS).decode("utf-8", "backslashreplace")
    return text if text.isascii() else _MORE_CONTROLS.sub("?", text)


class ProcReader:
    """The files of one kernel, as seen under `proc` and `sys`."""

    def __init__(self, proc: str = "/proc", sys: str = "/sys", *, read: Callable[[str], bytes] = read_bytes) -> None:
        self.proc = proc.rstrip("/") or "/"
        self.sys = sys.rstrip("/") or "/"
        self._read = read

    @property
    def slabinfo_path(self) -> str:
        return f"{self.proc}/slabinfo"

    def slabinfo(self) -> bytes:
        """The text of slabinfo as the kernel prints it. Raises DeniedError, MissingError, EmptyError, ReadError."""
        path = self.slabinfo_path
        try:
            data = self._read(path)
        except PermissionError:
            raise DeniedError(
                f"{path}: permission denied: only root may read it (mode 0400); run the agent as root or give it "
                "CAP_DAC_READ_SEARCH (systemd: AmbientCapabilities=CAP_DAC_READ_SEARCH; in a container: run as uid 0)"
            ) from None
        except (FileNotFoundError, NotADirectoryError):
            raise MissingError(self._why_missing(path)) from None
        except OSError as error:
            raise ReadError(f"{path}: cannot be read: {error.strerror or error}; try `cat {path}` as root") from None
        if all(line.startswith((b"slabinfo", b"#")) for line in data.split(b"\n", 3) if line.strip()):
            raise EmptyError(
                f"{path} is empty: it lists no slab cache; inside a container mount the host's /proc "
                "and name it with --proc (such as --proc /host/proc)"
            )
        return data

    def _why_missing(self, path: str) -> str:
        if self.text("sys/kernel/osrelease") is None:
            return f"{path} does not exist: no proc file system is mounted at {self.proc}; mount it or correct --proc"
        return (
            f"{path} does not exist: this kernel was built without it (CONFIG_SLUB_DEBUG, or CONFIG_SLABINFO on old "
            "kernels), or a sandbox hides it; boot a kernel that has it, or name the host's /proc with --proc"
        )

    def text(self, name: str, *, sys: bool = False) -> str | None:
        """The stripped text of `name` below the proc (or sys) root; None when it cannot be read or is empty."""
        try:
            data = self._read(f"{self.sys if sys else self.proc}/{name}")
        except OSError:
            return None
        return data.decode("utf-8", "backslashreplace").strip() or None

    def boot_id(self) -> str | None:
        return self.text("sys/kernel/random/boot_id")

    def kernel(self) -> str | None:
        """The release, such as `6.1.0-28-amd64`."""
        return self.text("sys/kernel/osrelease")

    def cpus(self) -> int | None:
        """CPUs online: /sys/devices/system/cpu/online (`0-3,8`), else the cpuN lines of /proc/stat."""
        online = self.text("devices/system/cpu/online", sys=True)
        if online is not None:
            try:
                return sum(_width(part) for part in online.split(","))
            except ValueError:
                pass
        stat = self.text("stat")
        lines = stat.splitlines() if stat else []
        return sum(line.startswith("cpu") and line[3:4].isdigit() for line in lines) or None


def _width(part: str) -> int:
    first, _, last = part.partition("-")
    return int(last or first) - int(first) + 1
