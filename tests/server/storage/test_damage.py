"""Damaged rows: found by a check, left out by everything that reads, counted, and no trouble to anybody else."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.snapshot import layout_hash
from server.storage import Retention, open_store
from server.storage.base import Store
from server.storage.checks import check_store
from server.storage.codec import compress, decompress, join, split
from server.storage.journal import Journal
from tests.server.storage.histories import START, received, snapshot
from tests.server.storage.naive import described

HOUR, DAY = 3600.0, 86400.0
NODES = ("a", "b")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two nodes, three hours sealed, a fourth open."""
    path = tmp_path / "store.db"
    store = open_store(f"sqlite:///{path}")
    for step in range(46):
        at = START + 300 * step
        store.append([received(snapshot(node, at, 10 + step)) for node in NODES]).result(20)
    store.maintain(START + 3 * HOUR + 400)
    assert store.status().counters["sealed_chunks"] == 6
    store.close()
    return path


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.close()


def damage(path: Path, table: str, column: str, where: str) -> None:
    """Turns a byte in the middle of some blobs."""
    db = sqlite3.connect(path)
    with db:
        rows = db.execute(f"SELECT id, {column} FROM {table} WHERE {where}").fetchall()
        assert rows
        for row, blob in rows:
            half = len(blob) // 2
            bad = blob[:half] + bytes([blob[half] ^ 0x55]) + blob[half + 1 :]
            db.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (bad, row))
    db.close()


def samples(store: Store, start: float, end: float, width: int) -> dict[str, int]:
    return {s.node: sum(int(b.samples.sum()) for b in s.boots) for s in store.window(start, end, width)}


def journal_of(store: Store) -> Journal:
    journal = store.journal()
    assert journal is not None
    return journal


def problems(path: Path) -> list[str]:
    return check_store(path, lambda *_: None).problems


def test_a_sound_store_has_no_problems(path: Path) -> None:
    told: list[float] = []
    found = check_store(path, lambda done, total, _: told.append(done / total))
    assert found.problems == []
    assert found.snapshots == 92
    assert found.rows == {"nodes": 2, "boots": 2, "layouts": 1, "recent": 20, "sealed": 6, "rollups": 4}
    assert told[-1] == 1


