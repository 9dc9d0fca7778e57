"""The kernel's general caches (kmalloc-N and their kinds), as simulated."""

from __future__ import annotations

from typing import Literal

__all__ = ["general_caches"]

_Row = tuple[str, int, Literal["constant", "wander", "load"], Literal["none", "proc", "net"], float, float, bool]

_SIZES = {
    "8k": 8192,
    "4k": 4096,
    "2k": 2048,
    "1k": 1024,
    "512": 512,
    "256": 256,
    "192": 192,
    "128": 128,
    "96": 96,
    "64": 64,
    "32": 32,
    "16": 16,
    "8": 8,
}
_PLAIN = (64, 420, 700, 1400, 1900, 1600, 2100, 2600, 3400, 9000, 9500, 6000, 5000)
_CGROUP = (12, 90, 260, 520, 420, 180, 330, 160, 210, 900, 1300, 1400, 1000)
_RECLAIMABLE = (0, 0, 0, 0, 0, 0, 40, 600, 2400, 1500, 0, 0, 0)


def general_caches(random_copies: int) -> list[_Row]:
    """Every kmalloc cache: (name, size, kind, factor, base, swing, reclaimable), see CacheModel.

    `random_copies`: kmalloc-rnd-01-N, ... beside kmalloc-N, which share its objects (CONFIG_RANDOM_KMALLOC_CACHES).
    """
    rows: list[_Row] = [(f"dma-kmalloc-{n}", size, "constant", "none", 0, 0, False) for n, size in _SIZES.items()]
    rows += [
        (f"kmalloc-rcl-{n}", size, "wander", "proc", base, 12, True)
        for (n, size), base in zip(_SIZES.items(), _RECLAIMABLE, strict=True)
    ]
    rows += [
        (f"kmalloc-cg-{n}", size, "load", "net", base, base * 0.5, False)
        for (n, size), base in zip(_SIZES.items(), _CGROUP, strict=True)
    ]
    share = 1 / (1 + random_copies)
    for copy in range(random_copies, -1, -1):
        prefix = f"kmalloc-rnd-{copy:02d}-" if copy else "kmalloc-"
        rows += [
            (
                f"{prefix}{n}",
                size,
                "load" if size in (512, 1024, 2048) else "wander",
                *_moved(size, base * share),
                False,
            )
            for (n, size), base in zip(_SIZES.items(), _PLAIN, strict=True)
        ]
    return rows


def _moved(size: int, base: float) -> tuple[Literal["proc", "net"], float, float]:
    return ("net", base, base * 0.4) if size in (512, 1024, 2048) else ("proc", base, 4.0)
