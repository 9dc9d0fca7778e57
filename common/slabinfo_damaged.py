"""Reads dumps that are not as the kernel prints 2.x today: old versions, odd names, and what mail programs damaged.

First the text is taken as intact, line by line. If that fails, quotes, indents, log prefixes and bold marks are taken
off, wrapped rows are joined at the blanks where they were cut, and each row is read for what is certain of it.
A line that is no row (prose, shell prompts, blank) is skipped and listed. A row with an uncertain number refuses the
whole text: a diff of a dump that lacks a row would show a cache appear that was always there. Only the last row of a
text may be cut off, as nothing after it can be meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from common.errors import SlabinfoError
from common.slabinfo import Slabinfo, visible_names
from common.slabinfo_rows import Row, Shape, read_row

__all__ = ["parse_damaged"]

VERSIONS = ("1.1", "1.2", "2.0", "2.1")
MAX_LINE = 4096
"""Characters of a line worth reading; the longest rows with statistics have about 300."""
MAX_LINES = 100_000
"""Lines of a damaged text: an intact dump of any length takes the fast path, and this one is 20 times slower."""
MAX_JOINED = 12
"""Lines of one wrapped row: with statistics, wrapped at 30 columns."""

_VERSION = re.compile(r"slabinfo\s*-\s*version:\s*(\S+)")
_HEADER = re.compile(r"#\s*name\s+<")
_HEADER_REST = re.compile(r"[<:]|(?:tunables|slabdata|globalstat|cpustat)\b")
_FIELDS = ["active_objs", "num_objs", "objsize", "objperslab", "pagesperslab"]
_CONTINUES = re.compile(r":(?:\s|$)|[0-9]+(?:\s|$)|(?:tunables|slabdata|globalstat|cpustat|shrinker)\b")
_STATISTICS = re.compile(r"(?:[0-9:\s]|globalstat\b|cpustat\b)+")
_PREFIX = re.compile(
    r"""(?:\s+
    |[>|]                                                                # quoted
    |\*+(?=\S)                                                           # bold
    |(?:<[0-9]+>)?\[\s*[0-9]+\.[0-9]+\](?:\[\s*[TC][0-9]+\])?(?=\s|$)   # printk time, and who printed
    |/proc/slabinfo:                                                     # grep -H
    |\[[A-Z][a-z]{2}\ [A-Z][a-z]{2}\ +[0-9]+\ [0-9:]{8}\ [0-9]{4}\]      # dmesg -T
    |[A-Z][a-z]{2}\ [\ 0-9][0-9]\ [0-9:]{8}\ \S+\ kernel:                # syslog
    |[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.,]{8,15}(?:Z|[+-][0-9:]{4,5})?\ \S+\ kernel:  # journalctl -o short-iso
    )*""",
    re.VERBOSE,
)
_OTHER_TOOLS = (
    (re.compile(r"Active / Total Objects"), "the text of /proc/slabinfo, not of slabtop"),
    (re.compile(r"Name\s+Objects\s+Objsize\s+Space"), "the text of /proc/slabinfo, not of the slabinfo tool"),
)


def parse_damaged(text: str) -> Slabinfo:
    """What the text says with certainty. Raises SlabinfoError, with the line, where a row's numbers are not certain."""
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        raise SlabinfoError(MAX_LINES + 1, "text", f"at most {MAX_LINES} lines", f"{len(lines)} lines")
    ended = not lines[-1]
    return _parse_old(lines, ended=ended) or _Reader(lines, ended=ended).read()


def _slabinfo(rows: Sequence[Row], version: str | None, skipped: Sequence[tuple[int, str]] = ()) -> Slabinfo:
    """A column nobody knows is left out."""
    counts = {}
    for field in (
        "active_objs",
        "num_objs",
        "obj_size",
        "objs_per_slab",
        "pages_per_slab",
        "active_slabs",
        "num_slabs",
    ):
        column = [row.values.get(field) for row in rows]
        if any(value is not None for value in column):
            counts[field] = column
    return Slabinfo(visible_names([row.name for row in rows]), counts, version, skipped)


