"""A kernel of straw: /proc and /sys trees as the kernel lays them out, small enough to know by heart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

HEADER = (
    "slabinfo - version: 2.1\n"
    "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount>"
    " <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
)
BOOT_ID = "0b6f6c1e-6f5b-4b0e-9f0e-5f0d5a1f3c11"


def row(name: str, active: int, total: int, size: int, per_slab: int, pages: int) -> str:
    slabs = -(-total // per_slab)
    return (
        f"{name:<17} {active:6} {total:6} {size:6} {per_slab:4} {pages:4} : tunables {0:4} {0:4} {0:4}"
        f" : slabdata {slabs:6} {slabs:6} {0:6}\n"
    )


@dataclass
class Kernel:
    """Both roots, and ways to change what they say."""

    proc: Path
    sys: Path

    def slabinfo(self, *rows: str) -> None:
        (self.proc / "slabinfo").write_text(HEADER + "".join(rows))

    def cache(self, name: str, *, reclaimable: bool = False, folder: str | None = None) -> None:
        """A cache in /sys/kernel/slab; `folder` makes it a link to the shared folder of that name."""
        slab = self.sys / "kernel/slab"
        own = slab / (folder or name)
        own.mkdir(exist_ok=True)
        (own / "reclaim_account").write_text(f"{reclaimable:d}\n")
        if folder is not None:
            (slab / name).symlink_to(folder)

    def boot(self, boot_id: str) -> None:
        (self.proc / "sys/kernel/random/boot_id").write_text(boot_id + "\n")


ROWS = (
    row("scsi_cmd_cache", 700, 736, 512, 16, 2),
    row("raid5-md0", 256, 256, 1880, 17, 8),
    row("dentry", 121970, 125454, 192, 21, 1),
    row("kmem_cache", 256, 256, 256, 16, 1),
)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    (proc / "sys/kernel/random").mkdir(parents=True)
    (sys / "kernel/slab").mkdir(parents=True)
    (sys / "devices/system/cpu").mkdir(parents=True)
    made = Kernel(proc, sys)
    made.boot(BOOT_ID)
    (proc / "sys/kernel/osrelease").write_text("6.1.0-28-amd64\n")
    (proc / "uptime").write_text("86400.50 170000.00\n")
    (proc / "meminfo").write_text(
        "MemTotal:        8388608 kB\nMemFree:          100000 kB\nMemAvailable:    7000000 kB\n"
        "SReclaimable:     300000 kB\nSUnreclaim:        90000 kB\n"
    )
    (proc / "stat").write_text("cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n")
    (sys / "devices/system/cpu/online").write_text("0-3,6\n")
    made.slabinfo(*ROWS)
    made.cache("dentry", reclaimable=True)
    made.cache("kmem_cache")
    made.cache("raid5-md0")
    made.cache("scsi_cmd_cache", folder=":0000512")
    made.cache("biovec-16", folder=":0000512")
    return made
