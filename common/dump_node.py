"""The dumps of one node, in order of time, as snapshots: STAMP.slabinfo and the files that lie beside it.

contract.md names them: STAMP.meminfo, STAMP.uptime and STAMP.boot_id belong to the dump of the same STAMP; STAMP.slabs
(links of /sys/kernel/slab) and STAMP.reclaimable hold until the next one; node.json describes the node.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from common.dump_tree import Files
from common.errors import InputError
from common.files import decode
from common.names import MAX_GROUP, MAX_TEXT, is_node_name
from common.procfiles import parse_meminfo, parse_uptime
from common.slabinfo import parse
from common.snapshot import Caches, Memory, Snapshot
from common.sysfs_slab import merged_reclaimable, parse_links, read_links
from common.times import parse_time

__all__ = ["NodeDumps", "parse_stamp", "sort_files"]

_KINDS = frozenset({"slabinfo", "meminfo", "uptime", "boot_id", "slabs", "reclaimable"})
_COMPACT = re.compile(r"[0-9]{8}-[0-9]{6}", re.ASCII)
_BOOT_ID = re.compile(r"[!-~]{1,256}")


def parse_stamp(stamp: str) -> float:
    """Epoch seconds of a STAMP: an epoch, `YYYYmmdd-HHMMSS` in UTC, or RFC 3339. Raises ValueError."""
    if _COMPACT.fullmatch(stamp):
        return datetime.strptime(stamp, "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp()
    return parse_time(stamp)


def sort_files(names: Sequence[str]) -> tuple[dict[str, list[tuple[float, str, str]]], list[tuple[str, str]]]:
    """The files of a NODE folder: (time, STAMP, file) by kind, each in order of time; and (file, why) of the bad ones.

    A file that is named like nothing of ours is left alone.
    """
    files: dict[str, list[tuple[float, str, str]]] = {kind: [] for kind in _KINDS}
    bad = []
    for name in names:
        stem, dot, kind = name.rpartition(".")
        known = bool(dot) and kind in _KINDS
        stamp, kind = (stem, kind) if known else (name, "slabinfo")
        try:
            files[kind].append((parse_stamp(stamp), stamp, name))
        except ValueError as error:
            if known:
                bad.append((name, str(error)))
    for found in files.values():
        found.sort()
    return files, bad


@dataclass(slots=True)
class _About:
    """What node.json says."""

    node: str
    group: str = "default"
    kernel: str | None = None
    labels: dict[str, str] = field(default_factory=dict)


class NodeDumps:
    """One NODE folder. Iterating reads and parses, a dump at a time."""

    def __init__(self, files: Files, folder: str, node: str, skip: Callable[[str, str], None]) -> None:
        """`node`: the folder's name. `skip` is told the file and why it cannot be used."""
        self._files = files
        self._folder = folder
        self._skip = skip
        self._names = files.names(folder)
        self._sorted, bad = sort_files(self._names)
        for name, why in bad:
            skip(name, why)
        self._about = self._read_about(node)
        self._aliases: tuple[list[str], list[list[str] | None]] | None = None

    def __len__(self) -> int:
        return len(self._sorted["slabinfo"])

    def __iter__(self) -> Iterator[Snapshot | None]:
        """The snapshots by time; None for a dump that was skipped, so that progress can be counted."""
        slabs, reclaimable = _Lasting(self._sorted["slabs"]), _Lasting(self._sorted["reclaimable"])
        beside = {
            kind: {stamp: name for _, stamp, name in self._sorted[kind]} for kind in ("meminfo", "uptime", "boot_id")
        }
        links: list[tuple[str, str]] | None = None
        merged: dict[str, bool] = {}
        flags: tuple[set[str], set[str]] | None = None
        before: float | None = None
        for taken_at, stamp, name in self._sorted["slabinfo"]:
            if taken_at == before:
                self._skip(name, "a second dump of the same instant")
                yield None
                continue
            before = taken_at
            caches = self._caches(name)
            if caches is None:
                yield None
                continue
            if slabs.moved(taken_at):
                text = self._text(slabs.name)
                links, self._aliases = (None if text is None else read_links(text)), None
                merged = merged_reclaimable(links or ())
            if reclaimable.moved(taken_at):
                text = self._text(reclaimable.name)
                flags = None if text is None else (set(text.split("\n")), set(caches.name))
            caches.aliases = self._aliases_of(caches.name, links)
            if flags:
                caches.reclaimable = [True if n in flags[0] else False if n in flags[1] else None for n in caches.name]
            elif merged:
                caches.reclaimable = [merged.get(name) for name in caches.name]
            about = self._about
            yield Snapshot(
                about.node,
                taken_at,
                caches,
                group=about.group,
                labels=about.labels,
                kernel=about.kernel,
                boot_id=self._boot_id(beside["boot_id"].get(stamp)),
                uptime_seconds=self._uptime(beside["uptime"].get(stamp)),
                memory=self._memory(beside["meminfo"].get(stamp)),
            )

    def _text(self, name: str | None) -> str | None:
        if name is None:
            return None
        try:
            return decode(self._files.read(self._folder, name))
        except InputError as error:
            self._skip(name, str(error))
            return None

    def _caches(self, name: str) -> Caches | None:
        text = self._text(name)
        if text is None:
            return None
        try:
            found = parse(text)
        except InputError as error:
            self._skip(name, "empty" if not text.strip() else str(error))
            return None
        if found.skipped:
            self._skip(name, "read but for line {}: {}".format(*found.skipped[0]))
        return found.caches

    def _aliases_of(self, names: list[str], links: list[tuple[str, str]] | None) -> list[list[str] | None] | None:
        if links is None:
            return None
        if self._aliases is None or self._aliases[0] != names:
            found = parse_links(links, names)
            self._aliases = (names, [found.get(name, []) for name in names])
        return self._aliases[1]

    def _memory(self, name: str | None) -> Memory | None:
        text = self._text(name)
        if text is None:
            return None
        memory = parse_meminfo(text)
        if memory == Memory():
            self._skip(str(name), "no figure of /proc/meminfo in it")
            return None
        return memory

    def _uptime(self, name: str | None) -> float | None:
        text = self._text(name)
        try:
            return None if text is None else parse_uptime(text)
        except InputError as error:
            self._skip(str(name), str(error))
            return None

    def _boot_id(self, name: str | None) -> str | None:
        text = self._text(name)
        if text is None:
            return None
        if not _BOOT_ID.fullmatch(text.strip()):
            self._skip(str(name), f"no boot_id: {text[:40]!r}")
            return None
        return text.strip()

    def _read_about(self, node: str) -> _About:
        about = _About(node)
        if "node.json" not in self._names:
            return about
        try:
            said = json.loads(self._text("node.json") or "")
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            self._skip("node.json", "not a JSON object")
            return about
        for key, good in _ABOUT.items():
            value = said.get(key)
            if value is None:
                continue
            if good(value):
                setattr(about, key, value)
            else:
                self._skip("node.json", f"{key} cannot be {str(value)[:40]!r}")
        return about


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_text(key) and _is_text(text) for key, text in value.items())


_ABOUT: dict[str, Callable[[Any], bool]] = {
    "node": is_node_name,
    "group": lambda value: _is_text(value) and len(value) <= MAX_GROUP,
    "kernel": _is_text,
    "labels": _is_labels,
}


class _Lasting:
    """Files of which each holds until the next one."""

    def __init__(self, files: list[tuple[float, str, str]]) -> None:
        self._waiting = files[::-1]
        self.name: str | None = None

    def moved(self, at: float) -> bool:
        """Whether another file holds at this time than at the time asked before."""
        before = self.name
        while self._waiting and self._waiting[-1][0] <= at:
            self.name = self._waiting.pop()[2]
        return self.name != before