def _family(version: str | None) -> int | None:
    return int(version[0]) if version else None


def _parse_old(lines: list[str], *, ended: bool) -> Slabinfo | None:
    """An intact dump of any version; None as soon as a line is not a whole row."""
    lines = [line.rstrip() for line in (lines[:-1] if ended else lines)]
    found = _VERSION.match(lines[0]) if lines else None
    if not found or found[1] not in VERSIONS or max(map(len, lines)) > MAX_LINE:
        return None
    family = _family(found[1])
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if number == 2 and _HEADER.match(line):
            _check_header(line, number)
            continue
        try:
            shape = Shape(line)
            last = number == len(lines)
            row = read_row(shape, number, family, ended=ended or not last) if shape.complete else None
        except SlabinfoError:
            return None
        if row is None or line[:1].isspace():
            return None
        rows.append(row)
    return _slabinfo(rows, found[1]) if rows else None


def _check_header(text: str, line: int) -> None:
    """Raises SlabinfoError for columns in another order (out-of-tree kernels)."""
    found = re.findall(r"<([a-z_]+)", text)[:5]
    if found != _FIELDS[: len(found)]:
        raise SlabinfoError(line, "header", " ".join(_FIELDS), " ".join(found))
    slabs = re.findall(r"<([a-z_]+)", text.partition("slabdata")[2])[:2]
    if slabs != ["active_slabs", "num_slabs"][: len(slabs)]:
        raise SlabinfoError(line, "header", "active_slabs num_slabs", " ".join(slabs))


def _clean(line: str) -> str:
    """The line without quotes, indent, log prefix and bold marks."""
    line = line.rstrip()
    found = _PREFIX.match(line)
    return re.sub(r"(?<=[0-9])\*+$", "", line[found.end() :] if found else line)


