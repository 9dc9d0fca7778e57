"""The short way into the wire format: it gives what the long way gives, or nothing."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import SnapshotError
from common.snapshot import DATA_COLUMNS, LAYOUT_COLUMNS, Caches, layout_hash
from common.wire import load_batch, load_snapshot
from common.wire_quick import QuickReader

FULL: dict[str, Any] = {
    "schema_version": 1,
    "node": "lvs1",
    "group": "lvs",
    "labels": {"rack": "r4"},
    "taken_at": "2026-11-22T23:00:00.125Z",
    "interval_seconds": 60,
    "boot_id": "0b6f",
    "uptime_seconds": 86400.5,
    "memory": {"total": 8589934592, "available": None},
    "caches": {
        "name": ["dentry", "scsi_cmd_cache"],
        "active_objs": [121970, 700],
        "num_objs": [125454, 736],
        "obj_size": [192, 512],
        "objs_per_slab": [21, 16],
        "pages_per_slab": [1, None],
        "active_slabs": [5974, 46],
        "num_slabs": [5974, 46],
        "reclaimable": [True, False],
        "aliases": [[], ["biovec-16"]],
    },
}
COUNTS = {name: FULL["caches"][name] for name in DATA_COLUMNS}
SHORT = FULL | {"caches": {"layout": "known", **COUNTS}}
LAYOUT = Caches(active_objs=[], num_objs=[], **{name: FULL["caches"][name] for name in LAYOUT_COLUMNS})
LAYOUTS = {"known": LAYOUT}


def reader(rows: int = 100) -> QuickReader:
    quick = QuickReader(LAYOUTS.get, rows)
    quick.learn([load_snapshot(FULL)])
    return quick


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("wire", [FULL, SHORT, FULL | {"unknown": 1}])
def test_a_known_layout_is_taken(wire: dict[str, Any]) -> None:
    expected = [load_snapshot(wire, resolve=LAYOUTS.get)]
    assert reader().read([text(wire)], arrays=False) == expected
    assert reader().read([text([wire, wire])], arrays=True) == expected * 2
    assert reader().read([text(wire), text(wire)], arrays=False) == expected * 2


def test_an_unknown_layout_is_left_to_the_long_way() -> None:
    quick = QuickReader(LAYOUTS.get, 100)
    assert quick.read([text(FULL)], arrays=False) is None
    quick.learn([load_snapshot(FULL)])
    assert quick.read([text(FULL)], arrays=False) is not None
    assert quick.read([text([FULL, FULL | {"caches": {"layout": "strange", **COUNTS}}])], arrays=True) is None


def test_layouts_are_remembered_up_to_a_bound() -> None:
    quick = QuickReader(LAYOUTS.get, 2)
    other = FULL | {"caches": FULL["caches"] | {"obj_size": [192, 513]}}
    for newest, oldest in ((FULL, other), (other, FULL)):
        quick.learn([load_snapshot(newest)])
        assert quick.read([text(newest)], arrays=False) is not None
        assert quick.read([text(oldest)], arrays=False) is None


def test_snapshots_share_their_layout_and_nothing_that_changes() -> None:
    found = reader().read([text([FULL, FULL])], arrays=True)
    assert found is not None
    assert found[0].caches.name is found[1].caches.name
    assert found[0].caches.num_objs is not found[1].caches.num_objs


def test_snapshots_know_the_hash_of_their_layout() -> None:
    found = reader().read([text(FULL)], arrays=False)
    assert found is not None
    assert found[0].caches.layout == layout_hash(LAYOUT)
    assert replace(found[0].caches, name=["other", "names"]).layout is None


LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, 0, 1, -1, 2**32, 2**63, 1.0, 1.5, "", "1", "a\n", [], {}, [1, 2], [1, True], "known"]),
    st.integers(),
    st.text(max_size=3),
)


@settings(max_examples=400)
@given(st.data(), st.sampled_from([FULL, SHORT]), st.booleans())
def test_it_takes_nothing_that_the_long_way_refuses(data: st.DataObject, wire: dict[str, Any], batch: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    """One thing anywhere in the snapshot is replaced, dropped or added."""
    changed = copy.deepcopy(wire)
    place: Any = changed
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys) or [0]))
        child = place[key] if keys else None
        if not isinstance(child, dict | list) or not child or data.draw(st.booleans()):
            break
        place = child
    if isinstance(place, dict) and data.draw(st.integers(0, 3)) == 0:
        place.pop(key)
    elif keys:
        place[key] = data.draw(LEAVES)
    body = text([changed, wire] if batch else changed)
    found = reader().read([body], arrays=batch)
    try:
        resolve = LAYOUTS.get
        expected = load_batch(body, resolve=resolve) if batch else [load_snapshot(body, resolve=resolve)]
    except SnapshotError:
        assert found is None
    else:
        assert found in (None, expected)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"[1]", b"3", b'{"caches": NaN}', b'"\xff"', b"[[]]"])
def test_what_is_no_snapshot_is_left_to_the_long_way(body: bytes) -> None:
    assert reader().read([body], arrays=False) is None
    assert reader().read([body], arrays=True) in (None, [])
