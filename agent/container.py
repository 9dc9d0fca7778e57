"""Tells when what the agent sees is a container's and not the machine's: one line for the log, never an error.

/proc/slabinfo is not namespaced, so most containers show the machine's own. What can be wrong, and the probe for it:

- lxcfs lays a file of its own over /proc/slabinfo with the container's caches only (lxcfs pull request 440): the file
  then lies on another file system than the proc root.
- a container's view, by whatever means, lists only what is charged to its memory cgroup. The cache of the caches
  themselves, `kmem_cache`, never is (mm/slub.c, kmem_cache_init creates it without SLAB_ACCOUNT): a list without it is
  no whole kernel's.
- the hostname may be a container's own when the UTS namespace is not the machine's first one, whose inode number is
  fixed (include/linux/proc_ns.h, PROC_UTS_INIT_INO, since 3.8); systemd's ProtectHostname makes one too, with the
  machine's name, so that it takes another sign of a container. /proc/sys/kernel/hostname gives the reader's name,
  whichever /proc it is read through: `--proc` cannot mend it, `--node` or the host's UTS namespace (`--uts host`) can.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["foreign_hostname", "partial_view"]

FIRST_CACHES = frozenset({"kmem_cache", "kmem_cache_node"})
HOST_UTS, HOST_PID = "uts:[4026531838]", "pid:[4026531836]"
MARKS = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")
"""What engines leave in a container that shares the machine's processes."""


def partial_view(proc: str, names: Sequence[str], *, device: Callable[[str], int] | None = None) -> str | None:
    """Why the list at `proc`/slabinfo seems to be a container's; None when it does not. `device`: st_dev of a path."""
    device = device or (lambda path: Path(path).stat().st_dev)
    advice = "mount the host's /proc and name it with --proc (such as --proc /host/proc)"
    try:
        if device(f"{proc}/slabinfo") != device(proc):
            return f"{proc}/slabinfo is laid over by a container's own view (lxcfs): {advice}"
    except OSError:
        return None
    if FIRST_CACHES.isdisjoint(names):
        return f"{proc}/slabinfo lists only some of the kernel's caches, as in a container: {advice}"
    return None


def foreign_hostname(
    *, readlink: Callable[[str], str] = os.readlink, exists: Callable[[str], bool] = os.path.exists
) -> bool:
    """Whether this process has a container's hostname and not the machine's."""
    try:
        if readlink("/proc/self/ns/uts") == HOST_UTS:
            return False
        return readlink("/proc/self/ns/pid") != HOST_PID or any(exists(mark) for mark in MARKS)
    except OSError:
        return False
