"""A store's life: every schema ever released opens, a month passes, backups and vacuums while others write."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from common.errors import StoreError
from server.storage import Retention, open_store
from server.storage.checks import check_store
from server.storage.migrations import MIGRATIONS
from server.storage.sqlite import SqliteStore
from server.storage.upkeep import back_up, vacuum
from tests.server.storage.histories import START, received, snapshot

HOUR, DAY = 3600.0, 86400.0
RELEASED = Path(__file__).parent / "released"


def problems(path: Path) -> list[str]:
    return check_store(path, lambda *_: None).problems


def quiet(*_: object) -> None:
    """Nobody looks on."""


def test_every_schema_has_its_released_store() -> None:
    assert sorted(p.stem for p in RELEASED.glob("*.sql")) == sorted(name for name, _ in MIGRATIONS)


@pytest.mark.parametrize("version", [name for name, _ in MIGRATIONS])
def test_a_store_of_every_released_schema_opens_forward(tmp_path: Path, version: str) -> None:
    path = tmp_path / "store.db"
    db = sqlite3.connect(path)
    db.executescript((RELEASED / f"{version}.sql").read_text(encoding="utf-8"))
    db.close()
    store = open_store(f"sqlite:///{path}")
    found = [store.first("old"), store.at("old", None)]
    assert [f.snapshot for f in found if f] == [snapshot("old", START, 10), snapshot("old", START + HOUR, 20)]
    assert store.append([received(snapshot("old", START, 10))]).result(20).duplicates == 1
    assert store.append([received(snapshot("old", START + 60, 11))]).result(20).stored == 1
    store.maintain(START + 3 * HOUR)
    for width in (60, 300, 3600):
        (series,) = store.window(START, START + 2 * HOUR, width)
        (boot,) = series.boots
        assert int(boot.samples.sum()) == 3
        assert (boot.num_min[:, 0].min(), boot.num_min[-1, 0]) == (11, 21)
    assert store.status().snapshots == 3
    store.close()
    assert problems(path) == []


def test_what_an_old_store_forgot_it_forgot_of_each_node(tmp_path: Path) -> None:
    """But no later than the node was heard of: another's clock may have run weeks ahead."""
    path, start, day = tmp_path / "store.db", int(START * 1000), 86_400_000
    db = sqlite3.connect(path)
    db.executescript((RELEASED / "2026-11-least.sql").read_text(encoding="utf-8"))
    db.execute("INSERT INTO forgotten VALUES (0, ?), (300, ?), (3600, ?)", (start + 3_600_000, start + 20 * day, start))
    db.commit()
    db.close()
    open_store(f"sqlite:///{path}").close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT * FROM forgotten").fetchall() == [(1, 0, start + 3_600_000), (1, 300, start + day)]
    db.close()


def test_vacuum_gives_an_old_store_the_pages_of_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    db = sqlite3.connect(path)
    db.executescript("PRAGMA page_size = 4096;" + (RELEASED / "2026-11-first.sql").read_text(encoding="utf-8"))
    db.close()
    open_store(f"sqlite:///{path}").close()
    vacuum(path, quiet)
    open_store(f"sqlite:///{tmp_path}/new.db").close()
    for file in (path, tmp_path / "new.db"):
        db = sqlite3.connect(file)
        assert db.execute("PRAGMA page_size").fetchone() == (1024,)
        db.close()
    assert problems(path) == []


OLDEST = """SELECT (SELECT min(first) FROM sealed), (SELECT min(start) * 21600000 FROM rollups WHERE width = 300),
    (SELECT min(start) * 86400000 FROM rollups WHERE width = 3600)"""


