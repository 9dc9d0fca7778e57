"""Answers that are kept are those that would be worked out anew; equal questions at one moment are worked out once."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import StoreError
from common.times import format_time
from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings
from server.buckets import NodeSeries
from server.dumps_source import MemorySource
from server.reports.answers import SENT, Answers
from server.simulator.families import FAMILIES, Terms
from server.simulator.fleet import Fleet
from server.storage import Retention, open_store
from server.storage.base import Received, Store
from server.storage.journal import Journal
from tests.factories import fleet_snapshots
from tests.server.harness import aggregator, wire
from tests.server.storage.histories import START, history, received, snapshot

SETTINGS = AnalysisSettings()
HOUR = 3600.0


class Watched:
    """A store that counts how often a window is read, and can be held up or fail there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reads = 0
        self.reading, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        self.reads += 1
        self.reading.set()
        assert self.go_on.wait(20)
        if self.error:
            raise self.error
        return self.store.window(start, end, width, group=group, caches=caches)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: 0.0)
    store.append([received(snapshot(f"n{n}", START + 60 * i)) for n in range(3) for i in range(30)]).result()
    yield Watched(store)
    store.close()


def answers(watched: Watched) -> Answers:
    return Answers(watched, SETTINGS)


def append(watched: Watched, node: str, at: float, **facts: Any) -> None:
    watched.store.append([received(snapshot(node, at, **facts))]).result()


def test_the_same_question_is_worked_out_once(watched: Watched) -> None:
    asked = answers(watched)
    first = asked.judgement(START, START + HOUR, None)
    before = watched.reads
    assert before > 0
    assert asked.judgement(START, START + HOUR, None) is first
    asked.caches(START, START + HOUR, None)
    assert watched.reads == before + 1  # the list reads for itself, and judges nothing
    asked.caches(START, START + HOUR, None)
    asked.compare("dentry", START, START + HOUR, None, 300)
    assert watched.reads == before + 2


@pytest.mark.parametrize(
    "other", [(START, START + HOUR, "web"), (START, START + HOUR - 1, None), (START + 1, START + HOUR, None)]
)
def test_another_question_is_another(watched: Watched, other: tuple[float, float, str | None]) -> None:
    asked = answers(watched)
    first = asked.judgement(START, START + HOUR, None)
    assert asked.judgement(*other) is not first


def test_a_long_answer_is_kept_as_it_was_sent(watched: Watched) -> None:
    asked = answers(watched)
    made: list[int] = []

    def sent(what: int, end: float = START + HOUR) -> bytes:
        def work() -> bytes:
            made.append(what)
            return b"%d" % what

        return asked.sent(what, START, end, None, work)

    assert [sent(1), sent(2), sent(1), made] == [b"1", b"2", b"1", [1, 2]]
    sent(1, START + HOUR + 1)
    assert made == [1, 2, 1]
    append(watched, "n1", START + 7)
    assert [sent(1), made] == [b"1", [1, 2, 1, 1]]
    for what in range(SENT):
        sent(what + 10)
    made.clear()
    assert [sent(10), sent(1), made] == [b"10", b"1", [1]]


def test_a_comparison_that_was_sent_reads_nothing_again(watched: Watched) -> None:
    async def main() -> None:
        async with aggregator(store=watched) as a:
            a.now = START + HOUR
            asked = {"cache": "dentry", "at": START + HOUR}
            first = await a.get("/compare", **asked)
            before = watched.reads
            assert (await a.get("/compare", **asked)).content == first.content
            assert watched.reads == before > 0
            assert (await a.get("/compare", **asked, group="none")).status_code == 404
            assert (await a.get("/compare", **asked, group="none")).status_code == 404
            reads = watched.reads
            assert (await a.get("/compare", **asked, limit=1)).json()["truncated"] == 2
            assert reads < watched.reads
            await a.post(wire("n7", START + 8))
            assert len((await a.get("/compare", **asked)).json()["nodes"]) == 4

    asyncio.run(main())


def test_what_comes_after_the_window_changes_nothing_and_what_comes_late_does(watched: Watched) -> None:
    asked = answers(watched)
    start, end = START, START + 1200.5
    first = asked.judgement(start, end, None)
    append(watched, "n1", start + 1800)
    append(watched, "n4", start + 1200.501)
    assert asked.judgement(start, end, None) is first
    append(watched, "n1", start + 1200.5)
    second = asked.judgement(start, end, None)
    assert second is not first
    append(watched, "n5", start + 7)
    third = asked.judgement(start, end, None)
    assert [g.nodes for g in third.groups] == [4]


