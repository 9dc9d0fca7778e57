"""Questions to the study, each worked out once: equal questions share one judgement for as long as it is good."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from server.analysis.caches import CacheSummary, list_caches
from server.analysis.compare import Comparison, compare
from server.analysis.judge import judge_alone
from server.analysis.steady import reach
from server.analysis.study import Study, study
from server.analysis.types import AnalysisSettings, Judgement
from server.reports.heap import give_back
from server.storage.base import Store

__all__ = ["GOOD_FOR", "SENT", "Answers"]

T = TypeVar("T")
GOOD_FOR = 288
"""Parts of a window: so long after its end a judgement is good for questions about now; five minutes for a day."""
KEPT = 32
"""Answers kept; each takes some KB for every node with a note or a finding."""
SENT = 8
"""Answers kept as they are sent, of some MB each at most."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer, or the promise of one, and when the reading for it began."""

    mark: int
    future: Future[Any] = field(default_factory=Future)


@dataclass(slots=True)
class _Current:
    """The window that answers questions about now."""

    start: float
    end: float
    mark: int
    """Of the journal, before it was judged."""
    good_for: float
    """Seconds."""

    @property
    def reach(self) -> float:
        """From when on data may decide."""
        return reach(self.start, self.end)


@dataclass(slots=True)
class _Recent(Generic[T]):
    """What was asked for last, by question."""

    most: int
    found: OrderedDict[Hashable, T] = field(default_factory=OrderedDict)

    def keep(self, key: Hashable, one: T) -> None:
        """Puts it last, and gives up the first of too many."""
        self.found[key] = one
        self.found.move_to_end(key)
        while len(self.found) > self.most:
            self.found.popitem(last=False)


class Answers:
    """What a store's data say, by an operator's settings. Safe to use from any thread; calls block.

    An answer is kept under its exact question (start, end, group) and given again while the store has seen no change
    in that window or the time before it that may decide (server.analysis.steady.reach); with `slack`, what was taken in
    so many seconds before `end` and came since may be lacking. Those who ask while it is being worked out wait for it.
    Of a store that cannot tell what changed (Store.journal is None) nothing is kept.
    """

    def __init__(self, store: Store, settings: AnalysisSettings, kept: int = KEPT) -> None:
        self._store, self._settings = store, settings
        self._kept: _Recent[_Answer] = _Recent(kept)
        self._sent: _Recent[_Answer] = _Recent(SENT)
        self._current: _Recent[_Current] = _Recent(kept)
        self._lock = threading.Lock()

    def window(self, length: float, now: float, group: str | None) -> tuple[float, float, float]:
        """Start, end and slack to ask with for the `length` seconds before `now`, and judges that window.

        It is the one judged last for such a question, for a GOOD_FORth of the time over which its data were judged,
        unless a node has joined since or something late has come: taken longer before its end than that. What was
        under way when it was judged is no later than what has come since its end. Else it ends now.
        """
        journal = self._store.journal()
        if journal is None:
            return max(0.0, now - length), now, 0.0
        key = (length, group)
        with self._lock:
            current = self._current.found.get(key)
            if (
                current is None
                or not 0 <= now - current.end <= current.good_for
                or journal.joined(current.mark, group)
                or journal.changed(current.mark, current.reach, current.end - current.good_for)
            ):
                current = _Current(max(0.0, now - length), now, journal.mark, length / GOOD_FOR)
            self._current.keep(key, current)
        judgement = self._study(current.start, current.end, group, current.good_for).judgement
        current.good_for = (current.end - max(judgement.begins.values(), default=current.start)) / GOOD_FOR
        return current.start, current.end, current.good_for

    def judgement(self, start: float, end: float, group: str | None, slack: float = 0.0) -> Judgement:
        """From `start` to `end`, epoch seconds; all groups when `group` is None. Raises StoreError."""
        return self._study(start, end, group, slack).judgement

    def caches(self, start: float, end: float, group: str | None, slack: float = 0.0) -> list[CacheSummary]:
        """Every cache listed in that window, by name; not to be changed."""

        def work() -> list[CacheSummary]:
            judgement = self._study(start, end, group, slack).judgement
            return list_caches(self._store, start=start, end=end, group=group, judgement=judgement)

        return self._shared("caches", start, end, group, slack, work)

    def compare(
        self,
        cache: str,
        start: float,
        end: float,
        group: str | None,
        points: int,
        most: int | None = None,
        slack: float = 0.0,
    ) -> Comparison:
        """One cache on every node, `most` of them with series; long, so only the judgement behind it is kept."""
        studied = self._study(start, end, group, slack)
        return compare(self._store, cache, start=start, end=end, group=group, points=points, most=most, studied=studied)

    def sent(
        self,
        what: Hashable,
        start: float,
        end: float,
        group: str | None,
        work: Callable[[], bytes],
        slack: float = 0.0,
    ) -> bytes:
        """A long answer, of which only what `work` makes for the wire is kept; `what` names it and how it is cut."""
        return self._shared(what, start, end, group, slack, work, self._sent)

    def _study(self, start: float, end: float, group: str | None, slack: float) -> Study:
        def work() -> Study:
            try:
                return study(
                    self._store, start=start, end=end, group=group, settings=self._settings, alone=self._judged_alone
                )
            finally:
                give_back()

        return self._shared("study", start, end, group, slack, work)

    def _judged_alone(self, start: float, end: float, group: str) -> Judgement:
        """Of a window that ends at an instant of the grid: the same for all reports until the next."""

        def work() -> Judgement:
            return judge_alone(self._store, start=start, end=end, group=group, settings=self._settings, noted=False)

        return self._shared("alone", start, end, group, 0.0, work)

    def _shared(
        self,
        what: Hashable,
        start: float,
        end: float,
        group: str | None,
        slack: float,
        work: Callable[[], T],
        recent: _Recent[_Answer] | None = None,
    ) -> T:
        journal = self._store.journal()
        if journal is None:
            return work()
        key, recent = (what, start, end, group), self._kept if recent is None else recent
        with self._lock:
            known = recent.found.get(key)
            mine = known is None or journal.changed(known.mark, reach(start, end), end - slack)
            if known is None or mine:
                known = _Answer(journal.mark)
            recent.keep(key, known)
        if mine:
            self._work(recent, key, known, work)
        answer: T = known.future.result()
        return answer

    def _work(self, recent: _Recent[_Answer], key: Hashable, known: _Answer, work: Callable[[], Any]) -> None:
        try:
            known.future.set_result(work())
        except BaseException as error:
            known.future.set_exception(error)
            with self._lock:
                if recent.found.get(key) is known:  # a failure is nothing to keep
                    del recent.found[key]
            raise
