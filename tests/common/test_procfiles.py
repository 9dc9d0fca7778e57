"""/proc/meminfo and /proc/uptime, whole and damaged."""

from __future__ import annotations

import pytest

from common.errors import InputError
from common.procfiles import parse_meminfo, parse_uptime
from common.snapshot import Memory

MEMINFO = """\
MemTotal:        8000000 kB
MemFree:          100000 kB
MemAvailable:    7000000 kB
Active(file):     100992 kB
Slab:             334300 kB
SReclaimable:     300000 kB
SUnreclaim:        34300 kB
HugePages_Total:       0
"""


def test_meminfo_in_bytes() -> None:
    assert parse_meminfo(MEMINFO) == Memory(8000000 * 1024, 7000000 * 1024, 300000 * 1024, 34300 * 1024)


def test_old_kernels_say_less() -> None:
    assert parse_meminfo("MemTotal:        8000000 kB\nMemFree:  1 kB\n") == Memory(total=8000000 * 1024)
    assert parse_meminfo("") == parse_meminfo("MemTotal: many kB\nSUnreclaim: -5 kB\n") == Memory()


def test_uptime() -> None:
    assert parse_uptime("86400.53 171220.11\n") == 86400.53
    assert parse_uptime("7") == 7.0


@pytest.mark.parametrize("text", ["", "\n", "soon", "-1.0 2", "1.2.3", "nan", "1e9 0", "9" * 400])
def test_no_uptime(text: str) -> None:
    with pytest.raises(InputError, match="uptime: expected seconds since boot"):
        parse_uptime(text)
