"""`slabdiff`: which slab caches grew between two dumps of /proc/slabinfo, in bytes, ascending.

After slabdiff.rb by Wejn (2006, https://wejn.org/stuff/slabdiff.rb.html): the same arguments, usage text, output and
exit status, none of its code. Here rows of one name are summed, a cache that only one dump lists counts as zero in the
other, and caches of equal difference stand by name. The program starts in less time than an interpreter's standard
library takes to load, so nothing is imported but the parser's fast path.
"""

from __future__ import annotations

import sys

from common.errors import InputError, SlabhoundError, SlabinfoError
from common.files import read_text
from common.slabinfo import parse

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO, Literal, TextIO

    from common.snapshot import Caches

    Metric = Literal["active", "allocated"]
    Totals = dict[str, tuple[int, int]]

__all__ = ["METRICS", "CacheDiff", "compare_files", "diff", "format_diff", "main", "metric_of"]

METRICS: dict[str, Metric] = {"active": "active", "ac": "active", "allocated": "allocated", "al": "allocated"}
"""What the command line takes, and what it means."""
_COUNTS = {"active": "active_objs", "allocated": "num_objs"}
_USAGE = """Usage: {program} <[ac]tive|[al]located> <file1> <file2>
	where <file[12]> is /proc/slabinfo dump
"""


class CacheDiff:
    """What one cache gained (negative: lost)."""

    __slots__ = ("bytes", "name", "objects")

    def __init__(self, name: str, size: int, objects: int) -> None:
        self.name = name
        self.bytes = size
        self.objects = objects

    def __repr__(self) -> str:
        return f"CacheDiff({self.name!r}, {self.bytes}, {self.objects})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CacheDiff) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[int, str, int]:
        return self.bytes, self.name, self.objects


def diff(old: Caches, new: Caches, metric: Metric) -> list[CacheDiff]:
    """What every cache gained from `old` to `new`, where its bytes differ; ascending by bytes, then by name.

    Bytes are objects x obj_size of each side: `active` takes active_objs, `allocated` num_objs.
    """
    count = _COUNTS[metric]
    before, after = (_totals(dump.name, getattr(dump, count), dump.obj_size) for dump in (old, new))
    return _difference(before, after)


def _difference(before: Totals, after: Totals) -> list[CacheDiff]:
    none = (0, 0)
    found = []
    for name in before | after:
        (old_bytes, old_objects), (new_bytes, new_objects) = before.get(name, none), after.get(name, none)
        if new_bytes != old_bytes:
            found.append((new_bytes - old_bytes, name, new_objects - old_objects))
    found.sort()
    return [CacheDiff(name, size, objects) for size, name, objects in found]


def format_diff(found: Sequence[CacheDiff]) -> str:
    """A line a cache: `name: bytes`."""
    return "".join([f"{one.name}: {one.bytes}\n" for one in found])


def metric_of(text: str) -> Metric:
    """`ac`, `active`, `al` or `allocated`. Raises InputError."""
    if text not in METRICS:
        raise InputError("you must select one of: active (ac), allocated (al)")
    return METRICS[text]


def compare_files(
    metric: Metric, old: str, new: str, *, stdin: BinaryIO | None = None, stderr: TextIO | None = None
) -> str:
    """The output for two files, `-` being standard input. Raises InputError that names the file.

    What had to be skipped of a damaged dump is said on `stderr`, in a line a file.
    """
    if old == new == "-":
        raise InputError("standard input can be only one of the two dumps: save one to a file")
    before, after = (_load(path, metric, stdin, stderr) for path in (old, new))
    return format_diff(_difference(before, after))


def main(arguments: Sequence[str] | None = None) -> int:
    """The program `slabdiff`; exit status 1 for misuse and for dumps that cannot be read, as the original had it."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 3:
        sys.stderr.write(_USAGE.format(program=sys.argv[0].rpartition("/")[2]))
        return 1
    try:
        output = compare_files(metric_of(arguments[0]), *arguments[1:], stderr=sys.stderr)
        _write(output)
    except SlabhoundError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _write(output: str) -> None:
    """To standard output; a reader that went away (`| head`) is no error. Raises InputError when the disk is full."""
    out = sys.stdout
    try:
        out.buffer.write(output.encode("utf-8", "backslashreplace"))
        out.flush()
    except BrokenPipeError:
        _forget(out)
    except OSError as error:
        _forget(out)
        raise InputError(f"cannot write the output: {error.strerror}") from None


def _forget(out: TextIO) -> None:
    """Keeps the interpreter from trying, and failing, to flush once more at its end."""
    import os  # noqa: PLC0415 - only on this path

    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def _totals(names: Sequence[str], counts: Sequence[int], sizes: Sequence[int]) -> Totals:
    """(bytes, objects) by name, rows of one name summed."""
    totals: Totals = {}
    for name, objects, size in zip(names, counts, sizes, strict=True):
        have = totals.get(name)
        totals[name] = (have[0] + objects * size, have[1] + objects) if have else (objects * size, objects)
    return totals


def _load(path: str, metric: Metric, stdin: BinaryIO | None, stderr: TextIO | None) -> Totals:
    try:
        found = parse(read_text(path, stdin=stdin))
    except SlabinfoError as error:
        raise InputError(f"{'standard input' if path == '-' else path}: {error}") from None
    if found.skipped and stderr:
        line, why = found.skipped[0]
        many = len(found.skipped)
        lines = f"{many} line{'s' * (many > 1)}"
        stderr.write(f"{path}: skipped {lines} without a whole row, the first is line {line}: {why}\n")
    return _totals(found.names, found.counts[_COUNTS[metric]], found.counts["obj_size"])
