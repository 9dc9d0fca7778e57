"""What machine this is, what a process on it has used, and which port is free."""

from __future__ import annotations

import os
import platform
import socket
import sqlite3
import time
from pathlib import Path

from common import __version__

__all__ = ["cpu_seconds", "describe", "drop_cached", "folder_bytes", "free_port", "resident"]


def cpu_seconds(pid: int) -> float:
    """CPU seconds a process has used in all its threads: clock_getcpuclockid(3), whose number is made of the pid."""
    return time.clock_gettime((~pid << 3) | 2)


def resident(pid: int | str = "self") -> int:
    """KiB of a process in memory."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def free_port() -> int:
    """A TCP port of loopback on which nobody listens now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def drop_cached(folder: Path) -> None:
    """Writes a folder's files out and lets the kernel forget them, so that the next reader goes to the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)


def describe() -> str:
    """One line: cores, memory, processor, versions."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {model}, {gib:.0f} GiB of memory, Linux {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, Slabhound {__version__}"
    )