class _Reader:
    """One pass over the lines of a damaged text."""

    def __init__(self, lines: list[str], *, ended: bool) -> None:
        self.lines = [_clean(line) if len(line) <= MAX_LINE else line[:80] + " ..." for line in lines]
        self.last = max((index for index, line in enumerate(self.lines) if line), default=-1)
        self.ended = ended
        self.longest = max(map(len, self.lines))
        self.collapsed = not any("  " in line for line in self.lines)
        self.version: str | None = None
        self.rows: list[Row] = []
        self.starts: list[int] = []
        self.skipped: list[tuple[int, str]] = []

    def read(self) -> Slabinfo:
        index = 0
        while index <= self.last:
            index += self._step(index) if self.lines[index] else 1
        self._drop_half_row()
        if {row.family for row in self.rows} == {None, 1}:
            short = [row.family for row in self.rows].index(None)
            raise SlabinfoError(self.starts[short], "row", "six numbers, as in the others", self.rows[short].name)
        if not self.rows:
            first = next((index for index, line in enumerate(self.lines) if line), 0)
            if self.skipped:  # what stands there in the rows' place; none where the header is all
                first = self.skipped[0][0] - 1
            for index, line in enumerate(self.lines):
                for pattern, expected in _OTHER_TOOLS:
                    if pattern.match(line):
                        raise SlabinfoError(index + 1, "text", expected, line)
            raise SlabinfoError(first + 1, "text", "the rows of /proc/slabinfo", self.lines[first])
        return _slabinfo(self.rows, self.version, self.skipped)

    def _drop_half_row(self) -> None:
        """A text cut off at its beginning may start within a name: then only its first row is not aligned."""
        aligned = [row.aligned for row in self.rows]
        if not self.version and not self.collapsed and aligned[:2] == [False, True] and self.lines[0]:
            self.skipped.insert(0, (1, f"row cut off: {self.lines[0][:60]}"))
            del self.rows[0], self.starts[0]

    def _step(self, index: int) -> int:
        """Reads what starts at this line; how many lines it took."""
        line, number = self.lines[index], index + 1
        if found := _VERSION.match(line):
            if found[1] not in VERSIONS:
                raise SlabinfoError(number, "version", "1.1, 1.2, 2.0 or 2.1", found[1])
            if self.version and _family(self.version) != _family(found[1]):
                raise SlabinfoError(number, "version", f"{self.version} as before", found[1])
            self.version = found[1]
            return 1
        if _HEADER.match(line):
            used = self._extent(index, _HEADER_REST)
            _check_header(" ".join(self.lines[index : index + used]), number)
            return used
        return self._row(index)

    def _extent(self, index: int, pattern: re.Pattern[str]) -> int:
        """1 and the lines after this one that begin like the rest of it."""
        used = 1
        while used < MAX_JOINED and index + used <= self.last and pattern.match(self.lines[index + used]):
            used += 1
        return used

    def _row(self, index: int) -> int:
        """One row, joined from as many lines as it was wrapped into."""
        line, number = self.lines[index], index + 1
        shape, used = Shape(line), 1
        if shape.parts or shape.numbers or len(line.split()) == 1:
            most = self._extent(index, _CONTINUES)
            while used < most and not shape.complete:
                shape = Shape(f"{shape.text}\n{self.lines[index + used]}")
                used += 1
        row = read_row(
            shape,
            number,
            _family(self.version),
            collapsed=self.collapsed,
            ended=self.ended or index + used <= self.last,
        )
        if row is None:
            self._skip(index)
            return 1
        self._check_before(index, row)
        self.rows.append(row)
        self.starts.append(number)
        rest = self.lines[index + used] if index + used <= self.last else ""
        if used > 1 and re.match(r"[0-9]+(\s|$)", rest) and len(shape.parts) == 2:
            raise SlabinfoError(number + used, "slabdata", "active_slabs num_slabs sharedavail", f"{shape.text} {rest}")
        return used + self._statistics(
            index + used, begun=len(shape.parts) > 2 or (row.family == 1 and bool(shape.parts))
        )

    def _statistics(self, index: int, *, begun: bool) -> int:
        """How many lines hold what follows of the statistics of a wrapped row, which nobody reads."""
        used = 0
        for line in self.lines[index : index + MAX_JOINED]:
            if not _STATISTICS.fullmatch(line) or not (begun or line.startswith(":")):
                break
            begun = True
            used += 1
        return used

    def _skip(self, index: int) -> None:
        """Lists a line that is no row. Raises SlabinfoError where it is what is left of one."""
        line, number = self.lines[index], index + 1
        shape = Shape(line)
        tokens = shape.head.split()
        alone = len(tokens) == shape.numbers + 1 and re.search(r"[A-Za-z_]", tokens[0]) is not None
        if index == self.last and (alone or not self.ended):
            self.skipped.append((number, f"row cut off: {line[:60]}"))
            return
        if shape.marked or (alone and shape.numbers >= 2 and not shape.parts):
            raise SlabinfoError(number, "row", "a name and at least five numbers", line)
        self.skipped.append((number, f"no row: {line[:60]}"))

    def _check_before(self, index: int, row: Row) -> None:
        """Raises SlabinfoError where the line before may be the beginning of this row's name."""
        before = self.lines[index - 1] if index else ""
        if not before or not self.skipped or self.skipped[-1][0] != index or before.count(" ") > 1:
            return
        line = self.lines[index]
        first = line.split(maxsplit=1)[0]
        wrapped = len(before) + 1 + len(first) > self.longest  # or it would have stood on the line before
        shifted = not self.collapsed and not re.match(rf"{re.escape(row.name.ljust(17))} +[0-9]", line)
        if wrapped or (re.fullmatch(r"[\w.()/^ -]+", before) and (shifted or self.version)):
            raise SlabinfoError(index + 1, "name", "a whole name", f"{before} {first}")
