"""Which caches share one slab: the links of /sys/kernel/slab, live or as a listing of them.

SLUB gives every cache it may merge a folder named by its properties (`:0000128`, `:A-0000192`), and each name that
shares it a symbolic link; a cache it may not merge has a folder of its own name (mm/slub.c, sysfs_slab_add and
sysfs_slab_alias, the same from 2.6.22 to 6.18). /proc/slabinfo lists only one name of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["merged_reclaimable", "parse_links", "read_links"]

_LONG = re.compile(
    r"[bcdlps-][rwxsStT-]{9}\S*\s+[0-9]+\s+\S+\s+\S+\s+[0-9]+\s+"  # mode, links, owner, group, size
    r"(?:\S+\s+\S+\s+[0-9:]+|[0-9-]+\s+[0-9:.]+(?:\s+[+-][0-9]{4})?)\s"  # Nov 23 18:42, or --time-style=iso
)


def read_links(text: str) -> list[tuple[str, str]]:
    """(name, target) of the links in a listing: whole lines of `ls -l`, or only their ends. Folders are left out."""
    links = []
    for line in text.splitlines():
        name, arrow, target = line.rpartition(" -> ")
        if arrow and target.strip():
            found = _LONG.match(name)
            links.append((name[found.end() :].strip() if found else name.strip(), target.strip()))
    return links


def parse_links(links: Iterable[tuple[str, str]], names: Iterable[str]) -> dict[str, list[str]]:
    """The other names, sorted, of every cache in `names` that the kernel merged with some.

    `links` are (name, target) pairs. sysfs has `!` for the `/` of a name (lib/kobject.c).
    """
    listed = set(names)
    sharing: dict[str, set[str]] = {}
    for name, target in links:
        folder = target.rpartition("/")[2]
        members = sharing.setdefault(folder, set() if folder.startswith(":") else {_cache(folder)})
        if not name.startswith(":"):
            members.add(_cache(name))
    aliases: dict[str, list[str]] = {}
    for members in sharing.values():
        others = sorted(members - listed)
        if others:
            aliases |= {name: list(others) for name in members & listed}
    return aliases


def merged_reclaimable(links: Iterable[tuple[str, str]]) -> dict[str, bool]:
    """Of the caches that the kernel may merge, whether it accounts them as reclaimable.

    A folder's name has a letter for each property, `a` for SLAB_RECLAIM_ACCOUNT, before the size: `:a-0000104`,
    `:aA-0000192` (create_unique_id in mm/slub.c since 2.6.22). A cache that may not be merged has no such folder.
    """
    found = {}
    for name, target in links:
        folder = target.rpartition("/")[2]
        if folder.startswith(":") and not name.startswith(":"):
            found[_cache(name)] = "a" in folder
    return found


def _cache(name: str) -> str:
    return name.replace("!", "/")
