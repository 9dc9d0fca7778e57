"""Holds what the performance page stands on: multiplied stores, pushes, remote write, sections that are replaced."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from bench.performance import page, remote_write
from bench.performance.fleets import HOUR, Stock, fill, fleet, multiply
from bench.performance.pushes import newest
from bench.performance.storage import sizes
from common.wire import load_snapshot
from server.storage import open_store


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    machines = fleet(2, 2.0)
    start = machines.spec.start
    empty = Stock(tmp_path_factory.mktemp("stock"), 2, start, start - 1, 0, 0)
    first, _ = fill(empty, machines, start + HOUR)
    filled, _ = fill(first, machines, machines.end)
    return filled


def test_a_store_is_filled_once_in_two_steps(stock: Stock) -> None:
    machines = fleet(2, 2.0)
    assert stock.snapshots == sum(1 for spec in machines.spec.nodes for _ in machines.snapshots(spec.name))


def test_a_multiplied_store_holds_every_node_so_many_times(stock: Stock, tmp_path: Path) -> None:
    grown = multiply(stock, tmp_path / "grown", 3)
    store = open_store(f"sqlite:///{grown.path}")
    try:
        names = [f"node{i:04d}{k}" for i in range(2) for k in ("", "-1", "-2")]
        assert [state.node for state in store.nodes()] == names
        assert store.status().snapshots == grown.snapshots == 3 * stock.snapshots
        windows = list(store.window(stock.start, stock.end, 300))
        assert [series.node for series in windows] == names
        for name in names:
            base = store.at(name.partition("-")[0], stock.start + HOUR)
            copy = store.at(name, stock.start + HOUR)
            assert base
            assert copy
            assert copy.snapshot.caches == base.snapshot.caches
            assert copy.boot == base.boot
    finally:
        store.close()


def test_the_tiers_add_up_to_the_file(stock: Stock) -> None:
    found = sizes(stock)
    whole = found.pop("the whole file")
    assert sum(found.values()) == pytest.approx(whole)
    assert whole * stock.cells == pytest.approx(stock.path.stat().st_size)


def test_a_template_is_that_snapshot_at_another_time(stock: Stock) -> None:
    one = newest(stock)[0]
    moved = load_snapshot(one.body("other", 60.0))
    assert moved.node == "other"
    assert moved.taken_at == pytest.approx(one.snapshot.taken_at + 60)
    assert moved.caches == one.snapshot.caches
    short = json.loads(one.body("other", short=True))
    assert "name" not in short["caches"]


def fields(message: bytes) -> list[tuple[int, bytes | int]]:
    """A slow reader of protobuf: numbers of fields and what they hold."""
    found: list[tuple[int, bytes | int]] = []
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = number()
        size = {0: 0, 1: 8, 2: -1}[key & 7]
        if not size:
            found.append((key >> 3, number()))
            continue
        length = size if size > 0 else number()
        found.append((key >> 3, message[at : at + length]))
        at += length
    return found


def of(message: object) -> list[tuple[int, bytes | int]]:
    assert isinstance(message, bytes)
    return fields(message)


def test_remote_write_can_be_read_back() -> None:
    labels = remote_write.SeriesLabels("n1", "web", ["dentry", "inode", "dentry"])
    assert labels.rows == [0, 1]
    message = labels.series([300, 7], 12.5)
    found = []
    for _, series in fields(message):
        *named, (_, sample) = of(series)
        value, stamp = (content for _, content in of(sample))
        assert isinstance(value, bytes)
        pairs = [tuple(content for _, content in of(label)) for _, label in named]
        found.append((pairs, struct.unpack("<d", value)[0], stamp))
    expected = [
        (
            [(b"__name__", remote_write.METRIC.encode()), (b"cache", cache), (b"group", b"web"), (b"node", b"n1")],
            v,
            12500,
        )
        for cache, v in ((b"dentry", 300.0), (b"inode", 7.0))
    ]
    assert found == expected


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 200_000])
def test_snappy_s_literals_hold_the_message(size: int) -> None:
    message = bytes(i % 251 for i in range(size))
    body = remote_write.request([message])
    header = remote_write.varint(size)
    assert body.startswith(header)
    at, out = len(header), b""
    while at < len(body):
        assert body[at] == 0xF4  # a literal whose length less one stands in two bytes
        (length,) = struct.unpack_from("<H", body, at + 1)
        out += body[at + 3 : at + 4 + length]
        at += 4 + length
    assert out == message


def test_a_section_takes_the_place_of_its_former_self(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"# Page\n\n{page.BEGIN}\n\n{page.END}\n\n## Words\n\nStay.\n", encoding="utf-8")
    page.put(path, ["## A\n\none", "## B\n\ntwo"])
    page.put(path, ["## B\n\nthree"])
    text = path.read_text(encoding="utf-8")
    assert text == f"# Page\n\n{page.BEGIN}\n\n## A\n\none\n\n## B\n\nthree\n\n{page.END}\n\n## Words\n\nStay.\n"


def test_a_page_without_a_place_for_figures_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# Page\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for the figures"):
        page.put(path, ["## A"])
    assert path.read_text(encoding="utf-8") == "# Page\n"
