"""Recorded fleets: archives in the layout of `slabhound analyze`, each with a truth.json that says what leaks."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.detection.runs import claims_of
from bench.detection.score import Marks, Target, mark
from common.dumps import Tally, read_inputs
from common.errors import ConfigError
from common.files import open_binary
from common.wire import load_snapshot
from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings
from server.dumps_source import MemorySource

__all__ = ["Archive", "Recording", "archives", "recordings"]

DESCRIPTORS = "filp sock_inode_cache TCP PING eventpoll_epi eventpoll_pwq kmalloc-cg-1k kmalloc-cg-192 lsm_file_cache"
"""What descriptors that are never closed leave behind: any of them names the leak."""
FIRST, EVERY = 180.0, 60.0


@dataclass(frozen=True, slots=True)
class Recording:
    """One archive's answers: over the whole of it, and in reports every minute."""

    name: str
    leaks: bool
    marks: Marks
    named_after: float | None
    """Seconds from the leak's start to the first report that names it."""
    alarms: tuple[str, ...]
    """What any of the reports named wrongly."""
    reports: int


class Archive(NamedTuple):
    """A recorded fleet, and what is true of it."""

    path: Path
    truth: dict[str, Any]


def archives(folder: Path) -> list[Archive]:
    """All of the folder. Raises ConfigError where there is none, or one that does not say what leaks."""
    found = [Archive(path, _truth(path)) for path in sorted(folder.glob("*.tar*"))]
    if not found:
        raise ConfigError(f"{folder}: no archive (*.tar*) in it" if folder.is_dir() else f"{folder}: no such folder")
    return found


def recordings(found: Sequence[Archive]) -> Iterator[Recording]:
    """Judges every archive."""
    for path, truth in found:
        source = MemorySource()
        for snapshot in read_inputs([str(path)], load_line=load_snapshot, tally=Tally()):
            source.add(snapshot)
        first, last, _ = source.span()
        yield _judged(path.name.partition(".")[0], truth, source, first, last)


def _judged(name: str, truth: dict[str, Any], source: MemorySource, first: float, last: float) -> Recording:
    wanted = []
    if leak := truth["leak"]:
        caches = DESCRIPTORS.split() if "descriptors_per_s" in leak else [leak["cache"]]
        wanted = [Target(leak["node"], frozenset(caches), 1.0, 1.0, material=True)]
    begun = truth["events"][0]["epoch"] if truth["events"] else first
    named, alarms, reports = None, dict[str, None](), 0
    end = first + FIRST
    while end < last:
        marks = _marks(source, first, end, wanted)
        alarms.update({f"{claim.node} {claim.cache}": None for claim in marks.false})
        if named is None and any(rank is not None for rank in marks.ranks):
            named = end - begun
        end, reports = end + EVERY, reports + 1
    return Recording(name, bool(leak), _marks(source, first, last, wanted), named, tuple(alarms), reports)


def _marks(source: MemorySource, start: float, end: float, wanted: list[Target]) -> Marks:
    return mark(claims_of(judge(source, start=start, end=end, group=None, settings=AnalysisSettings())), wanted)


def _truth(path: Path) -> dict[str, Any]:
    try:
        with open_binary(str(path)) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if member.name.endswith("/truth.json") and (file := archive.extractfile(member)):
                    found: dict[str, Any] = json.load(file)
                    return found
    except (tarfile.TarError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    raise ConfigError(f"{path}: no truth.json in it")
