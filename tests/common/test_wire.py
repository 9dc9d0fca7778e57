"""The wire format: what is taken, what is refused and how plainly."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import MalformedError, SnapshotError, UnknownLayoutError
from common.snapshot import Caches, Memory, Snapshot, layout_hash, to_wire
from common.wire import MAX_CACHES, check_caches, load_batch, load_lines, load_snapshot, pointer

COLUMNS: dict[str, Any] = {"name": ["dentry", "x"], "active_objs": [1, 2], "num_objs": [3, 4], "obj_size": [8, 16]}
MINIMAL: dict[str, Any] = {"schema_version": 1, "node": "lvs1", "taken_at": 5, "caches": COLUMNS}


def text(**fields: Any) -> bytes:
    return json.dumps(MINIMAL | fields).encode()


def caches(**columns: Any) -> bytes:
    return text(caches=COLUMNS | columns)


def refused(data: bytes) -> dict[str, str]:
    with pytest.raises(SnapshotError) as caught:
        load_snapshot(data)
    assert "\n" not in str(caught.value)
    return dict(caught.value.errors)


def test_only_the_required_fields_are_needed() -> None:
    assert load_snapshot(text()) == Snapshot("lvs1", 5.0, Caches(["dentry", "x"], [1, 2], [3, 4], [8, 16]))


def test_every_field_comes_back_as_it_was_sent() -> None:
    snapshot = Snapshot(
        node="a.b:c_d-1",
        taken_at=1790000000.125,
        caches=Caches(
            name=["raid5/md0", "biovec-(256)", "eventpoll pwq", "dup", "dup"],
            active_objs=[0, 2**63 - 1, 1, 1, 1],
            num_objs=[1, 2**63 - 1, 1, 1, 1],
            obj_size=[1, 2, 3, 4, 5],
            objs_per_slab=[1, None, 3, 4, 5],
            pages_per_slab=[1, 2, 4, 8, 16],
            active_slabs=[None, 1, 1, 1, 1],
            num_slabs=[1, 1, 1, 1, 1],
            reclaimable=[True, False, None, False, False],
            aliases=[[], None, ["biovec-16", "naïve cache"], [], []],
        ),
        group="lvs web",
        labels={"rack": "r4", "": ""},
        interval_seconds=0.5,
        boot_id="0b6f",
        uptime_seconds=86400.5,
        kernel="6.1.0-28-amd64",
        machine="x86_64",
        cpus=8,
        page_size=65536,
        memory=Memory(1, 2, None, 4),
        read_seconds=0.0021,
    )
    assert load_snapshot(json.dumps(to_wire(snapshot))) == snapshot
    assert load_snapshot(to_wire(snapshot)) == snapshot


def test_null_is_the_same_as_absent() -> None:
    optional = ("group", "labels", "interval_seconds", "boot_id", "uptime_seconds", "kernel", "machine", "cpus")
    absent = text(**dict.fromkeys((*optional, "page_size", "memory", "read_seconds")))
    assert load_snapshot(absent) == load_snapshot(text())
    columns = ("objs_per_slab", "pages_per_slab", "active_slabs", "num_slabs", "reclaimable", "aliases", "layout")
    assert load_snapshot(caches(**dict.fromkeys(columns))) == load_snapshot(text())


def test_unknown_fields_are_ignored_and_later_versions_taken() -> None:
    assert load_snapshot(text(schema_version=7, colour="red")) == load_snapshot(caches(weight=[1]))


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ("2026-11-22T23:00:00.125Z", 1795388400.125),
        ("2026-11-23T00:00:00.125+01:00", 1795388400.125),
        (1795388400.125, 1795388400.125),
        (1795388400, 1795388400.0),
        ("1795388400.125", 1795388400.125),
        (0, 0.0),
    ],
)
def test_times_are_rfc_3339_or_epoch(sent: object, seconds: float) -> None:
    assert load_snapshot(text(taken_at=sent)).taken_at == seconds


@pytest.mark.parametrize(
    "sent",
    [
        "2026-11-22T23:00:00",
        "yesterday",
        "",
        "{x}",
        True,
        None,
        [],
        -1,
        1e300,
        math.nan,
        math.inf,
        1.8e12,
    ],
)
def test_other_times_are_refused(sent: object) -> None:
    assert list(refused(text(taken_at=sent))) == ["/taken_at"]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        *(("/node", node) for node in ("", "-x", "a b", "a/b", "x" * 254, "a\n", "ü", 5, None)),
        *(("/schema_version", version) for version in (0, True, "1", 1.5, None)),
        *(("/group", group) for group in ("", "x" * 129, "a\x1bb", 5)),
        *(("/cpus", number) for number in (True, "8", 8.0, -1, 2**63, 10**400, math.nan)),
        *(("/uptime_seconds", number) for number in (-0.1, math.inf, "5", True, 1e11)),
        *(("/interval_seconds", number) for number in (0, -1, math.nan)),
        ("/kernel", "x" * 257),
        ("/boot_id", "a\nb"),
        ("/labels", {str(n): "" for n in range(65)}),
        ("/labels", []),
    ],
)
def test_what_breaks_a_bound_is_named(at: str, value: object) -> None:
    assert list(refused(text(**{at[1:]: value}))) == [at]


@pytest.mark.parametrize(
    ("columns", "at"),
    [
        ({"num_objs": [3]}, "/caches/num_objs"),
        ({"aliases": [[], [], []]}, "/caches/aliases"),
        ({"active_objs": None}, "/caches/active_objs"),
        ({"active_objs": [1, None]}, "/caches/active_objs/1"),
        ({"num_objs": [1, -1]}, "/caches/num_objs/1"),
        ({"num_objs": [1, 2**63]}, "/caches/num_objs/1"),
        ({"num_objs": [1, True]}, "/caches/num_objs/1"),
        ({"obj_size": [1, "2"]}, "/caches/obj_size/1"),
        ({"name": ["a", ""]}, "/caches/name/1"),
        ({"name": ["a", "x" * 257]}, "/caches/name/1"),
        ({"name": ["a", "b\nc"]}, "/caches/name/1"),
        ({"reclaimable": [0, 1]}, "/caches/reclaimable/0"),
        ({"aliases": [[], [5]]}, "/caches/aliases/1/0"),
        ({"layout": "0" * 32}, "/caches/name"),
    ],
)
def test_columns_are_checked_entry_by_entry(columns: dict[str, Any], at: str) -> None:
    assert next(iter(refused(caches(**columns)))) == at


def test_the_bound_on_rows_is_in_the_message() -> None:
    rows = MAX_CACHES + 1
    many = {"name": ["x"] * rows, "active_objs": [1] * rows, "num_objs": [1] * rows, "obj_size": [1] * rows}
    assert str(MAX_CACHES) in refused(text(caches=many))["/caches/name"]


def test_an_error_list_stays_short_and_names_every_bad_snapshot() -> None:
    bad = MINIMAL | {"caches": COLUMNS | {"num_objs": [-1] * 1000}}
    with pytest.raises(SnapshotError) as caught:
        load_batch(json.dumps([bad, MINIMAL, bad]))
    pointers = [at for at, _ in caught.value.errors]
    assert len(pointers) == 16
    assert {at.split("/")[1] for at in pointers} == {"0", "2"}


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"node": "\\ud800"}', b"[" * 100_000, b'{"a": ' + b"9" * 5000])
def test_what_is_not_json_is_malformed(data: bytes) -> None:
    for load in (load_snapshot, load_batch):
        with pytest.raises(MalformedError):
            load(data)


def test_a_lone_surrogate_in_python_data_is_refused() -> None:
    with pytest.raises(SnapshotError):
        load_snapshot(MINIMAL | {"node": "\ud800"})


def test_a_batch_lists_every_bad_index() -> None:
    wrong_length = MINIMAL | {"caches": COLUMNS | {"num_objs": [1]}}
    with pytest.raises(SnapshotError) as caught:
        load_batch(json.dumps([MINIMAL, 5, wrong_length, MINIMAL | {"node": ""}]))
    assert [at for at, _ in caught.value.errors] == ["/1", "/2/caches/num_objs", "/3/node"]
    assert len(load_batch(json.dumps([MINIMAL, MINIMAL]))) == 2
    assert load_batch(b"[]") == []


def test_lines_count_only_snapshots() -> None:
    with pytest.raises(SnapshotError) as caught:
        load_lines([text(), b"", b"  ", b"{", text(node="")])
    assert [at for at, _ in caught.value.errors] == ["/1", "/2/node"]
    assert len(load_lines([text(), b"\r", text()])) == 2


def test_a_layout_stands_for_its_columns() -> None:
    full = Caches(["a", "b"], [1, 2], [3, 4], [8, 16], reclaimable=[True, None], active_slabs=[1, 1])
    known = {layout_hash(full): full}
    sent = json.dumps(to_wire(Snapshot("n", 5.0, full), layout=layout_hash(full)))
    assert load_snapshot(sent, resolve=known.get).caches == full
    with pytest.raises(UnknownLayoutError) as caught:
        load_lines([sent.encode()] * 2)
    assert caught.value.layouts == (layout_hash(full),)


@pytest.mark.parametrize("unknown", ["deadbeef", "f" * 64, "sha256:0a-B_c"])
def test_any_hash_may_be_an_unknown_layout(unknown: str) -> None:
    with pytest.raises(UnknownLayoutError) as caught:
        load_snapshot(text(caches={"layout": unknown, "active_objs": [1], "num_objs": [1]}))
    assert caught.value.layouts == (unknown,)


def test_what_is_no_hash_is_refused_as_a_layout() -> None:
    assert list(refused(text(caches={"layout": "a'b", "active_objs": [1], "num_objs": [1]}))) == ["/caches/layout"]


def test_a_layout_of_another_length_is_refused() -> None:
    full = Caches(["a"], [1], [1], [1])
    sent = text(caches={"layout": "0" * 32, "active_objs": [1, 2], "num_objs": [1, 2]})
    with pytest.raises(SnapshotError) as caught:
        load_snapshot(sent, resolve=lambda _: full)
    assert [at for at, _ in caught.value.errors] == ["/caches/active_objs", "/caches/num_objs"]


def test_rows_from_elsewhere_are_held_to_the_same_bounds() -> None:
    check_caches(Caches(["a"], [1], [1], [1]))
    with pytest.raises(SnapshotError):
        check_caches(Caches(["a\x1b[2J"], [1], [1], [1]))


def test_a_pointer_is_escaped() -> None:
    assert pointer(["labels", "a/b~c", 0]) == "/labels/a~1b~0c/0"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys((*MINIMAL, "labels", "group", "memory"), JSON)), JSON)
def test_nothing_fails_but_with_its_own_error(fields: dict[str, Any], column: Any) -> None:
    for snapshot in (fields, MINIMAL | fields, MINIMAL | {"caches": COLUMNS | {"name": column}}):
        try:
            load_snapshot(json.dumps(snapshot))
        except SnapshotError as error:
            assert "\n" not in str(error)  # noqa: PT017 - what is not raised needs no message
        with pytest.raises(SnapshotError):
            load_snapshot({**snapshot, "node": None})
