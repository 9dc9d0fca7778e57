"""Questions about now: a judgement is good for a 288th of its window, until a node joins or something comes late."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import pytest

from common.snapshot import to_wire
from common.times import format_time
from server.buckets import NodeSeries
from server.storage import open_store
from tests.server.harness import Aggregator, aggregator, wire
from tests.server.storage.histories import START, received, snapshot

HOUR = 3600.0
NOW = START + HOUR
PART = HOUR / 288
"""Seconds."""


class Counting:
    """A store that counts how often a window is read, and can hold readers up."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.reads = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def window(
        self, start: float, end: float, width: int, *, group: str | None = None, caches: Collection[str] | None = None
    ) -> Iterable[NodeSeries]:
        self.reads += 1
        assert self.go_on.wait(20)
        series: Iterable[NodeSeries] = self._store.window(start, end, width, group=group, caches=caches)
        return series


def run(tmp_path: Path, test: Callable[[Aggregator], Awaitable[None]], *, first: float = START) -> None:
    """An aggregator that has heard from three nodes each minute since `first`; its clock stands at NOW."""

    async def main() -> None:
        store = open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: NOW)
        minutes = range(int((NOW - first) / 60))
        store.append([received(snapshot(f"n{n}", first + 60 * i)) for n in range(3) for i in minutes]).result()
        async with aggregator(store=Counting(store)) as a:
            a.now = NOW
            await test(a)

    asyncio.run(main())


async def push(a: Aggregator, node: str, taken_at: float, **fields: Any) -> None:
    answer = await a.post(to_wire(snapshot(node, taken_at)) | fields)
    assert answer.json()["stored"] == 1, answer.text


async def report(a: Aggregator, **asked: Any) -> dict[str, Any]:
    """Without the time at which it was made."""
    answer = await a.get("/outliers", **{"window": "1h", **asked})
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if name != "generated_at"}


def test_the_same_answer_within_the_part_and_a_fresh_one_after_it(tmp_path: Path) -> None:
    async def test(a: Aggregator) -> None:
        store: Any = a.store
        first = await report(a)
        assert first["window"] == {"from": format_time(START), "to": format_time(NOW)}
        reads = store.reads
        a.now = NOW + PART
        await push(a, "n1", NOW + 1)
        assert await report(a) == first
        assert store.reads == reads
        a.now = NOW + PART + 0.001
        assert (await report(a))["window"]["to"] == format_time(a.now)
        a.now = NOW + PART  # a clock that was set back
        assert (await report(a))["window"]["to"] == format_time(a.now)

    run(tmp_path, test)


def test_the_three_questions_share_it(tmp_path: Path) -> None:
    async def test(a: Aggregator) -> None:
        store: Any = a.store
        window = (await report(a))["window"]
        a.now = NOW + 10
        await push(a, "n1", NOW - 1)
        await push(a, "n1", NOW + 1)
        reads = store.reads
        for path, asked in (("/caches", {}), ("/compare", {"cache": "dentry"})):
            for _ in range(2):
                assert (await a.get(path, window="1h", **asked)).json()["window"] == window
        assert store.reads == reads + 2  # each for itself, once, to judge nothing

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("node", "taken_at", "fresh"),
    [
        ("n1", NOW + 5, False),
        ("n1", NOW - PART + 0.001, False),
        ("n1", NOW - PART, True),
        ("n1", NOW - 1234, True),
        ("n1", START - 100, True),  # an earlier instant may decide
        ("n7", NOW + 5, True),
        ("n7", NOW - 1, True),
        ("n7", START - 2 * HOUR, True),
    ],
)
def test_what_is_late_and_who_is_new_is_seen_at_once(
    tmp_path: Path, node: str, taken_at: float, *, fresh: bool
) -> None:
    async def test(a: Aggregator) -> None:
        await report(a)
        a.now = NOW + 9
        await push(a, node, taken_at)
        assert (await report(a))["window"]["to"] == format_time(a.now if fresh else NOW)

    run(tmp_path, test)


def test_a_node_that_joins_concerns_its_own_group_and_all_together(tmp_path: Path) -> None:
    async def test(a: Aggregator) -> None:
        for group in ({}, {"group": "default"}, {"group": "web"}):
            await report(a, **group)
        a.now = NOW + 9
        await push(a, "w1", NOW + 5, group="web")
        ends = [(await report(a, **group))["window"]["to"] for group in ({}, {"group": "default"}, {"group": "web"})]
        assert ends == [format_time(at) for at in (a.now, NOW, a.now)]

    run(tmp_path, test)


def test_with_an_end_nothing_is_lacking(tmp_path: Path) -> None:
    async def test(a: Aggregator) -> None:
        first = await report(a)
        a.now = NOW + 9
        assert await report(a, at=first["window"]["to"]) == first
        assert (await report(a, at=NOW + 8))["window"]["to"] == format_time(NOW + 8)
        await push(a, "n1", NOW - 1, caches=wire()["caches"] | {"name": ["dentry", "late"]})
        listed = [c["cache"] for c in (await a.get("/caches", window="1h", at=NOW)).json()["items"]]
        assert "late" in listed
        listed = [c["cache"] for c in (await a.get("/caches", window="1h")).json()["items"]]
        assert "late" in listed  # once it was judged anew

    run(tmp_path, test)


def test_another_length_or_group_is_another_question(tmp_path: Path) -> None:
    async def test(a: Aggregator) -> None:
        await report(a)
        a.now = NOW + 9
        assert (await report(a, window="61m"))["window"]["to"] == format_time(a.now)
        assert (await report(a, group="default"))["window"]["to"] == format_time(a.now)
        assert (await report(a))["window"]["to"] == format_time(NOW)

    run(tmp_path, test)


def test_of_a_young_fleet_the_part_that_has_data_counts(tmp_path: Path) -> None:
    async def test(a: Aggregator) -> None:
        await report(a, window="24h")
        for later, to in ((PART, 0.0), (PART + 1, PART + 1), (PART + 2, PART + 1)):
            a.now = NOW + later
            assert (await report(a, window="24h"))["window"]["to"] == format_time(NOW + to)

    run(tmp_path, test, first=NOW - 600)  # and the day is looked at by the hour


def test_dashboards_that_ask_at_once_share_one_judgement(tmp_path: Path) -> None:
    async def test(a: Aggregator) -> None:
        store: Any = a.store
        await report(a, window="59m")
        alone = store.reads
        store.go_on.clear()
        asked = []
        for number in range(4):
            a.now = NOW + number
            asked.append(asyncio.ensure_future(report(a, limit=number + 1)))
            await asyncio.sleep(0.05)
        store.go_on.set()
        windows = [one["window"]["to"] for one in await asyncio.gather(*asked)]
        assert windows == [format_time(NOW)] * 4
        assert store.reads == 2 * alone

    run(tmp_path, test)
