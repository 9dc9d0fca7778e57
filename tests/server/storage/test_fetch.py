"""How many rows are decoded together bounds memory and changes no answer."""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from server.assemble import assemble_nodes
from server.buckets import BootSeries
from server.storage import open_store
from server.storage.damage import Damage
from server.storage.fetch import Fetch
from server.storage.layouts import LayoutBook
from tests.server.storage.histories import START, history, received, snapshot

HOUR_MS = 3_600_000
LOW = int(START * 1000)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Some hours of several nodes, of which all but the last are sealed."""
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", clock=lambda: 0.0)
    coming = history(3, steps=300)
    store.append(coming).result()
    store.maintain(max(one.received_at for one in coming))
    store.close()
    opened = sqlite3.connect(tmp_path / "store.db")
    yield opened
    opened.close()


def fetched(
    db: sqlite3.Connection, low: int, high: int, width: int, most: int = 2**21
) -> dict[int, tuple[BootSeries, ...]]:
    nodes = [number for (number,) in db.execute("SELECT id FROM nodes")]
    fetch = Fetch(db, LayoutBook(db), dict(db.execute("SELECT id, label FROM boots")), Damage(), nodes, most=most)
    return assemble_nodes(fetch.blocks(nodes, low, high, width), fetch.rows, width)


@pytest.mark.parametrize("most", [0, 30, 100])
@pytest.mark.parametrize("width", [60, 300, 3600])
def test_fewer_at_once_give_the_same(db: sqlite3.Connection, most: int, width: int) -> None:
    last = db.execute("SELECT max(taken) FROM nodes").fetchone()[0]
    for low, high in ((LOW, last), (LOW + 1_234_567, last - 100_000), (last - 2 * HOUR_MS, last)):
        found, expected = fetched(db, low, high, width, most=most), fetched(db, low, high, width)
        assert found.keys() == expected.keys()
        for node, boots in expected.items():
            assert len(found[node]) == len(boots)
            for mine, one in zip(found[node], boots, strict=True):
                assert (mine.boot, mine.rows) == (one.boot, one.rows)
                for field in fields(BootSeries):
                    if field.name not in {"boot", "rows"}:
                        np.testing.assert_array_equal(getattr(mine, field.name), getattr(one, field.name))


def test_wide_layouts_take_no_more_memory_at_once(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", clock=lambda: 0.0)
    names = tuple(f"cache-{number}" for number in range(1000))
    for step in range(20):
        store.append([received(snapshot(f"n{n}", START + 10 * step, step, names)) for n in range(20)]).result()
    store.close()
    db = sqlite3.connect(tmp_path / "store.db")
    peaks = []
    for most in (20_000, 2**21):
        tracemalloc.start()
        fetched(db, LOW, LOW + 600_000, 300, most=most)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    db.close()
    assert peaks[0] < 0.4 * peaks[1]