def test_a_month_stays_within_its_bounds(tmp_path: Path) -> None:
    """Five weeks of a snapshot each half hour of two nodes; exact for a week, then coarser for a week each."""
    path, keep = tmp_path / "store.db", Retention(7 * DAY, 14 * DAY, 21 * DAY)
    store = open_store(f"sqlite:///{path}", retention=keep)
    looking = sqlite3.connect(path)
    rows, pages = [], []
    names = tuple(f"cache-{i}" for i in range(60))
    for hour in range(35 * 24):
        at = START + hour * HOUR
        items = [snapshot(n, at + 1800 * i, hour % 50 + i, names) for n in ("a", "b") for i in range(2)]
        store.append([received(item) for item in items]).result(20)
        if hour % 24 not in (5, 11, 17, 23):
            continue
        now = at + HOUR + 600
        store.maintain(now)
        if hour % 24 == 23:
            counts = (
                "SELECT (SELECT count(*) FROM recent), (SELECT count(*) FROM sealed), (SELECT count(*) FROM rollups)"
            )
            rows.append(looking.execute(counts).fetchone())
            pages.append(looking.execute("PRAGMA page_count").fetchone()[0])
            # A tier reaches back as far as promised, but for the rest of the row at its end, which goes whole.
            tiers = zip(looking.execute(OLDEST).fetchone(), (7, 14, 21), (HOUR, 6 * HOUR, DAY), strict=True)
            for oldest, days, span in tiers:
                reach = now - max(oldest / 1000, START)
                assert min(days * DAY, now - START) - span <= reach <= days * DAY + span
    looking.close()
    assert [n.node for n in store.nodes()] == ["a", "b"]
    assert store.status().problem is None
    assert rows[21:] == [rows[21]] * 13 + [rows[-1]]
    assert max(pages[21:]) <= pages[21] * 1.05  # nothing grows any more
    for node in ("a", "b"):
        end = START + 35 * DAY
        hourly, fine = (
            {s.node: sum(int(b.samples.sum()) for b in s.boots) for s in store.window(end - back, end, width)}
            for back, width in ((19 * DAY, 3600), (13 * DAY, 300))
        )
        assert (hourly[node], fine[node]) == (19 * 48, 13 * 48)
    store.close()
    assert problems(path) == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    store = open_store(f"sqlite:///{path}")
    for hour in range(50):
        names = tuple(f"cache-{i}-{hour}" for i in range(100))
        store.append([received(snapshot("n", START + hour * HOUR + i, i, names)) for i in range(5)]).result(20)
    store.maintain(START + 25 * HOUR)
    store.close()
    return path


def test_a_backup_beside_a_writer_is_whole(path: Path, tmp_path: Path) -> None:
    store, into, stop = open_store(f"sqlite:///{path}"), tmp_path / "copy.db", threading.Event()
    path.chmod(0o640)
    acknowledged: list[float] = []

    def write() -> None:
        while not stop.is_set():
            at = START + 60 * HOUR + len(acknowledged)
            store.append([received(snapshot("n", at)), received(snapshot("m", at))]).result(20)
            acknowledged.append(at)
            if len(acknowledged) % 20 == 0:
                store.maintain(at)

    writer = threading.Thread(target=write)
    writer.start()
    while len(acknowledged) < 5:
        threading.Event().wait(0.001)
    before, told = list(acknowledged), list[float]()
    written = back_up(path, into, lambda done, pages: told.append(done / pages))
    assert problems(path) == []  # a check beside the writer
    stop.set()
    writer.join()
    store.close()
    assert written == into.stat().st_size
    assert told[-1] == 1
    assert stat.S_IMODE(into.stat().st_mode) == 0o640
    assert problems(into) == []
    copy = open_store(f"sqlite:///{into}")
    there = {i.taken_at for i in copy.instants("m", None, None, after=None, limit=99_999)}
    assert set(before) <= there <= set(acknowledged) | {acknowledged[-1] + 1}
    assert len(copy.instants("n", None, START + 59 * HOUR, after=None, limit=999)) == 250
    copy.close()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_backup_writes_over_nothing_and_leaves_nothing_behind(path: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(StoreError, match="there is a file of that name"):
        back_up(path, tmp_path / "mine", quiet)
    assert (tmp_path / "mine").read_text() == "mine"
    with pytest.raises(StoreError, match="No such file or directory: name a file in a folder that can be written"):
        back_up(path, tmp_path / "nowhere" / "copy.db", quiet)

    def meanwhile(_done: float, _pages: float) -> None:
        (tmp_path / "late").write_text("theirs")

    with pytest.raises(StoreError, match="there is a file of that name"):
        back_up(path, tmp_path / "late", meanwhile)
    assert (tmp_path / "late").read_text() == "theirs"

    def broken(_done: float, _pages: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(path, tmp_path / "half", broken)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["late", "mine", "store.db", "store.db.lock"]


def test_vacuum_gives_space_back_and_changes_nothing(path: Path) -> None:
    store = open_store(f"sqlite:///{path}", retention=Retention(DAY, DAY, DAY))
    assert isinstance(store, SqliteStore)
    with pytest.raises(StoreError, match="is in use by another process: stop it or name another file"):
        vacuum(path, quiet)
    store.maintain(START + 49 * HOUR)
    store.close()
    kept = check_store(path, quiet)
    before, after = vacuum(path, quiet)
    assert after < before * 0.8
    assert after == path.stat().st_size
    assert check_store(path, quiet) == kept
    assert kept.problems == []
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)  # INCREMENTAL, as before
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()
