"""Dumps on disk as snapshots: folders, archives and ndjson files, as `slabhound analyze` and `import` take them.

One dump is in memory at a time. A bad one is skipped, counted and its reason kept; a path without any is an InputError.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from common.dump_node import NodeDumps, sort_files
from common.dump_tree import Archive, Files, Folder
from common.errors import InputError, SnapshotError
from common.files import open_binary
from common.names import is_node_name
from common.snapshot import Snapshot

__all__ = ["Tally", "read_inputs"]

T = TypeVar("T")
Progress = Callable[[float, float], None]
MAX_LINE = 64 << 20
"""Bytes of one snapshot in an ndjson file."""
_DUMP_BYTES = 24_000
"""A dump's size for the progress bar, without asking the disk for each."""


@dataclass(slots=True)
class Tally:
    """What became of the inputs."""

    snapshots: int = 0
    skipped: int = 0
    """Files and lines that could not be used."""
    reasons: list[str] = field(default_factory=list)
    """`PATH: why` of the first hundred skipped."""
    line: str = ""
    """`PATH: line 7` of what came last, where it came from a file of lines."""

    def skip(self, where: str, why: str) -> None:
        self.skipped += 1
        if len(self.reasons) < 100:
            self.reasons.append(f"{where}: {why}")


def read_inputs(
    paths: Sequence[str | os.PathLike[str]],
    *,
    load_line: Callable[[bytes], T],
    tally: Tally | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Iterator[Snapshot | T]:
    """Every snapshot of the paths, in their order; of a folder or archive node by node, each in order of time.

    `load_line` makes what is given out of one line of an ndjson file (in the file's order); SnapshotError or
    InputError of it skip the line. `progress` is told how much of the whole is done, in about bytes on disk.
    Raises InputError for a path that cannot be read or holds no snapshot at all.
    """
    tally = tally if tally is not None else Tally()
    sources = [_Input(Path(path)) for path in paths]
    total = sum(source.size for source in sources)
    before = 0.0
    for source in sources:
        have = (tally.snapshots, tally.skipped)

        def report(part: float, base: float = before, size: float = source.size) -> None:
            progress(base + part * size, total)

        snapshots: Iterator[Snapshot | T]
        if source.kind == "ndjson":
            snapshots = _lines(source.path, load_line, tally, report)
        else:
            snapshots = _tree(source, tally, report)
        for snapshot in snapshots:
            tally.snapshots += 1
            yield snapshot
        if tally.snapshots == have[0]:
            why = f": {tally.reasons[have[1]]}" if len(tally.reasons) > have[1] else ""
            raise InputError(f"{source.path}: no usable dump in it{why or _EXPECTED[source.kind]}")
        before += source.size
        report(1.0)


_EXPECTED = {
    "folder": "; expected NODE/STAMP.slabinfo with STAMP an epoch, YYYYmmdd-HHMMSS or RFC 3339",
    "archive": "; expected NODE/STAMP.slabinfo with STAMP an epoch, YYYYmmdd-HHMMSS or RFC 3339",
    "ndjson": "; expected one snapshot as JSON on each line",
}


class _Input:
    """One path: what it is, and its size for the progress bar. Raises InputError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        name = path.name.lower().removesuffix(".gz").removesuffix(".zst")
        try:
            if path.is_dir():
                self.kind = "folder"
                self.size = float(_DUMP_BYTES)
                return
            self.size = float(path.stat().st_size)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        if name.endswith((".tar", ".tgz")):
            self.kind = "archive"
        elif name.endswith((".ndjson", ".jsonl")):
            self.kind = "ndjson"
        else:
            raise InputError(
                f"{path}: expected a folder of NODE/STAMP.slabinfo, a .tar[.gz|.zst] of one, or .ndjson[.gz|.zst];"
                " a single dump has no node: put it into such a folder"
            )

    def open(self, report: Callable[[float], None]) -> Files:
        return Folder(self.path) if self.kind == "folder" else Archive(self.path, report)

    @property
    def label(self) -> str:
        """The folder's own name, for the case that it is one NODE's: `.` and symbolic links are resolved."""
        return self.path.resolve().name


def _tree(source: _Input, tally: Tally, report: Callable[[float], None]) -> Iterator[Snapshot]:
    """The snapshots of a folder or archive. The first part of an archive's progress is its unpacking."""
    start = 0.3 if source.kind == "archive" else 0.0
    with closing(source.open(lambda part: report(start * part))) as files:
        nodes = _node_folders(files, source, tally)
        total = max(1, sum(count for _, _, count in nodes))
        done = 0
        for folder, name, _ in nodes:
            place = "/".join(part for part in (str(source.path), folder) if part)

            def skip(file: str, why: str, place: str = place) -> None:
                tally.skip(f"{place}/{file}", why)

            for snapshot in NodeDumps(files, folder, name, skip):
                done += 1
                if snapshot is not None:
                    yield snapshot
                report(start + (1 - start) * done / total)


def _node_folders(files: Files, source: _Input, tally: Tally) -> list[tuple[str, str, int]]:
    """(folder, node, dumps) of the NODE folders: the path itself, or those in it, or those in the one fleet in it."""
    levels: dict[int, dict[str, int]] = {0: {}, 1: {}, 2: {}}
    for folder in files.folders():
        try:
            count = len(sort_files(files.names(folder))[0]["slabinfo"])
        except InputError as error:
            tally.skip(str(source.path), str(error))
            continue
        if count:
            levels[folder.count("/") + 1 if folder else 0][folder] = count
    # A stray file may be named like a STAMP (`2024`): the nodes are where most dumps are.
    level = max(levels.values(), key=lambda found: sum(found.values()))
    for other in levels.values():
        for folder, count in other.items() if other is not level else ():
            what = "named like a dump" if count == 1 else f"{count} files named like dumps"
            tally.skip(f"{source.path}/{folder}", f"{what}, but not where the nodes are")
    fleets = {folder.rpartition("/")[0] for folder in level}
    if len(fleets) > 1:
        names = ", ".join(sorted(fleets)[:3])
        raise InputError(f"{source.path}: holds {len(fleets)} fleets ({names}, ...): name the one you mean, or each")
    nodes = []
    for folder in level:
        name = folder.rpartition("/")[2] or source.label.removesuffix(".gz").removesuffix(".zst").removesuffix(".tar")
        if is_node_name(name):
            nodes.append((folder, name, level[folder]))
        else:
            tally.skip(f"{source.path}/{folder}", "no name for a node: letters, digits and `._:-` only")
    return nodes


def _lines(path: Path, load_line: Callable[[bytes], T], tally: Tally, report: Callable[[float], None]) -> Iterator[T]:
    size = max(1, path.stat().st_size)
    read = 0
    with open_binary(path) as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            read += len(line)
            if len(line) > MAX_LINE:
                raise InputError(f"{path}: line {number}: longer than {MAX_LINE >> 20} MiB: no snapshot is")
            if line.strip():
                tally.line = f"{path}: line {number}"
                try:
                    loaded = load_line(line)
                except (SnapshotError, InputError) as error:
                    tally.skip(tally.line, str(error))
                else:
                    yield loaded
            report(min(1.0, read / size))