@pytest.mark.parametrize("column", ["samples", "counts"])
def test_a_damaged_chunk_is_left_out_and_the_rest_answers(
    path: Path, store: Store, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    hour = START // HOUR + 1
    damage(path, "sealed", column, f"start = {hour} AND node = 1")
    (line,) = problems(path)
    assert line.startswith("sealed ")
    assert "does not decode: ZstdError" in line
    window = START, START + 4 * HOUR
    assert samples(store, *window, 60) == {"a": 46, "b": 46}  # what is lost is taken from the roll-ups
    assert samples(store, *window, 300) == {"a": 46, "b": 46}
    within = store.at("a", START + 1.5 * HOUR)
    assert within is not None
    assert within.snapshot.taken_at == START + HOUR - 300  # the newest whole one before
    beside = store.at("b", START + 1.5 * HOUR)
    assert beside is not None
    assert beside.snapshot.taken_at == START + 1.5 * HOUR
    assert len(store.instants("b", None, None, after=None, limit=99)) == 46
    assert len(store.instants("a", None, None, after=None, limit=99)) == (34 if column == "samples" else 46)
    status = store.status()
    assert status.writable
    assert status.counters["damaged_rows"] == 1
    assert status.problem is not None
    assert status.problem.startswith("1 damaged rows are left out")
    assert len(caplog.records) == 1  # said once, not at each question


@pytest.fixture
def halved(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, Store]]:
    """A node with a snapshot a minute, five hours sealed: the second half of each is another boot's, or layout's."""
    path, halves = tmp_path / "store.db", [{}, request.param]
    store = open_store(f"sqlite:///{path}")
    items = [received(snapshot("a", START + 60 * n, 10 + n, **halves[n % 60 // 30])) for n in range(300)]
    store.append([*items, received(snapshot("a", START + 5 * HOUR, 10))]).result(20)
    store.maintain(START + 5 * HOUR + 400)
    yield path, store
    store.close()


TWO = pytest.mark.parametrize("halved", [{"boot_id": "boot-2"}, {"names": ("dentry", "filp")}], indirect=True)


@TWO
@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_a_whole_chunk_does_not_hide_that_another_of_its_hour_is_damaged(
    halved: tuple[Path, Store], order: str
) -> None:
    path, store = halved
    hour = START // HOUR + 2
    damage(path, "sealed", "counts", f"id = (SELECT id FROM sealed WHERE start = {hour} ORDER BY id {order} LIMIT 1)")
    for _ in range(2):
        (series,) = store.window(START, START + 5 * HOUR, 60)
        buckets = [(at, n) for boot in series.boots for at, n in zip(boot.time, boot.samples, strict=True)]
        assert len(buckets) == len(set(buckets)) == 30 * 9 + 6 + 1  # five minutes in one where the chunk is damaged
        assert sum(n for _, n in buckets) == 301
    assert store.status().counters["damaged_rows"] == 1


@TWO
@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_a_whole_rollup_does_not_hide_that_another_of_its_hours_is_damaged(
    halved: tuple[Path, Store], order: str
) -> None:
    path, store = halved
    damage(path, "rollups", "buckets", f"id = (SELECT id FROM rollups WHERE width = 300 ORDER BY id {order} LIMIT 1)")
    for _ in range(2):
        assert samples(store, START, START + 5 * HOUR, 300) == {"a": 301}
    assert store.status().counters["damaged_rows"] == 1


def test_the_oldest_snapshot_is_the_oldest_whole_one(path: Path, store: Store) -> None:
    damage(path, "sealed", "counts", f"start = {START // HOUR} AND node = 1")
    first = store.first("a")
    assert first is not None
    assert first.snapshot.taken_at == START + HOUR


def test_a_damaged_rollup_costs_its_own_hours_only(path: Path, store: Store) -> None:
    damage(path, "rollups", "buckets", "width = 300 AND node = 1")
    assert problems(path)[0].startswith("rollups ")
    assert samples(store, START, START + 4 * HOUR, 300) == {"a": 46, "b": 46}  # from the hourly ones
    store.maintain(START + DAY)
    assert problems(path) == []
    assert store.status().counters["damaged_rows"] == 1


@pytest.mark.parametrize("width", [300, 3600])
@pytest.mark.parametrize("met", [True, False])
def test_a_damaged_rollup_is_made_anew_from_its_snapshots(path: Path, *, width: int, met: bool) -> None:
    """Whether a reader met it, or sealing does; the same as it was."""
    sound = open_store(f"sqlite:///{path.rename(path.with_name('sound.db'))}")
    shutil.copy(path.with_name("sound.db"), path)
    damage(path, "rollups", "buckets", f"width = {width} AND node = 1")
    store = open_store(f"sqlite:///{path}")
    if met:
        samples(store, START, START + 4 * HOUR, width)
    for one in (sound, store):
        mark = journal_of(one).mark
        one.maintain(START + DAY)
        assert journal_of(one).changed(mark, START, START + HOUR) is (one is store)  # answers that lacked it
    question = START, START + 4 * HOUR, width
    expected = {s.node: described(s, width) for s in sound.window(*question)}
    assert {s.node: described(s, width) for s in store.window(*question)} == expected
    assert problems(path) == []
    for one in (sound, store):
        one.close()


def test_a_silent_node_s_rollup_is_made_anew(path: Path, store: Store) -> None:
    store.maintain(START + DAY)  # all is sealed
    damage(path, "rollups", "buckets", "node = 1")
    journal = journal_of(store)
    mark = journal.mark
    assert samples(store, START, START + 3 * HOUR - 0.001, 3600) == {"b": 36}
    assert samples(store, START, START + 3 * HOUR - 0.001, 300) == {"b": 36}
    store.maintain(START + DAY + 60)
    assert store.status().counters["mended_rows"] == 2
    assert samples(store, START, START + 4 * HOUR, 3600) == {"a": 46, "b": 46}
    assert journal.changed(mark, START, START + HOUR)
    assert problems(path) == []


@pytest.mark.parametrize("trouble", ["damaged", "forgotten"])
def test_a_rollup_whose_snapshots_are_not_all_there_is_left_as_it_is(path: Path, trouble: str) -> None:
    """The coarser one stands in for all of it, then: half a row would stand in the way."""
    store = open_store(f"sqlite:///{path}", retention=Retention(DAY, 9 * DAY, 9 * DAY))
    store.maintain(START + 2 * HOUR + (DAY if trouble == "forgotten" else 0))
    damage(path, "rollups", "buckets", "width = 300 AND node = 1")
    if trouble == "damaged":
        damage(path, "sealed", "counts", f"start = {START // HOUR} AND node = 1")
    for later in (0, 60):
        assert samples(store, START, START + 3 * HOUR - 0.001, 300) == {"a": 36, "b": 36}
        store.maintain(START + 2 * HOUR + later + (DAY if trouble == "forgotten" else 0))
    assert store.status().counters.get("mended_rows", 0) == 0
    assert any(line.startswith("rollups ") for line in problems(path))
    store.close()


@pytest.mark.parametrize(("table", "column"), [("sealed", "counts"), ("rollups", "buckets"), ("recent", "counts")])
def test_what_unzips_and_is_wrong_costs_its_own_node_only(path: Path, store: Store, table: str, column: str) -> None:
    """Rows of many nodes are decoded together: then each by itself."""
    db = sqlite3.connect(path)
    with db:
        for row, blob in db.execute(f"SELECT id, {column} FROM {table} WHERE node = 1").fetchall():
            wrong = decompress(blob)[:-3] if table == "recent" else join([*split(blob)[:-2], b"\x00" * 9, b"grids"], 3)
            wrong = compress(wrong, 3) if table == "recent" else wrong
            db.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (wrong, row))
    db.close()
    found = samples(store, START, START + 4 * HOUR, 60 if table == "sealed" else 300)
    assert found["b"] == 46
    assert found.get("a", 0) == {"sealed": 46, "rollups": 10, "recent": 36}[table]
    assert store.status().counters["damaged_rows"] == {"sealed": 3, "rollups": 2, "recent": 10}[table]


def test_damage_stops_neither_sealing_nor_forgetting(path: Path) -> None:
    damage(path, "sealed", "samples", f"start = {START // HOUR} AND node = 1")
    damage(path, "recent", "counts", f"node = 1 AND taken = {int(START + 3 * HOUR) * 1000}")
    store = open_store(f"sqlite:///{path}", retention=Retention(DAY, DAY, DAY))
    late = [received(snapshot(node, START + 60, 5), delay=5 * HOUR) for node in NODES]
    again = received(snapshot("a", START, 10))  # nobody can tell that it was there
    assert store.append([*late, again]).result(20).stored == 3
    store.maintain(START + 8 * HOUR)
    status = store.status()
    assert status.counters["sealed_snapshots"] == 20  # 19 of the last hour, and the late one of b
    assert status.counters["damaged_rows"] == 2
    assert samples(store, START, START + 4 * HOUR, 60) == {"a": 46 - 1 + 2, "b": 47}
    late_one = store.at("a", START + 90)
    assert late_one is not None
    assert late_one.snapshot == late[0].snapshot  # waits, readable, until the chunk is forgotten
    store.maintain(START + 1.5 * DAY)
    store.maintain(START + 3 * DAY)
    assert (store.nodes(), store.status().snapshots) == ([], 0)
    store.close()
    assert problems(path) == []


def test_a_missing_layout_is_named(path: Path, store: Store) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute("DELETE FROM layouts")
    db.close()
    lines = problems(path)
    assert len(lines) == 30
    assert all("layout 1 is missing" in line for line in lines)
    assert samples(store, START, START + 4 * HOUR, 300) == {}
    store.maintain(START + DAY)
    assert store.at("a", None) is None


def execute(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    with db:
        assert db.execute(statement).rowcount
    db.close()


@pytest.mark.parametrize("broken", ["columns = zeroblob(9)", "columns = 'text'", "width = 7"])
def test_a_damaged_layout_is_taken_from_the_next_who_sends_it(path: Path, broken: str) -> None:
    """All rows depend on it, and every agent knows it."""
    execute(path, f"UPDATE layouts SET {broken}")
    assert problems(path)[0].startswith("layouts 1: does not decode")
    store = open_store(f"sqlite:///{path}")
    mark = journal_of(store).mark
    assert samples(store, START, START + 5 * HOUR, 300) == {}
    again = snapshot("a", START + 4 * HOUR, 60)
    assert store.layout(layout_hash(again.caches)) is None  # so it is asked for in full
    store.append([received(again)]).result(20)
    assert journal_of(store).changed(mark, START, START + HOUR)
    assert samples(store, START, START + 5 * HOUR, 300) == {"a": 47, "b": 46}
    assert store.layout(layout_hash(again.caches)) is not None
    store.maintain(START + DAY)
    store.close()
    assert problems(path) == []


@pytest.mark.parametrize(
    "broken", ["facts = '{'", "facts = '[]'", "facts = '{\"labels\": 3}'", "taken = 'x'", "uptime = 'x'"]
)
def test_a_damaged_node_is_told_anew_by_its_snapshots(path: Path, broken: str) -> None:
    execute(path, f"UPDATE nodes SET {broken} WHERE name = 'a'")
    assert any(line.startswith("nodes 1: does not decode") for line in problems(path))
    store = open_store(f"sqlite:///{path}")
    a, b = store.nodes()
    assert (a.taken_at, a.first_taken_at, a.last_seen) == (b.taken_at, b.first_taken_at, b.last_seen)
    assert samples(store, START, START + 4 * HOUR, 300) == {"a": 46, "b": 46}
    for node in NODES:
        store.append([received(snapshot(node, START + 4 * HOUR, 60))]).result(20)
    a, b = store.nodes()  # all but the usual gap
    assert replace(a, gap_seconds=None) == replace(b, node="a", boot=a.boot, boot_id=a.boot_id, gap_seconds=None)
    store.close()
    assert problems(path) == []


def test_what_was_forgotten_when_none_can_tell_harms_no_answer(path: Path, store: Store) -> None:
    execute(path, "INSERT INTO forgotten VALUES (1, 0, 'x')")
    assert samples(store, START, START + 4 * HOUR, 300) == {"a": 46, "b": 46}


def test_a_node_without_a_readable_name_is_left_out(path: Path) -> None:
    execute(path, "UPDATE nodes SET name = x'ff00' WHERE name = 'a'")
    assert any(line.startswith("nodes 1: does not decode") for line in problems(path))
    store = open_store(f"sqlite:///{path}")
    assert [state.node for state in store.nodes()] == ["b"]
    assert samples(store, START, START + 4 * HOUR, 300) == {"b": 46}
    store.close()


@pytest.mark.parametrize("statement", ["DELETE FROM totals", "UPDATE totals SET value = 'x'"])
def test_damaged_totals_are_counted_anew(path: Path, statement: str) -> None:
    execute(path, statement)
    store = open_store(f"sqlite:///{path}")
    assert store.status().snapshots == 92
    store.maintain(START + 5 * HOUR)
    store.close()
    assert problems(path) == []


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE sealed SET boot = 99 WHERE id = 1", "sealed 1: refers to boot 99 of node 1, which is not there"),
        ("UPDATE sealed SET snapshots = 3 WHERE id = 1", "sealed 1: holds 12 snapshots that are not the 3 it says"),
        ("UPDATE rollups SET start = 7 WHERE id = 1", "rollups 1: holds buckets of other hours than its own"),
        ("UPDATE totals SET value = 5 WHERE name = 'sealed'", "totals sealed: 5 snapshots are said to be sealed"),
        ("UPDATE layouts SET hash = 'x'", "layouts 1: its columns are not those of its hash x"),
        ("UPDATE recent SET facts = '{' WHERE id = 92", "recent 92: does not decode: JSONDecodeError"),
        ("UPDATE recent SET facts = '[]' WHERE id = 92", "recent 92: does not decode: ValueError: facts that are no"),
        ("INSERT INTO forgotten VALUES (1, 0, 'x')", "forgotten node 1, tier 0: is no time"),
        ("DELETE FROM nodes WHERE name = 'b'", "boots 2: refers to node 2, which is not there"),
        (
            "DELETE FROM migrations",
            "schema: 2026-11-first, 2026-11-grids, 2026-11-least, 2026-11-node-forgotten, 2026-11-reach is missing: ",
        ),
    ],
)
def test_what_does_not_fit_together_is_named(path: Path, statement: str, says: str) -> None:
    execute(path, statement)
    assert any(line.startswith(says) for line in problems(path))


def test_a_damaged_page_is_a_problem_not_an_end(path: Path) -> None:
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'rollups'").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 100)
    lines = problems(path)
    assert any(line.startswith("file ") for line in lines)
    assert any(line.startswith("rollups cannot be read to its end") for line in lines)
