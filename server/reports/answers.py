"""Questions to the study, each worked out once: equal questions share one judgement for as long as it holds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from server.analysis.caches import CacheSummary, list_caches
from server.analysis.compare import Comparison, compare
from server.analysis.judge import judge_alone
from server.analysis.steady import reach
from server.analysis.study import Study, study
from server.analysis.types import AnalysisSettings, Judgement
from server.reports.heap import give_back
from server.storage.base import Store

__all__ = ["SENT", "Answers"]

T = TypeVar("T")
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
class _Recent:
    """The answers that were asked for last, by question."""

    most: int
    answers: OrderedDict[Hashable, _Answer] = field(default_factory=OrderedDict)

    def keep(self, key: Hashable, answer: _Answer) -> None:
        """Puts it last, and gives up the first of too many."""
        self.answers[key] = answer
        self.answers.move_to_end(key)
        while len(self.answers) > self.most:
            self.answers.popitem(last=False)


class Answers:
    """What a store's data say, by an operator's settings. Safe to use from any thread; calls block.

    An answer is kept under its exact question (start, end, group) and given again while the store has seen no change
    in that window or the time before it that may decide (server.analysis.steady.reach). Those who ask while it is being
    worked out wait for it. Of a store that cannot tell what changed (Store.journal is None) nothing is kept.
    """

    def __init__(self, store: Store, settings: AnalysisSettings, kept: int = KEPT) -> None:
        self._store, self._settings = store, settings
        self._kept, self._sent = _Recent(kept), _Recent(SENT)
        self._lock = threading.Lock()

    def judgement(self, start: float, end: float, group: str | None) -> Judgement:
        """From `start` to `end`, epoch seconds; all groups when `group` is None. Raises StoreError."""
        return self._study(start, end, group).judgement

    def caches(self, start: float, end: float, group: str | None) -> list[CacheSummary]:
        """Every cache listed in that window, by name; not to be changed."""

        def work() -> list[CacheSummary]:
            judgement = self._study(start, end, group).judgement
            return list_caches(self._store, start=start, end=end, group=group, judgement=judgement)

        return self._shared("caches", start, end, group, work)

    def compare(
        self, cache: str, start: float, end: float, group: str | None, points: int, most: int | None = None
    ) -> Comparison:
        """One cache on every node, `most` of them with series; long, so only the judgement behind it is kept."""
        studied = self._study(start, end, group)
        return compare(self._store, cache, start=start, end=end, group=group, points=points, most=most, studied=studied)

    def sent(self, what: Hashable, start: float, end: float, group: str | None, work: Callable[[], bytes]) -> bytes:
        """A long answer, of which only what `work` makes for the wire is kept; `what` names it and how it is cut."""
        return self._shared(what, start, end, group, work, self._sent)

    def _study(self, start: float, end: float, group: str | None) -> Study:
        def work() -> Study:
            try:
                return study(
                    self._store, start=start, end=end, group=group, settings=self._settings, alone=self._judged_alone
                )
            finally:
                give_back()

        return self._shared("study", start, end, group, work)

    def _judged_alone(self, start: float, end: float, group: str) -> Judgement:
        """Of a window that ends at an instant of the grid: the same for all reports until the next."""

        def work() -> Judgement:
            return judge_alone(self._store, start=start, end=end, group=group, settings=self._settings)

        return self._shared("alone", start, end, group, work)

    def _shared(
        self,
        what: Hashable,
        start: float,
        end: float,
        group: str | None,
        work: Callable[[], T],
        recent: _Recent | None = None,
    ) -> T:
        journal = self._store.journal()
        if journal is None:
            return work()
        key, recent = (what, start, end, group), self._kept if recent is None else recent
        with self._lock:
            known = recent.answers.get(key)
            mine = known is None or journal.changed(known.mark, reach(start, end), end)
            if known is None or mine:
                known = _Answer(journal.mark)
            recent.keep(key, known)
        if mine:
            self._work(recent, key, known, work)
        answer: T = known.future.result()
        return answer

    def _work(self, recent: _Recent, key: Hashable, known: _Answer, work: Callable[[], Any]) -> None:
        try:
            known.future.set_result(work())
        except BaseException as error:
            known.future.set_exception(error)
            with self._lock:
                if recent.answers.get(key) is known:  # a failure is nothing to keep
                    del recent.answers[key]
            raise
