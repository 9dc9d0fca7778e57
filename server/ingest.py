"""The front door: a body becomes snapshots, checked once; the answer waits until they are on disk."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from starlette.responses import Response

from common.errors import SlabinfoError, SnapshotError, TooManyNodesError, UnknownLayoutError
from common.slabinfo import parse
from common.snapshot import Caches, Snapshot
from common.times import parse_time
from common.wire import check_caches, load_batch, load_lines, load_snapshot
from common.wire_quick import QuickReader
from server.bodies import Bodies, Body, Incoming
from server.metrics import Metrics
from server.problems import Problem
from server.storage.base import Appended, Received, Store

__all__ = ["SENT_AT", "Ingest"]

_log = logging.getLogger("slabhound.server")
T = TypeVar("T")
SENT_AT = "slabhound-sent-at"
"""The sender's clock when it sent: RFC 3339, or epoch seconds."""
_LINES = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
_INLINE = 65536
"""Bodies up to so many bytes are checked on the event loop (about 0.5 ms); bigger ones in a thread."""
_ROWS_KEPT = 500_000
"""Rows of all the layouts at hand together, some 100 MB: 2,000 kernels' layouts."""


class Ingest:
    """Takes snapshots in. Layouts that were asked for once stay at hand: a hash never changes its meaning."""

    def __init__(self, store: Store, bodies: Bodies, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._store, self._bodies, self._metrics, self._clock = store, bodies, metrics, clock
        self._layouts: dict[str, Caches] = {}
        self._quick = QuickReader(self._layouts.get, _ROWS_KEPT)
        self._told_of_bound = False
        self._sent, self._inflated = (metrics.body_bytes.labels(form) for form in ("sent", "inflated"))

    async def snapshots(self, incoming: Incoming) -> Response:
        """One snapshot, an array of them, or one a line; all or nothing."""
        kind = incoming.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        lines = kind in _LINES
        if not lines and kind not in {"", "application/json"}:
            raise Problem(
                "unsupported-media",
                f"Content-Type {kind} is not supported: send application/json or application/x-ndjson",
                headers={"Accept-Post": "application/json, application/x-ndjson"},
            )
        async with self._bodies.take(incoming) as body:
            self._count(body)
            try:
                snapshots = await self._off_loop(body.text, lambda: self._load(body.text, lines=lines))
            except UnknownLayoutError as error:
                await asyncio.to_thread(self._learn, error.layouts)
                snapshots = await self._off_loop(body.text, lambda: self._load(body.text, lines=lines))
            return _stored(await self._store_all(incoming, body.text, snapshots))

    async def slabinfo(self, incoming: Incoming, facts: Callable[[float], dict[str, Any]]) -> Response:
        """The text of /proc/slabinfo; `facts` gives the other fields of the snapshot from the time of receipt."""
        async with self._bodies.take(incoming) as body:
            self._count(body)
            caches, skipped = await self._off_loop(body.text, lambda: _read_dump(body.text))
            done = await self._store_all(incoming, body.text, [Snapshot(caches=caches, **facts(self._clock()))])
            return _created(done, **({"skipped": skipped} if skipped else {}))

    def _load(self, body: bytes, *, lines: bool) -> list[Snapshot]:
        many = not lines and re.match(rb"\s*\[", body) is not None
        texts = [line for line in body.split(b"\n") if line.strip()] if lines else [body]
        snapshots = self._quick.read(texts, arrays=many)
        if snapshots is None:
            resolve = self._layouts.get
            if lines:
                snapshots = load_lines(texts, resolve=resolve)
            else:
                snapshots = load_batch(body, resolve=resolve) if many else [load_snapshot(body, resolve=resolve)]
            self._quick.learn(snapshots)
        return snapshots

    async def _off_loop(self, body: bytes, work: Callable[[], T]) -> T:
        return work() if len(body) <= _INLINE else await asyncio.to_thread(work)

    def _learn(self, layouts: tuple[str, ...]) -> None:
        """Asks the store for layouts; it blocks."""
        for name in layouts:
            layout = self._store.layout(name)
            if layout is not None:
                if sum(map(len, self._layouts.values())) + len(layout) > _ROWS_KEPT:
                    self._layouts.clear()
                layout.layout = name
                self._layouts[name] = layout

    async def _store_all(self, incoming: Incoming, body: bytes, snapshots: list[Snapshot]) -> Appended:
        now = self._clock()
        sent_at = _sent_at(incoming)
        offset = None if sent_at is None else round(sent_at - now, 3)
        batch = [Received(snapshot, now, offset) for snapshot in snapshots]
        # Appending encodes the snapshots before it gives its future.
        future = await self._off_loop(body, lambda: self._store.append(batch))
        try:
            done = await asyncio.wrap_future(future)
        except TooManyNodesError as error:
            if not self._told_of_bound:  # once: such a node comes again every minute
                self._told_of_bound = True
                _log.error("%s; it and further new nodes are asked to come again", error)
            raise
        self._metrics.stored.inc(done.stored)
        if done.duplicates:
            self._metrics.duplicates.inc(done.duplicates)
        if sent_at is not None:
            self._metrics.skew.observe(abs(sent_at - now))
            for snapshot in snapshots:
                self._metrics.delay.observe(max(0.0, sent_at - snapshot.taken_at))
        return done

    def _count(self, body: Body) -> None:
        self._sent.inc(body.received)
        self._inflated.inc(len(body.text))


def _created(done: Appended, **more: object) -> Response:
    body = json.dumps({"stored": done.stored, "duplicates": done.duplicates, **more})
    return Response(body, 201, media_type="application/json")


_stored = lru_cache(maxsize=16)(_created)
"""Nearly always the same answer: it is made once, and sent again."""


def _sent_at(incoming: Incoming) -> float | None:
    text = incoming.headers.get(SENT_AT)
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise Problem("malformed", f"header Slabhound-Sent-At: {error}") from None


def _read_dump(body: bytes) -> tuple[Caches, list[str]]:
    """The rows of a dump, held to the wire format's bounds, and the lines that hold none."""
    # Bytes that are no UTF-8 stay visible instead of being lost.
    text = body.decode("utf-8", "backslashreplace")
    try:
        found = parse(text)
    except SlabinfoError as error:
        raise Problem("invalid-slabinfo", str(error), errors=[("", str(error))]) from None
    try:
        check_caches(found.caches)
    except SnapshotError as error:
        raise Problem("invalid-slabinfo", str(error), errors=error.errors) from None
    return found.caches, [f"line {line}: {why}" for line, why in found.skipped]
