"""/sys/kernel/slab: which caches are reclaimable and which names the kernel merged, read seldom and remembered.

SLUB keeps one folder a cache; a mergeable one is named by its properties (`:A-0001280`) and every cache that shares it,
the listed one included, is a symbolic link to it (mm/slub.c, sysfs_slab_add and sysfs_slab_alias).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.reader import decode, read_bytes
from common.names import MAX_TEXT
from common.sysfs_slab import parse_links

__all__ = ["SlabFolder"]

REFRESH_SECONDS = 3600.0
"""A cache that is merged while running adds a link and no line to slabinfo: look again this often."""


class SlabFolder:
    """Answers from memory until the boot or the names change, or an hour has passed; only new names are read again."""

    def __init__(self, sys: str, *, clock: Callable[[], float], read: Callable[[str], bytes] = read_bytes) -> None:
        """`clock`: seconds that only rise."""
        self._folder = f"{sys}/kernel/slab"
        self._clock = clock
        self._read = read
        self._boot_id: str | None = None
        self._names: list[str] = []
        self._read_at = float("-inf")
        self._flags: dict[str, bool | None] = {}
        self._columns: tuple[list[bool | None] | None, list[list[str] | None] | None] = (None, None)

    def columns(
        self, boot_id: str | None, names: list[str]
    ) -> tuple[list[bool | None] | None, list[list[str] | None] | None]:
        """`reclaimable` and `aliases`, parallel to `names`; None where this kernel or its permissions give nothing."""
        now = self._clock()
        same_boot = boot_id == self._boot_id
        if same_boot and names == self._names and now - self._read_at < REFRESH_SECONDS:
            return self._columns
        known = self._flags if same_boot else {}
        self._flags = {name: known[name] if name in known else self._reclaimable(name) for name in dict.fromkeys(names)}
        flags = [self._flags[name] for name in names]
        reclaimable = None if all(flag is None for flag in flags) else flags
        self._columns = (reclaimable, self._aliases(names))
        self._boot_id, self._names, self._read_at = boot_id, names, now
        return self._columns

    def _reclaimable(self, name: str) -> bool | None:
        # A kobject's name has `!` where the cache's has `/` (lib/kobject.c, kobject_set_name_vargs).
        try:
            return self._read(f"{self._folder}/{name.replace('/', '!')}/reclaim_account").strip() == b"1"
        except (OSError, ValueError):
            return None

    def _aliases(self, names: Sequence[str]) -> list[list[str] | None] | None:
        try:
            with os.scandir(self._folder) as entries:
                links = [(_shown(e.name), _shown(str(Path(e).readlink()))) for e in entries if e.is_symlink()]
        except OSError:
            return None
        found = parse_links(links, names)
        return [[alias[:MAX_TEXT] for alias in found.get(name, ())] for name in names]


def _shown(name: str) -> str:
    """A file's name as slabinfo's text shows the cache's: whatever bytes it has, it must not spoil the snapshot."""
    return decode(os.fsencode(name)).replace("\n", "?").replace("\t", "?")
