"""Memory goes back to the kernel where the C library can do so."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from server.heap import give_back, one_arena


def resident() -> int:
    """KiB."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS:")]
    return int(line.split()[1])


def test_without_malloc_trim_or_mallopt_nothing_happens() -> None:
    assert not give_back(SimpleNamespace())
    assert not one_arena(SimpleNamespace())


ARENAS = """
import ctypes, os, re, sys, threading
from server.heap import one_arena

if sys.argv[1] == "one":
    assert one_arena()
gate = threading.Barrier(8)
def work():
    gate.wait()
    kept.append([bytes(20_000) for _ in range(500)])
    gate.wait()
kept = []
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="this C library has no malloc_info")
def test_threads_share_one_arena() -> None:
    def arenas(how: str) -> int:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        done = subprocess.run(
            [sys.executable, "-c", ARENAS, how], env=environment, capture_output=True, check=True, text=True
        )
        return done.stdout.count("<heap ")

    assert arenas("one") == 1
    assert arenas("usual") > 2


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim")
def test_what_a_thread_left_behind_goes_back() -> None:
    kept: list[bytes] = []

    def work() -> None:
        blocks = [b"x" * 50_000 for _ in range(2000)]  # 100 MB, below the size that is mapped by itself
        kept.append(blocks[-1])  # the last block keeps the arena's top

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    before = resident()
    assert give_back()
    assert before - resident() > 50_000
