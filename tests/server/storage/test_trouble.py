"""Full disks, foreign files, second processes, newer schemas: what is said, and how it goes on."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, StoreDamagedError, StoreError, StoreFullError
from common.snapshot import layout_hash
from server.storage import Retention, ingest, open_store
from server.storage.catalog import Changes
from server.storage.connections import connect, translate
from server.storage.damage import Damage
from server.storage.migrations import MIGRATIONS, check, migrate
from server.storage.record import encode
from server.storage.retention import forget_layouts
from server.storage.sqlite import SqliteStore
from server.storage.upkeep import vacuum
from tests.server.storage.histories import START, history, received, snapshot

DAY = 86400.0
NAMES = tuple(f"cache-{i}" for i in range(200))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(f"sqlite:///{tmp_path}/store.db")
    assert isinstance(opened, SqliteStore)
    yield opened
    opened.close()


def pages(store: SqliteStore, limit: int) -> None:
    """Lets the file grow no further than that: to SQLite the same as a full disk."""
    store._writer.submit(lambda db, _: db.execute(f"PRAGMA max_page_count = {limit}")).result(20)


def test_a_full_disk_refuses_and_recovers_by_itself(
    store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.append([received(snapshot("a", START))]).result(20)
    pages(store, 1)  # no less than it has now
    refused, failure = 0, None
    while failure is None and refused < 200:
        refused += 1
        item = snapshot("a", START + refused, refused, (*NAMES, f"only-{refused}"))
        failure = store.append([received(item)]).exception(20)
    assert isinstance(failure, StoreFullError)
    says = f"store {tmp_path}/store.db: the disk is full: make room or mend it; a running server then goes on by itself"
    assert str(failure) == says
    status = store.status()
    assert not status.writable
    assert status.problem is not None
    assert "disk is full" in status.problem
    assert status.snapshots == refused
    assert store.append([received(snapshot("a", START + 500))]).result(20).stored == 1
    assert store.status().writable
    assert caplog.messages == [says, f"store {tmp_path}/store.db takes snapshots again"]
    assert "Traceback" not in caplog.text
    assert store.nodes()[0].taken_at == START + 500
    found = store.at("a", START + refused)
    assert found is not None
    assert found.snapshot.taken_at == START + refused - 1


def test_an_unexpected_error_in_one_batch_spares_the_others(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(db: sqlite3.Connection, _: object) -> None:
        db.execute("INSERT INTO nodes VALUES (1)")

    blocker = store._writer.submit(lambda _db, _changes: __import__("time").sleep(0.2))
    before = store.append([received(snapshot("a", START))])
    bad = store._writer.submit(broken)
    after = store.append([received(snapshot("b", START)), received(snapshot("a", START))])
    blocker.result(20)
    with pytest.raises(StoreError, match="16 columns") as caught:
        bad.result(20)
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    assert 'db.execute("INSERT INTO nodes VALUES (1)")' in caplog.text
    assert (before.result(20).stored, after.result(20).duplicates) == (1, 1)
    assert [s.node for s in store.nodes()] == ["a", "b"]
    assert store.status().problem is None


def test_a_mistake_past_the_commit_ends_no_thread_and_loses_nothing(
    store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent, blocked, go = [received(snapshot("a", START))], threading.Event(), threading.Event()
    store._writer.submit(lambda _db, _changes: [event() for event in (blocked.set, lambda: go.wait(20))])
    assert blocked.wait(20)
    appended = store.append(sent)  # shares the commit with the next
    store._writer.submit(lambda _db, changes: changes.after.append(lambda: sent.remove(sent[7])))
    go.set()
    for future in (appended, store.append(sent)):
        with pytest.raises(StoreFullError, match="start it anew; the file is whole"):
            future.result(20)
    with pytest.raises(StoreFullError):
        store.maintain(START)
    assert not store.status().writable
    assert "IndexError" in caplog.text
    assert len(caplog.records) == 1
    store.close()
    again = open_store(f"sqlite:///{tmp_path}/store.db")
    assert again.append(sent).result(20).duplicates == 1
    again.close()


def test_readers_are_not_blocked_and_see_whole_batches(store: SqliteStore) -> None:
    coming = history(3, steps=120)
    batches = [coming[i : i + 9] for i in range(0, len(coming), 9)]

    def read(_: int) -> int:
        seen = 0
        for node in store.nodes():
            assert store.at(node.node, None) is not None
            for series in store.window(START, START + 1e6, 300):
                seen += sum(int(boot.samples.sum()) for boot in series.boots)
        return seen

    with ThreadPoolExecutor(6) as threads:
        futures: list[Future[Any]] = []
        for number, batch in enumerate(batches):
            futures += [store.append(batch), threads.submit(read, number)]
            if number % 5 == 0:
                futures.append(threads.submit(store.maintain, batch[0].snapshot.taken_at))
        for future in futures:
            future.result(60)
    assert store.status().snapshots == len({(r.snapshot.node, r.snapshot.taken_at) for r in coming})


def test_a_layout_that_comes_back_as_it_is_forgotten_is_kept(store: SqliteStore) -> None:
    item = snapshot("a", START, names=("only", "here"))
    store.append([received(item)]).result(20)
    book, key = store._book, layout_hash(item.caches)
    record = encode(received(snapshot("b", START, names=("only", "here"))), key)
    book.used.clear()

    def both(db: sqlite3.Connection, changes: Changes) -> int:
        """The two in one transaction, as group commit may have them."""
        db.execute("DELETE FROM recent")
        gone = forget_layouts(db, changes, [book.ids[key]], book)
        ingest.append(db, changes, [record], book, 10, Damage())
        return gone

    assert store._writer.submit(both).result(20) == 1
    found = store.at("b", None)
    assert found is not None
    assert found.snapshot.caches == item.caches
    assert store.layout(key) is not None


def test_an_append_nobody_waits_for_any_more_is_no_error(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    blocked, go = threading.Event(), threading.Event()

    def block(_db: sqlite3.Connection, _changes: Changes) -> None:
        blocked.set()
        go.wait(20)

    store._writer.submit(block)
    assert blocked.wait(20)
    assert store.append([received(snapshot("a", START))]).cancel()
    go.set()
    assert store.append([received(snapshot("b", START))]).result(20).stored == 1
    assert [s.node for s in store.nodes()] == ["b"]
    assert not caplog.records


def test_closing_ends_a_round_of_maintenance(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    assert isinstance(store, SqliteStore)
    for hour in range(20):
        store.append([received(snapshot("n", START + 3600 * hour))]).result(20)
    begun, go, writer = threading.Event(), threading.Event(), store._writer
    with ThreadPoolExecutor(2) as threads:
        writer.submit(lambda _db, _changes: [event() for event in (begun.set, go.wait)])
        assert begun.wait(20)
        maintaining = threads.submit(store.maintain, START + DAY)
        while not writer._queue.qsize():  # its first step waits for the writer
            time.sleep(0.001)
        closing = threads.submit(store.close)
        assert writer._closed.wait(20)
        go.set()
        closing.result(20)
        with pytest.raises(StoreError, match="closed"):
            maintaining.result(20)
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    store.maintain(START + DAY)
    assert isinstance(store, SqliteStore)
    with store._pool.read() as db:  # sealed by this round, or by what the first one still wrote
        unsealed = db.execute("SELECT count(*) FROM recent").fetchone()[0]
    assert (store.status().snapshots, unsealed) == (20, 0)
    store.close()


def test_a_second_process_is_refused(store: SqliteStore, tmp_path: Path) -> None:
    store.append([received(snapshot("a", START))]).result(20)
    with pytest.raises(StoreError, match="is in use by another process: stop it or name another file"):
        open_store(f"sqlite:///{tmp_path}/store.db")


@pytest.mark.parametrize("first", ["store.db", "link.db", "folder/store.db"])
def test_a_link_is_no_way_in_beside_another(tmp_path: Path, first: str) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "store.db")
    (tmp_path / "folder").symlink_to(tmp_path)
    store = open_store(f"sqlite:///{tmp_path}/{first}")
    store.append([received(snapshot("a", START))]).result(20)
    for name in ("store.db", "link.db", "folder/store.db"):
        with pytest.raises(StoreError, match=r"store\.db is in use by another process: stop it or name another file"):
            open_store(f"sqlite:///{tmp_path}/{name}")
        with pytest.raises(StoreError, match=r"store\.db is in use by another process: stop it or name another file"):
            vacuum(tmp_path / name, lambda: None)
    files = (tmp_path / f"store.db{suffix}" for suffix in ("", "-wal", "-shm"))
    assert store.status().bytes_on_disk == sum(file.stat().st_size for file in files)
    store.close()
    assert not (tmp_path / "link.db.lock").exists()


def test_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop.db").symlink_to(tmp_path / "loop.db")
    with pytest.raises(StoreError, match=r"loop\.db: the file cannot be opened"):
        open_store(f"sqlite:///{tmp_path}/loop.db")


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("slabinfo - version: 2.1\n" * 100)
    with pytest.raises(StoreError, match="not an SQLite file or damaged"):
        open_store(f"sqlite:///{tmp_path}/text.db")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    untouched = (tmp_path / "other.db").read_bytes()
    with pytest.raises(StoreError, match="another program's SQLite file"):
        open_store(f"sqlite:///{tmp_path}/other.db")
    assert (tmp_path / "other.db").read_bytes() == untouched
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StoreError, match=r"folder\.db"):
        open_store(f"sqlite:///{tmp_path}/folder.db")


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    open_store(f"sqlite:///{tmp_path}/empty.db").close()
    with sqlite3.connect(tmp_path / "empty.db") as db:
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)  # INCREMENTAL
    db.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="make the folder writable or name another"):
        open_store(f"sqlite:///{tmp_path}/file/store.db")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("clickhouse://me@there:8123/", "write clickhouse://USER@HOST:8123/DATABASE"),
        ("clickhouse://me:secret@there:port/slab", r"me:\*\*\*@there:port/slab: the port is no number"),
        ("clickhouse://me@there/slab?shards=2", "after \\? may stand secure=1, cluster=NAME and replicated=1"),
        ("postgres://there/slab", "write sqlite:///relative"),
        ("store.db", "write sqlite:///relative"),
        ("sqlite://store.db", "write sqlite:///relative"),
        ("sqlite:///", "write sqlite:///relative"),
    ],
)
def test_a_url_that_names_no_store(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        open_store(url)


def test_tiers_must_not_outlive_coarser_ones() -> None:
    with pytest.raises(ConfigError, match="--retention-raw may be no longer than --retention-5m"):
        Retention(snapshots=10, five_minutes=5)


def test_migrations_run_once_forward_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    db = connect(path)
    migrate(db, 1.0)
    more = (*MIGRATIONS, ("2027-01-more", ("CREATE TABLE more (x)",)))
    broken = (*more, ("2027-02-broken", ("CREATE TABLE half (x)", "CREATE TABLE half (x)")))
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, 2.0, broken)
    migrate(db, 3.0, more)
    run = [*((name, 1.0) for name, _ in MIGRATIONS), ("2027-01-more", 2.0)]
    assert db.execute("SELECT * FROM migrations").fetchall() == run
    assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (0,)
    check(db, path, more)
    db.close()
    with pytest.raises(StoreError, match=r"newer slabhound \(2027-01-more\): upgrade this one"):
        open_store(f"sqlite:///{path}")


def test_space_is_given_back_when_most_of_the_file_is_free(store: SqliteStore) -> None:
    def fill(db: sqlite3.Connection, _: Changes) -> None:
        db.execute("CREATE TABLE heavy (x)")
        db.executemany("INSERT INTO heavy VALUES (zeroblob(?))", [(20_000,)] * 1500)

    store._writer.submit(fill).result(20)
    before = store._writer.submit(size).result(20)
    store._writer.submit(lambda db, _: db.execute("DROP TABLE heavy")).result(20)
    store.maintain(START)
    assert 0 < store.status().counters["pages_given_back"] <= 20_000
    after = store._writer.submit(size).result(20)
    assert after < before
    store.maintain(START)
    store.maintain(START)
    assert store._writer.submit(size).result(20) < 16_000  # some is kept to be used again


def size(db: sqlite3.Connection, _: Changes) -> int:
    pages: int = db.execute("PRAGMA page_count").fetchone()[0]
    return pages


def test_sqlite_errors_are_told_in_plain_words() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    assert isinstance(translate(error, "x.db"), StoreFullError)
    error = sqlite3.OperationalError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    assert isinstance(translate(error, "x.db"), StoreDamagedError)
    assert str(translate(sqlite3.ProgrammingError("odd"), "x.db")) == "store x.db: odd"
