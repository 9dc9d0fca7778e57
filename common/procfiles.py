"""The other files of /proc that a snapshot needs: meminfo and uptime."""

from __future__ import annotations

import re

from common.errors import InputError
from common.snapshot import Memory

__all__ = ["parse_meminfo", "parse_uptime"]

_FIGURES = {
    "MemTotal": "total",
    "MemAvailable": "available",
    "SReclaimable": "slab_reclaimable",
    "SUnreclaim": "slab_unreclaimable",
}
_LINE = re.compile(r"^\s*(\w+)(?:\(\w+\))?:\s+([0-9]{1,15})\s+kB\s*$", re.MULTILINE | re.ASCII)


def parse_meminfo(text: str) -> Memory:
    """The figures of /proc/meminfo in bytes; None for those it lacks.

    MemAvailable came with Linux 3.14, SReclaimable with 2.6.19. The kernel's kB are
    1,024 bytes (fs/proc/meminfo.c, show_val_kb).
    """
    found = {name: int(amount) * 1024 for name, amount in _LINE.findall(text)}
    return Memory(**{figure: found.get(name) for name, figure in _FIGURES.items()})


def parse_uptime(text: str) -> float:
    """Seconds since boot, from /proc/uptime. Raises InputError."""
    found = re.match(r"\s*([0-9]{1,12}(?:\.[0-9]{1,9})?)(?=\s|$)", text, re.ASCII)
    if not found:
        raise InputError(f"uptime: expected seconds since boot, found {text[:40]!r}")
    return float(found[1])
