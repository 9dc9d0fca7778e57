"""Reads and writes the text of /proc/slabinfo: text in, columns out.

An intact dump of version 2.0 or 2.1 takes the fast path: one `str.split` a line, columns by `zip`, numbers by `map`.
For 235 rows that is about the kernel's own time to print them. Everything else (old versions, names with blanks,
what a mail program damaged) is read row by row in `common.slabinfo_damaged`, loaded only then. Only what a dump's
text says is believed: counts that contradict each other are kept as the kernel printed them.

Row formats: mm/slab.c and mm/slab_common.c (cache_show, print_slabinfo_header) of Linux 2.4 to 6.18.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost slabdiff a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from common.snapshot import Caches

__all__ = ["MAX_COUNT", "Slabinfo", "format_slabinfo", "parse"]

MAX_COUNT = 2**63 - 1
"""The largest number a row may hold."""
HEADER = (
    "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
    " : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>"
)
_VERSION_LINES = {
    f"slabinfo - version: {version}{statistics}": version
    for version in ("2.0", "2.1")
    for statistics in ("", " (statistics)")
}
_HEADER_START, _HEADER_SLABDATA = HEADER[:80].split(), " : slabdata <active_slabs> <num_slabs> <share"
_MARKS = {6: ":", 7: "tunables", 11: ":", 12: "slabdata", 16: ":", 17: "globalstat"}
_NUMBERS = (1, 2, 3, 4, 5, 8, 9, 10, 13, 14, 15)
_COLUMNS = {
    "active_objs": 1,
    "num_objs": 2,
    "obj_size": 3,
    "objs_per_slab": 4,
    "pages_per_slab": 5,
    "active_slabs": 13,
    "num_slabs": 14,
}


class Slabinfo:
    """What a dump says, rows in the kernel's order, duplicates kept."""

    __slots__ = ("_caches", "counts", "names", "skipped", "version")

    def __init__(
        self,
        names: list[str],
        counts: dict[str, list[Any]],
        version: str | None,
        skipped: Sequence[tuple[int, str]] = (),
    ) -> None:
        self.names = names
        self.counts = counts
        """Columns by the names of Caches; those the text lacks are left out."""
        self.version = version
        """`1.1`, `1.2`, `2.0`, `2.1`; None where the text has no version line."""
        self.skipped = list(skipped)
        """Lines of a damaged text that hold no row, or a row cut off too early: (line, why)."""
        self._caches: Caches | None = None

    @property
    def caches(self) -> Caches:
        """The rows as columns; always the same object."""
        if self._caches is None:
            from common.snapshot import Caches  # noqa: PLC0415 - slabdiff does without, and starts twice as fast

            self._caches = Caches(self.names, **self.counts)
        return self._caches


def parse(text: str) -> Slabinfo:
    """The rows of one or several dumps, in order.

    A row cut off keeps what is certain of it, the rest is None; whole damaged texts are read where the numbers are
    certain. Raises SlabinfoError, and nothing else, where they are not.
    """
    found = _parse_intact(text)
    if found is None:
        from common.slabinfo_damaged import parse_damaged  # noqa: PLC0415 - intact dumps do without re

        found = parse_damaged(text)
    return found


def _parse_intact(text: str) -> Slabinfo | None:
    """The fast path; None for whatever is not exactly as the kernel prints it."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    version = _VERSION_LINES.get(lines[0].rstrip()) if len(lines) > 2 else None
    if version is None or lines[1].split()[:7] != _HEADER_START or _HEADER_SLABDATA not in lines[1]:
        return None
    try:
        fields = list(zip(*map(str.split, lines[2:]), strict=True))
        if not _whole_rows(fields):
            return None
        counts = {name: list(map(int, fields[column])) for name, column in _COLUMNS.items()}
    except ValueError:  # uneven rows, or more digits than int() takes
        return None
    if any(max(column) > MAX_COUNT for column in counts.values()):
        return None
    return Slabinfo(visible_names(fields[0]), counts, version)


def _whole_rows(fields: list[tuple[str, ...]]) -> bool:
    """The columns are those of 2.x, with statistics or without, and hold digits where digits belong."""
    if len(fields) != 16 and len(fields) < 18:
        return False
    if any(set(fields[column]) != {mark} for column, mark in _MARKS.items() if column < len(fields)):
        return False
    digits = "".join(map("".join, [fields[column] for column in _NUMBERS]))
    return digits.isascii() and digits.isdigit()


def visible_names(names: Sequence[str]) -> list[str]:
    """The names with control characters escaped: a freed module's name may hold any bytes."""
    if "".join(names).isprintable():
        return list(names)
    return ["".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name) for name in names]


def format_slabinfo(caches: Caches) -> str:
    """The rows as a 2.1 dump, as the kernel prints them; what is not known is 0, as SLUB's tunables are."""
    none = [None] * len(caches)
    columns = (
        visible_names(caches.name),
        caches.active_objs,
        caches.num_objs,
        caches.obj_size,
        caches.objs_per_slab or none,
        caches.pages_per_slab or none,
        caches.active_slabs or none,
        caches.num_slabs or none,
    )
    rows = [
        f"{name}{' ' * (17 - len(name.encode()))} {active:6d} {total:6d} {size:6d} {per or 0:4d} {pages or 0:4d}"
        f" : tunables    0    0    0 : slabdata {active_slabs or 0:6d} {slabs or 0:6d}      0\n"
        for name, active, total, size, per, pages, active_slabs, slabs in zip(*columns, strict=True)
    ]
    return f"slabinfo - version: 2.1\n{HEADER}\n" + "".join(rows)
