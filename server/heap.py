"""Memory that Python has freed goes back to the kernel: glibc keeps it in arenas, for threads that come and go."""

from __future__ import annotations

import ctypes
from typing import Any

__all__ = ["give_back", "one_arena"]

_M_ARENA_MAX = -8
"""Of mallopt(3), by glibc's malloc.h."""


def one_arena(libc: Any = None) -> bool:
    """Lets all threads allocate from the first arena; whether the C library has mallopt(3) and took it.

    To be called before there are threads. By default there are up to eight a core (mallopt(3), M_ARENA_MAX), and
    malloc_trim gives back the top of the first alone (mtrim in glibc's malloc.c): after a report over 1,000 nodes 20
    to 40 MB stayed in the others. Threads seldom allocate at once, as one of them holds the interpreter's lock.
    """
    libc = ctypes.CDLL(None) if libc is None else libc
    option = getattr(libc, "mallopt", None)
    return option is not None and bool(option(_M_ARENA_MAX, 1))


def give_back(libc: Any = None) -> bool:
    """Whether anything was given back; False also where the C library has no malloc_trim(3) (musl, for one).

    A judgement of 300 nodes leaves some 170 MB behind, in arenas of the thread that made it (mallopt(3), M_ARENA_MAX).
    Takes some ten milliseconds, without the interpreter's lock.
    """
    libc = ctypes.CDLL(None) if libc is None else libc
    trim = getattr(libc, "malloc_trim", None)
    return trim is not None and bool(trim(0))
