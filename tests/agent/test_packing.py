"""What the agent's gzip streams hold, and how small they are."""

from __future__ import annotations

import gzip
import json
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.packing import Entry, Fresh, in_full, pack, pack_array, unpack
from common.snapshot import layout_hash, to_wire
from common.times import parse_time
from tests.factories import fleet_snapshots, make_caches, make_fleet, make_snapshot

SNAPSHOT = make_snapshot()
HASH = layout_hash(SNAPSHOT.caches)


def test_packing_is_undone_by_unpacking() -> None:
    assert unpack(pack('{"a":1}')) == b'{"a":1}\n'


def test_the_full_form_is_a_line_of_ndjson() -> None:
    text = gzip.decompress(Fresh(SNAPSHOT).full())
    assert text.endswith(b"}\n")
    assert json.loads(text) == to_wire(SNAPSHOT)


def meant(wire: dict[str, Any]) -> dict[str, Any]:
    """As who reads it by the contract: a time is text or a number, and a group there is always."""
    return {**wire, "taken_at": parse_time(str(wire["taken_at"])), "group": wire.get("group", "default")}


@given(
    group=st.sampled_from(["default", "lvs"]),
    taken_at=st.integers(0, 4 * 10**12),
    labels=st.dictionaries(st.text() | st.just(HASH), st.text() | st.just(f'["{HASH}"'), max_size=3),
    counts=st.lists(st.integers(0, 2**63 - 1), max_size=9),
)
def test_the_short_form_means_what_the_wire_s_does(
    group: str, taken_at: int, labels: dict[str, str], counts: list[int]
) -> None:
    caches = make_caches(**{f"c{at}": (count, count, 64) for at, count in enumerate(counts)})
    snapshot = make_snapshot(group=group, taken_at=taken_at / 1000, labels=labels, caches=caches)
    short = json.loads(gzip.decompress(Fresh(snapshot).short(HASH)))
    assert meant(short) == meant(to_wire(snapshot, layout=HASH))
    assert ("group" in short) == (group != "default")


def test_an_array_takes_both_kinds() -> None:
    entries: list[Entry] = [pack('{"a":1}'), Fresh(SNAPSHOT)]
    assert json.loads(gzip.decompress(pack_array(entries))) == [{"a": 1}, to_wire(SNAPSHOT)]
    assert in_full(entries[0]) == entries[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_busy_node_s_short_form_is_about_a_kilobyte(seed: int) -> None:
    """Simulated counts share fewer digits than a kernel's do; 222 caches."""
    snapshots = list(fleet_snapshots(make_fleet(seed=seed, nodes=3, interval=3600.0)))
    sizes = [len(Fresh(snapshot).short(layout_hash(snapshot.caches))) for snapshot in snapshots]
    assert median(sizes) <= 1100
    assert max(sizes) < len(Fresh(snapshots[0]).full()) / 2
