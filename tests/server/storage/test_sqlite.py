"""What is SQLite's own: files, sealing, roll-ups, what survives."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.storage import open_store
from server.storage.base import Store
from tests.server.storage.contract import Reopen, StoreContract


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
