"""What is SQLite's own: files, sealing, roll-ups, what survives."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.storage import open_store
from server.storage.base import Store
from tests.server.storage.contract import Reopen, StoreContract
from tests.server.storage.histories import START, received, snapshot


class TestSqlite(StoreContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        opened: list[Store] = []

        def reopen(**settings: Any) -> Store:
            while opened:
                opened.pop().close()
            opened.append(open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: 0.0, **settings))
            return opened[0]

        yield reopen
        while opened:
            opened.pop().close()


def test_a_long_silence_moves_the_usual_gap_by_little(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: 0.0)
    for at in (0, 30, 3030):
        store.append([received(snapshot("n", START + at))]).result(20)
    assert store.nodes()[0].gap_seconds == pytest.approx(30 + 0.2 * (4 * 30 - 30))
    store.close()


def test_nobody_else_may_read_a_new_store(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: 0.0)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm", "store.db.lock"), 0o600)


def test_a_file_that_was_made_and_never_written_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: 0.0).close()
    assert (tmp_path / "store.db").stat().st_size > 0
