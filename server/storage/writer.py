"""The one thread that writes: what arrives while a commit runs shares the next one (group commit)."""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from common.errors import SlabhoundError, StoreDamagedError, StoreError, StoreFullError
from server.storage.catalog import Catalog, Changes
from server.storage.connections import connect, translate

__all__ = ["Work", "Writer"]

_log = logging.getLogger("slabhound.storage")
T = TypeVar("T")
Work = Callable[[sqlite3.Connection, Changes], T]
"""Runs inside a transaction. It raises a SlabhoundError only before it has changed anything; any other error undoes
the transaction."""

_HEAVY = 1000
"""Snapshots after which a transaction takes no further job: some 50 ms."""
_LOG_BYTES = 16 << 20
_LOOK_EVERY = 100
"""Snapshots between two looks at the log's size: at most 20 KB each."""
_NEARLY_ALL = 256
"""Pages of the log that the writer may have to copy itself, at about 10 microseconds each."""


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    future: Future[Any]
    weight: int


class Writer:
    """Runs jobs in transactions on its own connection and thread; a job's future is done once it is on disk."""

    def __init__(self, path: Path, db: sqlite3.Connection, catalog: Catalog) -> None:
        self._path, self._db, self._catalog = path, db, catalog
        self._wal = path.with_name(path.name + "-wal")
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._submitting = threading.Lock()
        self._restart_log, self._log_grew = threading.Event(), threading.Event()
        self._unlooked = 0
        self.log_bytes = _LOG_BYTES
        """From which size on the log is copied into the file and started anew; from twice that on it is cut off."""
        self._log_kept = 0
        """Bytes of the log that lie there already and are written over, which costs less than growing."""
        self.problem: str | None = None
        """Why the last transaction failed; None when it did not."""
        self._astray: StoreFullError | None = None
        """Raised of all work once what is in memory does not follow the file: it would be written by what is not so."""
        self.counters: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._run, name="store-writer", daemon=True),
            threading.Thread(target=self._checkpoint, name="store-checkpoint", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work[T], weight: int = 1) -> Future[T]:
        """`weight`: how many snapshots' worth of writing it is."""
        future: Future[T] = Future()
        with self._submitting:
            if self._closed.is_set():
                future.set_exception(StoreError(f"store {self._path} is closed"))
            else:
                self._queue.put(_Job(work, future, weight))
        return future

    def close(self) -> None:
        """Returns when all that was submitted is done."""
        with self._submitting:
            already = self._closed.is_set()
            self._closed.set()
            if not already:
                self._queue.put(None)
        self._threads[0].join()
        self._log_grew.set()
        self._threads[1].join()
        self._db.close()

    def _run(self) -> None:
        more = True
        while more:
            jobs, weight = [], 0
            job = self._queue.get()
            while job is not None:
                jobs.append(job)
                weight += job.weight
                if weight >= _HEAVY:
                    break
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
            more = job is not None
            jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            if jobs:
                self._transact(jobs)
            self._watch_log(weight)

    def _transact(self, jobs: list[_Job]) -> None:
        if self._astray is not None:
            for job in jobs:
                job.future.set_exception(self._astray)
            return
        changes, done = Changes(self._catalog), []
        began = time.perf_counter()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for job in jobs:
                try:
                    done.append((job, job.work(self._db, changes)))
                except SlabhoundError as error:
                    job.future.set_exception(error)
            changes.flush(self._db)
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._undo(error, [job for job in jobs if not job.future.done()])
            return
        try:
            changes.publish()
        except Exception:  # noqa: BLE001 - whatever it is, who waits must hear of it, and who comes
            says = f"store {self._path}: a mistake of the server's own, see its log: start it anew; the file is whole"
            _log.exception("%s", says)
            self.problem, self._astray = says, StoreFullError(says)
            for job, _ in done:  # it is on disk, and a duplicate when it comes again
                job.future.set_exception(self._astray)
            return
        if self.problem is not None:
            _log.warning("store %s takes snapshots again", self._path)
            self.problem = None
        self.counters["commits"] += 1
        self.counters["commit_seconds"] += time.perf_counter() - began  # type: ignore[assignment] # seconds, not a count
        for job, result in done:
            job.future.set_result(result)

    def _undo(self, error: Exception, jobs: list[_Job]) -> None:
        plain = self._plain(error)
        self.counters["failed_commits"] += 1
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(plain, StoreFullError):
                self._reopen()
        except (sqlite3.Error, StoreError) as again:
            plain = self._plain(again)
        if isinstance(plain, StoreError) and not isinstance(plain, StoreDamagedError):  # other work may need none of it
            if self.problem is None:  # said once; /readyz and /metrics go on saying it
                _log.error("%s", plain, exc_info=None if isinstance(plain, StoreFullError) else plain)
            self.problem = str(plain)
        if len(jobs) > 1 and not isinstance(plain, StoreFullError):
            for job in jobs:  # one of them is at fault: the others shall not pay for it
                self._transact([job])
            return
        for job in jobs:
            job.future.set_exception(plain)

    def _plain(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        plain = translate(error, self._path)
        plain.__cause__ = error  # for who logs it: it is handed over, not raised here
        return plain

    def _reopen(self) -> None:
        """After an I/O error a connection may hold on to its bad luck; a new one starts from the file."""
        fresh = connect(self._path)
        self._db.close()
        self._db = fresh

    def _watch_log(self, weight: int) -> None:
        if self._restart_log.is_set():
            self._restart_log.clear()
            try:
                self._start_log_anew()
            except (sqlite3.Error, OSError):
                self.counters["failed_checkpoints"] += 1
            return
        self._unlooked += weight
        if self._unlooked >= _LOOK_EVERY:
            self._unlooked = 0
            with contextlib.suppress(OSError):
                if self._wal.stat().st_size > max(self.log_bytes, self._log_kept):
                    self._log_grew.set()

    def _start_log_anew(self) -> None:
        size = self._wal.stat().st_size
        keep = size <= 2 * self.log_bytes
        self._db.execute("PRAGMA busy_timeout = 0")  # a reader in the old part: some other time
        try:
            busy, *_ = self._db.execute(f"PRAGMA wal_checkpoint({'RESTART' if keep else 'TRUNCATE'})").fetchone()
        finally:
            self._db.execute("PRAGMA busy_timeout = 5000")
        if not busy:
            self._log_kept = size if keep else 0

    def _checkpoint(self) -> None:
        """Copies the log into the file beside the writer; only then may the writer, with little left, start it anew."""
        db = connect(self._path)
        while True:
            self._log_grew.wait()
            if self._closed.is_set():
                break
            self._log_grew.clear()
            try:
                _, log, copied = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error:
                self.counters["failed_checkpoints"] += 1
                time.sleep(0.1)
                continue
            self.counters["checkpoints"] += 1
            if log - copied <= _NEARLY_ALL:
                self._restart_log.set()
            else:
                time.sleep(0.1)  # a reader holds it back
        db.close()