def test_what_comes_late_shortly_before_the_window_may_decide_too(watched: Watched) -> None:
    asked = answers(watched)
    start, end = START + 1200, START + 1800
    first = asked.judgement(start, end, None)
    append(watched, "n1", start - 25 * HOUR)
    assert asked.judgement(start, end, None) is first
    append(watched, "n1", start - 24 * HOUR + 0.5)
    assert asked.judgement(start, end, None) is not first


class Leaking:
    """A store whose one leak hovers at the limit: by itself a finding until hour 30 and from 33 on, not between."""

    def __init__(self) -> None:
        spec = FAMILIES["busy-cache"].build(Terms(702029, 60, 600, 4, 0.2)).spec
        self.fleet, self.known = Fleet(spec, cached=len(spec.nodes)), Journal()
        self.ends: list[float] = []

    def journal(self) -> Journal:
        return self.known

    def window(self, start: float, end: float, width: int, **which: Any) -> Iterable[NodeSeries]:
        self.ends.append((end - self.fleet.spec.start) / HOUR)
        return self.fleet.window(start, end, width, **which)


def test_windows_at_earlier_instants_are_judged_once_for_all_reports() -> None:
    store = Leaking()
    asked = Answers(store, SETTINGS)  # type: ignore[arg-type] # all that it needs of one
    end = store.fleet.spec.start + 31 * HOUR
    (kept,) = asked.judgement(end - 24 * HOUR, end, None).findings
    assert kept.evidence["held_from"] == format_time(end - HOUR)
    assert set(store.ends) == {31.0, 30.0, 29.0}  # at two in a row it was one by itself, so that no other is asked
    store.ends.clear()
    (kept,) = asked.judgement(end - 24 * HOUR + 36, end + 36, None).findings
    assert kept.evidence["held_from"] == format_time(end - HOUR)
    assert set(store.ends) == {31.01}
    store.ends.clear()
    asked.judgement(end - 23.4 * HOUR, end + 0.6 * HOUR, None)
    assert set(store.ends) == {31.6, 31.0}
    store.ends.clear()
    asked.judgement(end - 23.3 * HOUR, end + 0.7 * HOUR, None)
    assert set(store.ends) == {31.7}


def test_a_server_and_analyze_hold_the_same_findings(tmp_path: Path) -> None:
    fleet, dumps = Leaking().fleet, MemorySource()
    snapshots = list(fleet_snapshots(fleet))
    for one in snapshots:
        dumps.add(one)
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: 0.0)
    store.append([received(one) for one in snapshots]).result()
    asked = Answers(store, SETTINGS)
    held = []
    for hour in (31.1, 31, 33, 30, 31):
        end = fleet.spec.start + hour * HOUR
        given = asked.judgement(end - 24 * HOUR, end, None)
        assert given == judge(dumps, start=end - 24 * HOUR, end=end, group=None, settings=SETTINGS)
        held += ["held_from" in one.evidence for one in given.findings]
    assert held == [True, True, False, False, True]
    store.close()


def test_a_duplicate_changes_nothing(watched: Watched) -> None:
    asked = answers(watched)
    first = asked.judgement(START, START + HOUR, None)
    append(watched, "n1", START + 60)
    assert asked.judgement(START, START + HOUR, None) is first


def test_a_node_that_moves_to_another_group_takes_its_past_with_it(watched: Watched) -> None:
    asked = answers(watched)
    assert [g.group for g in asked.judgement(START, START + HOUR, None).groups] == ["default"]
    append(watched, "n1", START + 2 * HOUR, group="web")
    assert [g.group for g in asked.judgement(START, START + HOUR, None).groups] == ["default", "web"]


def test_sealing_changes_nothing_and_forgetting_does(watched: Watched) -> None:
    asked = answers(watched)
    first = asked.judgement(START, START + HOUR, None)
    watched.store.maintain(START + 3 * HOUR)
    assert asked.judgement(START, START + HOUR, None) is first
    watched.store.maintain(START + 500 * 86400)
    assert asked.judgement(START, START + HOUR, None).groups == ()


def test_those_who_ask_meanwhile_wait_for_the_same_answer(watched: Watched) -> None:
    asked = answers(watched)
    watched.go_on.clear()
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(asked.judgement, START, START + HOUR, None)
        assert watched.reading.wait(20)
        others = [threads.submit(asked.judgement, START, START + HOUR, None) for _ in range(3)]
        watched.go_on.set()
        assert all(other.result(20) is first.result(20) for other in others)


