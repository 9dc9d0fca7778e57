"""Group commit: what arrives within a moment shares one insert; a future is done once ClickHouse confirmed it."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from common.errors import SlabhoundError, StoreError
from server.storage.base import Appended
from server.storage.clickhouse.append import Portion
from server.storage.clickhouse.client import Client, LostAnswerError
from server.storage.record import Record

__all__ = ["Writer"]

_LARGE = 5000
"""Snapshots after which an insert takes no further batch: some 40 MB."""
_TRIES, _PAUSE = 3, 0.5


@dataclass(slots=True)
class _Job:
    records: list[Record]
    future: Future[Appended]


class Writer:
    """One thread; `begin` makes a Portion for some records."""

    def __init__(self, client: Client, begin: Callable[[list[Record]], Portion], *, linger: float) -> None:
        """`linger`: seconds that the first batch of an insert waits for company. Every insert makes parts to merge."""
        self._client, self._begin, self._linger = client, begin, linger
        # Not SimpleQueue: in CPython 3.11 its get() with a short timeout may wait for ever (once in some 30,000 times).
        self._queue: queue.Queue[_Job | None] = queue.Queue()
        self._submitting, self._closed = threading.Lock(), False
        self.problem: str | None = None
        """Why the last insert failed; None when it did not."""
        self.counters: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run, name="clickhouse-writer", daemon=True)
        self._thread.start()

    def submit(self, records: list[Record]) -> Future[Appended]:
        future: Future[Appended] = Future()
        with self._submitting:
            if self._closed:
                future.set_exception(StoreError(f"store {self._client.target} is closed"))
            else:
                self._queue.put(_Job(records, future))
        return future

    def close(self) -> None:
        """Returns when all that was submitted is done."""
        with self._submitting:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            jobs, weight, until = [], 0, 0.0
            job = self._queue.get()
            while job is not None:
                until = until or time.monotonic() + self._linger
                jobs.append(job)
                weight += len(job.records)
                if weight >= _LARGE:
                    break
                try:
                    job = self._queue.get(timeout=max(until - time.monotonic(), 0.0))
                except queue.Empty:
                    break
            more = job is not None
            if jobs := [job for job in jobs if job.future.set_running_or_notify_cancel()]:
                self._store(jobs)

    def _store(self, jobs: list[_Job]) -> None:
        began, done = time.perf_counter(), []
        try:
            portion = self._begin([record for job in jobs for record in job.records])
            for job in jobs:
                try:
                    done.append((job, portion.add(job.records)))
                except SlabhoundError as error:
                    job.future.set_exception(error)
            self._insert(portion)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self.counters["failed_inserts"] += 1
            waiting = [job for job in jobs if not job.future.done()]
            if len(waiting) > 1 and not isinstance(error, LostAnswerError):
                for job in waiting:  # the trouble may be one node's shard: the others shall not pay for it
                    self._store([job])
                return
            if isinstance(error, StoreError):
                self.problem = str(error)
            for job in waiting:
                job.future.set_exception(error)
            return
        self.problem = None
        self.counters["inserts"] += 1
        self.counters["insert_seconds"] += time.perf_counter() - began  # type: ignore[assignment] # seconds, not a count
        for job, result in done:
            job.future.set_result(result)

    def _insert(self, portion: Portion) -> None:
        """Once, however often it is tried: the token tells the server."""
        token = uuid.uuid4().hex
        for left in reversed(range(_TRIES)):
            try:
                portion.insert(self._client, token)
            except LostAnswerError:
                if not left:
                    raise
                self.counters["repeated_inserts"] += 1
                time.sleep(_PAUSE)
            else:
                return
