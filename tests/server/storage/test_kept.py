"""What is kept of the last windows: always what a fresh store reads, never more than allowed, and of use at all."""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.buckets import Block, CacheRow
from server.storage import Retention, open_store
from server.storage.base import Store
from server.storage.kept import Kept, Span, pack, unpack
from server.storage.pieces import cut
from server.storage.upkeep import back_up
from tests.server.storage.histories import LARGEST, START, history, received, snapshot
from tests.server.storage.naive import described

HOUR, DAY = 3600.0, 86400.0
HOUR_MS = 3_600_000


def opened(path: Path, retention: Retention | None = None) -> Store:
    return open_store(f"sqlite:///{path}", clock=lambda: 0.0, retention=retention)


def windows(store: Store, question: tuple[float, float, int, str | None]) -> list[tuple[Any, ...]]:
    start, end, width, group = question
    return [
        (s.node, s.group, s.labels, s.kernel, [boot.rows for boot in s.boots], described(s, width))
        for s in store.window(start, end, width, group=group)
    ]


def spoil_some(path: Path, rng: random.Random) -> None:
    """A tenth of all rows cannot be decoded any more."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        for table, column in (("sealed", "counts"), ("rollups", "buckets"), ("recent", "counts")):
            rows = db.execute(f"SELECT id FROM {table}").fetchall()
            chosen = [row for row in rows if rng.random() < 0.1]
            db.executemany(f"UPDATE {table} SET {column} = x'00' WHERE id = ?", chosen)


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_a_window_is_what_a_fresh_store_gives(tmp_path: Path, seed: int, *, damaged: bool) -> None:
    """Over random sequences of appends, late ones too, sealing, forgetting, and questions that move on with time.

    Damage comes between two runs: what was read before it would be better than what a fresh store reads.
    """
    rng = random.Random(seed)
    keep = Retention(*rng.choice([(7e5, 1e6, 2e6), (43200.0, 86400.0, 2 * 86400.0)]))
    path = tmp_path / "store.db"
    store = opened(path, keep)
    coming = history(seed + 100, steps=200)
    ahead = {r.snapshot.node: rng.choice([0, 0, 6 * HOUR, DAY]) for r in coming}
    coming = [
        replace(r, received_at=round(r.received_at - ahead[r.snapshot.node] + rng.choice([0, 0, 0, 900, 40000]), 3))
        for r in coming
    ]
    held = [coming.pop(rng.randrange(len(coming))) for _ in range(60)]
    now, length = START, rng.choice([HOUR, 4 * HOUR, 86400.0])
    begins = [START + rng.random() * 20 * HOUR for _ in range(2)]
    for step in range(50):
        batch = [coming.pop(0) for _ in range(min(len(coming), rng.choice([1, 3, 20])))]
        now = max([now, *(r.snapshot.taken_at for r in batch)])
        if held and rng.random() < 0.3:
            batch += [held.pop() for _ in range(min(2, len(held)))]
        rng.shuffle(batch)
        store.append(batch).result()
        if rng.random() < 0.25:
            store.maintain(now + rng.choice([0, 0, 2 * HOUR, 43200.0, 86400.0]))
        if damaged and rng.random() < 0.1:
            store.close()
            spoil_some(path, rng)
            store = opened(path, keep)
        end = now + rng.choice([0, 0.001, 600, 600, -30, -4 * HOUR])
        start = rng.choice([end - length, end - length, end - length / 6, end - 7 * 86400.0, *begins])
        end = max(start, end)
        questions = [(max(0.0, start), end, width, rng.choice([None, None, "web"])) for width in (300, 3600, 86400)]
        mine = [windows(store, question) for question in questions]
        if step % 3 == 0:
            copy = tmp_path / f"{step}.db"
            back_up(path, copy, lambda *_: None)
            fresh = opened(copy, keep)
            assert mine == [windows(fresh, question) for question in questions]
            fresh.close()
    store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = opened(tmp_path / "store.db")
    items = [received(snapshot(f"n{n}", START + 60 * i, i, ("dentry", "filp"))) for n in range(2) for i in range(600)]
    store.append(items).result()
    store.maintain(START + 10 * HOUR)
    yield store
    store.close()


def spoil(path: Path, until: float = START + 9.8 * HOUR) -> None:
    """Leaves nothing in the file that could be decoded."""
    db = sqlite3.connect(path)
    db.execute("UPDATE rollups SET buckets = x'00'")
    db.execute("UPDATE sealed SET samples = x'00', counts = x'00'")
    db.execute("UPDATE recent SET counts = x'00' WHERE taken < ?", (until * 1000,))
    db.commit()
    db.close()


@pytest.mark.parametrize("width", [300, 3600])
def test_the_next_window_decodes_only_what_is_new(store: Store, tmp_path: Path, width: int) -> None:
    start, end = START + 1000.5, START + 9.9 * HOUR
    before = windows(store, (start, end, width, None))
    spoil(tmp_path / "store.db")
    assert windows(store, (start, end, width, None)) == before
    store.append([received(snapshot("n1", START + 10 * HOUR, 7, ("dentry", "filp")))]).result()
    later = windows(store, (start + 60, end + 600, width, None))
    assert [node for node, *_ in later] == ["n0", "n1"]
    first, last = (list(later[1][-1]["boot-1"]["buckets"].values())[i] for i in (0, -1))
    assert first[0] < start + width + 60
    assert last[0] == START + 10 * HOUR


def test_a_late_snapshot_is_seen_at_once(store: Store) -> None:
    question = (START, START + 10 * HOUR, 300, None)
    windows(store, question)
    store.append([received(snapshot("n1", START + 90, 999, ("dentry", "filp")))]).result()
    (_, *_, n0), (_, *_, n1) = windows(store, question)
    assert [d["boot-1"]["buckets"][START // 300][-1] for d in (n0, n1)] == [5, 6]


def test_snapshots_that_are_forgotten_are_not_shown_from_memory(store: Store) -> None:
    question = (START + 1000.5, START + 9.9 * HOUR, 3600, None)
    before = windows(store, question)
    store.maintain(START + 8 * 86400)
    after = windows(store, question)
    firsts = [next(iter(answer[0][-1]["boot-1"]["buckets"].values())) for answer in (before, after)]
    assert [samples for *_, samples in firsts] == [43, 40]  # whole five minutes only are still known


@pytest.mark.parametrize("width", [300, 3600])
def test_a_clock_weeks_ahead_takes_nothing_from_the_other_nodes(tmp_path: Path, width: int) -> None:
    """What is forgotten of it bears the instants of its own clock."""
    store, ahead = opened(tmp_path / "store.db", Retention(DAY, DAY, 4 * DAY)), 20 * DAY
    for hour in range(36):
        at = START + hour * HOUR
        usual = [received(snapshot("n", at + 300 * i, i)) for i in range(12)]
        wrong = [received(snapshot("wrong", at + 300 * i + ahead, i), 0.5 - ahead) for i in range(12)]
        store.append([*usual, *wrong]).result()
    now = START + 36 * HOUR
    store.maintain(now)
    question = (now - 6 * HOUR + 100, now - 300, width, None)
    before = windows(store, question)
    assert [node for node, *_ in before] == ["n"]
    spoil(tmp_path / "store.db", until=now - 900)
    assert windows(store, question) == before
    store.close()


def block(times: int, columns: int, fill: int = 1, start: int = 0) -> Block:
    at = (start + 300 * np.arange(times)).astype(np.float64)
    counts = np.full((times, columns), fill, dtype=np.int64)
    ones = np.ones(times, dtype=np.int64)
    return Block("b", "l", at, at, np.zeros((times, 4)), ones, counts + 1, counts)


@given(
    st.lists(st.tuples(st.sampled_from(["put", "find", "begin"]), st.integers(0, 5), st.integers(1, 60)), max_size=60)
)
def test_never_holds_more_than_it_may(steps: list[tuple[str, int, int]]) -> None:
    kept = Kept(limit=15_000)
    for what, key, size in steps:
        if what == "begin":
            kept.begin()
        elif what == "put":
            kept.put({key: Span(key, 0, size * 300_000, tuple(pack([block(size, 20)])))}, 0)
        else:
            found = kept.find(key, key, 0)
            assert found is None or found.disturbed == key
        assert 0 <= kept.bytes <= 15_000


def test_what_was_used_lately_is_not_given_up_for_something_new() -> None:
    kept = Kept(limit=20_000)
    kept.begin()
    for key in range(100):
        kept.put({key: Span(0, 0, 1, tuple(pack([block(10, 10)])))}, 0)
    held = [key for key in range(100) if kept.find(key, 0, 0)]
    assert 0 < len(held) < 100
    assert held == list(range(len(held)))
    for _ in range(20):
        kept.begin()
    kept.put({100: Span(0, 0, 1, tuple(pack([block(10, 10)])))}, 0)
    assert kept.find(100, 0, 0)
    assert not kept.find(0, 0, 0)


def test_what_is_packed_together_is_kept_together_or_not_at_all() -> None:
    kept = Kept(limit=20_000)
    kept.put({0: Span(0, 0, 1, tuple(pack([block(10, 10)])))}, 0)
    before = kept.bytes
    kept.put({key: Span(0, 0, 1, (part,)) for key, part in enumerate(pack([block(10, 10)] * 200), 1)}, 0)
    assert [key for key in range(30) if kept.find(key, 0, 0)] == [0]
    assert kept.bytes == before


def test_a_node_that_is_gone_does_not_keep_those_that_were_packed_with_it() -> None:
    kept, fleet, few = Kept(), 16, 4
    for step in range(40):
        kept.begin()
        alive = range(step * few, step * few + fleet)
        parts = pack([block(50, 40, fill=key + 1) for key in alive])
        kept.put({key: Span(0, 0, 50 * 300_000, (part,)) for key, part in zip(alive, parts, strict=True)}, 0)
    spans = [kept.find(key, 0, 0) for key in range(39 * few + fleet)]
    held = {id(part.packed): part.packed for span in spans if span for part in span.parts}
    sizes = [len(packed.boots) for packed in held.values()]
    assert sizes.count(few) > 25
    assert sizes.count(fleet) <= 10
    for key, span in enumerate(spans):
        assert span is not None
        ((_, found),) = unpack([(key, span.parts[0])], 0, HOUR_MS * 24, {})
        assert (found.active_min == key + 1).all()


def test_what_lacks_its_other_parts_makes_room() -> None:
    kept, span = Kept(limit=40_000), 50 * 300_000
    kept.begin()
    parts = pack([block(50, 40)] * 10)
    kept.put({key: Span(0, 0, span, (part,)) for key, part in enumerate(parts)}, 0)
    assert kept.bytes > 25_000
    kept.put({key: Span(0, 0, span, (part,)) for key, part in enumerate(pack([block(50, 40)] * 8))}, 0)
    assert all(kept.find(key, 0, 0) for key in range(10))


def test_a_layouts_rows_are_kept_and_counted_once() -> None:
    """As long as any span has blocks of it."""

    def put(keys: list[int], layout: str) -> None:
        rows = {layout: tuple(CacheRow(f"c{n}", 8, 0) for n in range(100))}
        kept.put(
            {
                key: Span(0, 0, 1, (part,), rows)
                for key, part in zip(keys, pack([block(9, 3)] * len(keys)), strict=True)
            },
            0,
        )

    def held() -> set[int]:
        return {id(rows) for key in range(4) if (span := kept.find(key, 0, 0)) for rows in span.rows.values()}

    kept = Kept(limit=60_000)
    put([0, 1], "l")
    first = kept.bytes
    put([2], "l")
    assert len(held()) == 1
    shared = kept.bytes - first
    put([3], "m")
    assert len(held()) == 2
    assert kept.bytes - first - shared == shared + 100 * 200
    put([3], "l")
    assert len(held()) == 1
    assert kept.bytes == first + 2 * shared
    small = Kept(limit=first)
    small.put({0: Span(0, 0, 1, (), {"l": (CacheRow("c", 8, 0),) * 10_000})}, 0)
    assert not small.find(0, 0, 0)
    assert small.bytes == 0


@settings(max_examples=50)
@given(st.lists(st.sets(st.integers(0, 7), min_size=1), max_size=12), st.integers(2_000, 60_000))
def test_counts_all_that_lives(puts: list[set[int]], limit: int) -> None:
    kept, expected = Kept(limit), dict[int, int]()
    for number, keys in enumerate(puts, 1):
        for _ in range(number % 3 * 5):
            kept.begin()
        parts = pack([block(9, 30, fill=100 * number + key) for key in sorted(keys)])
        kept.put({key: Span(0, 0, 1, (part,)) for key, part in zip(sorted(keys), parts, strict=True)}, 0)
        expected |= {key: 100 * number + key for key in keys}
        spans = {key: span for key in range(8) if (span := kept.find(key, 0, 0))}
        held = {id(part.packed): part.packed for span in spans.values() for part in span.parts}
        assert sum(packed.bytes for packed in held.values()) <= kept.bytes <= limit
        for key, span in spans.items():
            ((_, found),) = unpack([(key, span.parts[0])], 0, HOUR_MS * 24, {})
            assert (found.active_min == expected[key]).all()


def test_what_no_window_needs_any_more_is_told() -> None:
    kept = Kept()
    kept.begin()
    kept.put({"k": Span(0, 0, 100 * 300_000)}, 0)
    for _ in range(8):
        kept.begin()
        assert kept.find("k", 0, 90 * 300_000)
        assert not kept.outlived("k")
    kept.begin()
    assert kept.outlived("k")
    kept.put({"k": Span(0, 90 * 300_000, 100 * 300_000)}, 90 * 300_000)
    assert not kept.outlived("k")
    assert not kept.outlived("another")


counts = st.lists(st.sampled_from([-1, 0, 1, 2**16 - 1, 2**16, 2**32 - 1, 2**32, LARGEST]), min_size=6, max_size=6)


@given(st.lists(counts, min_size=1, max_size=5), st.integers(1, 3), st.integers(0, 6), st.integers(0, 6))
def test_packing_keeps_every_count(rows: list[list[int]], still: int, first: int, until: int) -> None:
    matrix = np.array(rows, dtype=np.int64)
    matrix[:, ::still] = matrix[0, ::still]
    plain = replace(block(len(rows), 6), num_min=matrix, active_min=matrix // 2)
    other = block(len(rows), 6)
    parts = pack([other, plain, other])
    columns = np.array([4, 1])
    for places, chosen in itertools.product(([0, 1, 2], [2, 1], [1]), (None, columns)):
        wanted = {} if chosen is None else {"l": chosen}
        found = dict(unpack([(place, parts[place]) for place in places], first * 300_000, until * 300_000, wanted))
        for place in places:
            expected = cut(plain if place == 1 else other, first * 300_000, until * 300_000)
            if not len(expected.time):
                assert place not in found
                continue
            for field in fields(Block)[2:-1]:
                values = getattr(expected, field.name)
                values = values[:, columns] if field.name.endswith("_min") and chosen is not None else values
                assert getattr(found[place], field.name).tolist() == values.tolist()


def test_packing_takes_a_quarter() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.integers(0, 60_000, (60, 200))
    matrix[:, :100] = 7
    plain = replace(block(60, 200), num_min=matrix, active_min=matrix)
    ((packed, _),) = pack([plain])
    assert packed.bytes < 60 * 200 * 2 * 8 / 6


def test_cut_takes_the_first_end_and_not_the_last() -> None:
    assert cut(block(10, 1), 300_000, 900_000).time.tolist() == [300.0, 600.0]
    whole = block(3, 1)
    assert cut(whole, 0, HOUR_MS) is whole
