"""Makes one snapshot: the kernel's text through the parser, labelled with node, boot and time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.reader import ProcReader, decode
from agent.slabfs import SlabFolder
from common.errors import InputError, ReadError, SlabinfoError
from common.names import MAX_TEXT
from common.procfiles import parse_meminfo, parse_uptime
from common.slabinfo import parse
from common.snapshot import Memory, Snapshot

__all__ = ["Collector", "Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends: what the operator settled."""

    node: str
    group: str = "default"
    labels: dict[str, str] = field(default_factory=dict)


class Collector:
    """Reads one kernel through `reader`, once for every call of `collect`."""

    def __init__(
        self,
        reader: ProcReader,
        identity: Identity,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`wall`: epoch seconds. `clock`: seconds that only rise, for `read_seconds`."""
        self._reader = reader
        self._identity = identity
        self.skipped = 0
        """Lines of the last dump that are no row the parser is certain of."""
        self._wall = wall
        self._clock = clock
        self._slabs = SlabFolder(reader.sys, clock=clock)
        self._kernel = reader.kernel()
        self._machine = os.uname().machine
        self._page_size = os.sysconf("SC_PAGE_SIZE")

    def collect(self, interval_seconds: float | None = None) -> Snapshot:
        """The snapshot of now. Raises ReadError (DeniedError, MissingError, EmptyError) with what to do.

        The instant is taken just before the read; uptime comes from the same moment.
        """
        reader = self._reader
        uptime = reader.text("uptime")
        taken_at = round(self._wall(), 3)
        started = self._clock()
        data = reader.slabinfo()
        read_seconds = self._clock() - started
        try:
            slabinfo = parse(decode(data))
        except SlabinfoError as error:
            raise ReadError(f"{reader.slabinfo_path}: {error}; please report it with the file's first lines") from None
        caches = slabinfo.caches
        self.skipped = len(slabinfo.skipped)
        boot_id = reader.boot_id()
        caches.reclaimable, caches.aliases = self._slabs.columns(boot_id, caches.name)
        caches.name = [name[:MAX_TEXT] for name in caches.name]
        return Snapshot(
            node=self._identity.node,
            group=self._identity.group,
            labels=self._identity.labels,
            taken_at=taken_at,
            interval_seconds=interval_seconds,
            boot_id=boot_id,
            uptime_seconds=_uptime(uptime),
            kernel=self._kernel,
            machine=self._machine,
            cpus=reader.cpus(),
            page_size=self._page_size,
            memory=_memory(reader.text("meminfo")),
            read_seconds=round(read_seconds, 6),
            caches=caches,
        )


def _uptime(text: str | None) -> float | None:
    try:
        return parse_uptime(text) if text is not None else None
    except InputError:
        return None


def _memory(text: str | None) -> Memory | None:
    return parse_meminfo(text) if text is not None else None