def test_nobody_is_given_an_answer_that_was_begun_before_the_last_change(watched: Watched) -> None:
    asked = answers(watched)
    watched.go_on.clear()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(asked.judgement, START, START + HOUR, None)
        assert watched.reading.wait(20)
        append(watched, "n9", START + 5)
        second = threads.submit(asked.judgement, START, START + HOUR, None)
        watched.go_on.set()
        assert second.result(20) is not first.result(20)
        assert [g.nodes for g in second.result().groups] == [4]
    assert asked.judgement(START, START + HOUR, None) is second.result()


def test_a_failure_is_not_kept(watched: Watched) -> None:
    asked = answers(watched)
    watched.error = StoreError("the disk reports an error")
    with pytest.raises(StoreError):
        asked.judgement(START, START + HOUR, None)
    watched.error = None
    assert asked.judgement(START, START + HOUR, None).groups


def test_a_store_that_cannot_tell_what_changed_is_asked_each_time(watched: Watched) -> None:
    watched.journal = lambda: None  # type: ignore[attr-defined] # as ClickHouse's
    asked = answers(watched)
    first = asked.judgement(START, START + HOUR, None)
    append(watched, "n9", START + 5)
    assert [g.nodes for g in first.groups] == [3]
    assert [g.nodes for g in asked.judgement(START, START + HOUR, None).groups] == [4]


def test_only_so_many_answers_are_kept(watched: Watched) -> None:
    asked = Answers(watched, SETTINGS, kept=2)
    first = asked.judgement(START, START + HOUR, None)
    asked.judgement(START, START + 100, None)
    assert asked.judgement(START, START + HOUR, None) is first
    asked.judgement(START, START + 200, None)
    asked.judgement(START, START + 300, None)
    assert asked.judgement(START, START + HOUR, None) is not first


def late(item: Received, rng: random.Random) -> Received:
    return replace(item, received_at=round(item.received_at + rng.choice([0, 60, 7200, 86400]), 3))


@pytest.mark.parametrize("seed", range(6))
def test_kept_answers_equal_those_worked_out_anew(tmp_path: Path, seed: int) -> None:
    """Whatever comes, in whatever order, and is sealed or forgotten in between; also after opening again."""
    rng = random.Random(seed)
    keep = Retention(86400.0, 2 * 86400.0, 4 * 86400.0)

    def opened() -> Store:
        return open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: 0.0, retention=keep)

    store = opened()
    kept = Answers(store, SETTINGS)
    coming = [late(item, rng) for item in history(seed, steps=150)]
    held = [coming.pop(rng.randrange(len(coming))) for _ in range(80)]
    ends = [START + rng.randrange(200) * 600.0 for _ in range(4)]
    questions = [(max(0.0, end - rng.choice([3600, 86400])), end, rng.choice([None, "web"])) for end in ends]
    now = START
    for _ in range(60):
        batch = [coming.pop(0) for _ in range(min(len(coming), rng.choice([1, 5, 20])))]
        if held and rng.random() < 0.4:
            batch += [held.pop() for _ in range(min(3, len(held)))]
        store.append(batch).result()
        now = max([now, *(r.snapshot.taken_at for r in batch)])
        if rng.random() < 0.2:
            store.maintain(now + rng.choice([0, 2 * HOUR, 86400.0 if rng.random() < 0.3 else 0]))
        if rng.random() < 0.05:
            store.close()
            store = opened()
            kept = Answers(store, SETTINGS)
        question = rng.choice(questions)
        fresh = Answers(store, SETTINGS)
        assert kept.judgement(*question) == fresh.judgement(*question)
        if rng.random() < 0.2:
            assert kept.caches(*question) == fresh.caches(*question)
            compared = fresh.compare("dentry", *question, 100)
            assert kept.compare("dentry", *question, 100) == compared
            assert kept.sent("x", *question, repr(compared).encode) == repr(compared).encode()
    store.close()


def test_a_page_that_asks_with_the_reports_own_instant_shares_its_judgement(watched: Watched) -> None:
    async def main() -> None:
        async with aggregator(store=watched) as a:
            a.now = START + HOUR + 0.123456
            report = (await a.get("/outliers")).json()
            before = watched.reads
            await a.post(wire("n7", a.now + 0.5))
            compared = await a.get("/compare", cache="dentry", at=report["window"]["to"])
            assert compared.json()["window"] == report["window"]
            assert watched.reads == before + 1
            await a.get("/outliers", at=report["window"]["to"])
            assert watched.reads == before + 1

    asyncio.run(main())


def test_the_journal_is_the_stores(watched: Watched) -> None:
    assert isinstance(watched.store.journal(), Journal)
