"""Memory goes back to the kernel where the C library can do so."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from server.reports.heap import give_back


def resident() -> int:
    """KiB."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS:")]
    return int(line.split()[1])


def test_without_malloc_trim_nothing_happens() -> None:
    assert not give_back(SimpleNamespace())


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
