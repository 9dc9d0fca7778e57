"""kill -9 at random moments: nothing acknowledged is lost, nothing is there in part."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.storage import open_store
from server.storage.sqlite import SqliteStore
from tests.server.storage.histories import START, received, snapshot

_CHILD = """
import sys
from concurrent.futures import Future
from server.storage import open_store
from tests.server.storage.histories import START, received, snapshot

store, first = open_store("sqlite:///" + sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
for i in range(first, first + 10_000):
    batch = [received(snapshot(f"n{j}", START + 60 * i + j, i, ("dentry", f"cache-{i // 50}"))) for j in range(3)]
    store.append(batch).add_done_callback(lambda f, i=i: f.result() and print(i, flush=True))
    if i % 97 == 0:
        store.maintain(START + 60 * i)
"""


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    rng, path, acknowledged, first = random.Random(seed), tmp_path / "store.db", set[int](), 0
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(path), str(first)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        time.sleep(rng.random() * 0.6)
        child.kill()
        lines = child.stdout.read().split("\n")
        child.wait()
        child.stdout.close()
        acknowledged |= {int(line) for line in lines[:-1]}  # the last one may be cut
        first = max(acknowledged, default=first) + 1000
        store = open_store(f"sqlite:///{path}")
        stored = {n: [i.taken_at for i in store.instants(n, None, None, after=None, limit=99_999)] for n in _NODES}
        for j, node in enumerate(_NODES):
            there = {round((at - j - START) / 60) for at in stored[node]}
            assert acknowledged <= there
            for i in rng.sample(sorted(acknowledged), min(30, len(acknowledged))):
                found = store.at(node, START + 60 * i + j)
                assert found is not None
                expected = snapshot(node, START + 60 * i + j, i, ("dentry", f"cache-{i // 50}"))
                assert found.snapshot == expected
                assert found.received_at == received(expected).received_at
        assert len({len(times) for times in stored.values()}) == 1  # a batch of three is there whole or not at all
        assert store.status().snapshots == sum(map(len, stored.values()))
        store.maintain(START + 60 * first + 7200)
        store.close()
    assert len(acknowledged) > 10


_NODES = ("n0", "n1", "n2")


def test_commits_are_synced_and_read_beside(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    assert isinstance(store, SqliteStore)
    work = store._writer.submit(
        lambda db, _: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")]
    )
    assert work.result(20) == [2, "wal"]  # FULL: the log is synced at each commit
    store.close()


@pytest.mark.parametrize("name", ["store.db", "link.db"])
def test_the_log_is_copied_and_started_anew(tmp_path: Path, name: str) -> None:
    path = tmp_path / "store.db"
    (tmp_path / "link.db").symlink_to(path)
    store = open_store(f"sqlite:///{tmp_path}/{name}")
    assert isinstance(store, SqliteStore)
    store._writer.log_bytes = 1 << 20
    names, rng = tuple(f"cache-{i}" for i in range(300)), random.Random(1)
    largest = written = 0
    for i in range(80):
        batch = [received(snapshot(f"n{j}", START + i, 0, names)) for j in range(50)]
        for item in batch:
            item.snapshot.caches.active_objs = [rng.randrange(1 << 30) for _ in names]
        store.append(batch).result(20)
        size = path.with_name("store.db-wal").stat().st_size
        largest, written = max(largest, size), written + 50 * 1200
    assert largest < written
    assert store.status().counters["checkpoints"] > 0
    store.close()
    assert not path.with_name("store.db-wal").exists()


def test_a_log_of_usual_size_is_written_over(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    assert isinstance(store, SqliteStore)
    writer, names = store._writer, tuple(f"cache-{i}" for i in range(100))

    def log_after(i: int, *, anew: bool) -> int:
        store.append([received(snapshot(f"n{j}", START + i, 0, names)) for j in range(20)]).result(20)
        size = (tmp_path / "store.db-wal").stat().st_size
        if anew:  # asked for on the writer's own thread, it is done before the next batch and not before this one
            writer.submit(lambda *_: writer._restart_log.set()).result(20)
        return size

    first = log_after(0, anew=False)
    grown = log_after(1, anew=True)
    assert first < grown == log_after(2, anew=False)  # there was room
    writer.log_bytes = grown // 2 - 1
    log_after(3, anew=True)
    assert log_after(4, anew=False) < grown  # it was cut off
    store.close()
