"""Folders, archives and ndjson files of dumps, whichever way they lie."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from common.dump_node import parse_stamp
from common.dumps import Tally, read_inputs
from common.errors import InputError, SnapshotError
from common.slabinfo import format_slabinfo
from common.snapshot import Caches, Memory, Snapshot
from common.zstd import zstd

T = 1795388400  # 2026-11-22T23:00:00Z
Tree = dict[str, str]


def slabinfo(active: int, *names: str) -> str:
    names = names or ("dentry", "scsi_cmd_cache")
    count = len(names)
    return format_slabinfo(Caches(list(names), [active] * count, [active + 5] * count, [192] * count))


def write(root: Path, tree: Tree) -> Path:
    for name, text in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def tar(tree: Tree, order: list[str] | None = None) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in order or list(tree):
            member = tarfile.TarInfo(name)
            member.size = len(tree[name].encode())
            archive.addfile(member, io.BytesIO(tree[name].encode()))
    return data.getvalue()


def load(line: bytes) -> Snapshot:
    said = json.loads(line)
    if "node" not in said:
        raise SnapshotError("no node")
    return Snapshot(said["node"], said["taken_at"], Caches([], [], [], []))


def read(*paths: Path, tally: Tally | None = None) -> list[Snapshot]:
    return list(read_inputs(paths, load_line=load, tally=tally))


FLEET: Tree = {
    "a/1795388400.slabinfo": slabinfo(1),
    "a/1795388460.slabinfo": slabinfo(2),
    "b/20261122-230000.slabinfo": slabinfo(3),
    "b/2026-11-22T23:01:00Z": slabinfo(4),
    "notes.txt": "nothing of ours",
    "a/README": "nor this",
}
ALL = [("a", T, 1), ("a", T + 60, 2), ("b", T, 3), ("b", T + 60, 4)]


def facts(snapshots: list[Snapshot]) -> list[tuple[str, float, int]]:
    return [(s.node, s.taken_at, s.caches.active_objs[0]) for s in snapshots]


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("1795388400", T),
        ("1795388400.125", T + 0.125),
        ("20261122-230000", T),
        ("20261122", 20261122.0),  # a number is an epoch
        ("2026-11-22T23:00:00Z", T),
        ("2026-11-23T00:00:00.5+01:00", T + 0.5),
    ],
)
def test_stamps(stamp: str, seconds: float) -> None:
    assert parse_stamp(stamp) == seconds


@pytest.mark.parametrize("stamp", ["", "x", "20261322-230000", "2026-11-22T23:00:00", "99999999-999999"])
def test_what_is_no_stamp(stamp: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_stamp(stamp)


def test_a_fleet_a_folder_holding_it_and_one_node(tmp_path: Path) -> None:
    write(tmp_path / "parent" / "fleet", FLEET)
    (tmp_path / "parent" / "empty").mkdir()
    assert facts(read(tmp_path / "parent" / "fleet")) == ALL
    assert facts(read(tmp_path / "parent")) == ALL
    assert facts(read(tmp_path / "parent" / "fleet" / "b")) == ALL[2:]
    assert facts(read(tmp_path / "parent" / "fleet" / "b", tmp_path / "parent" / "fleet" / "a")) == ALL[2:] + ALL[:2]


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize("prefix", ["", "./", "fleet/", "./fleet/"])
def test_an_archive_in_any_order(pack: Callable[[bytes], bytes], prefix: str, tmp_path: Path) -> None:
    tree = {prefix + name: text for name, text in FLEET.items()}
    order = sorted(tree)
    random.Random(4).shuffle(order)
    path = tmp_path / "fleet.tar"
    path.write_bytes(pack(tar(tree, order)))
    assert facts(read(path)) == ALL


def test_an_archive_of_one_node_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "lvs1.tar.gz").write_bytes(gzip.compress(tar({"1795388400": slabinfo(1)})))
    assert facts(read(tmp_path / "lvs1.tar.gz")) == [("lvs1", T, 1)]


def test_what_lies_beside_a_dump(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "x/node.json": json.dumps(
                {"node": "lvs1", "group": "lvs", "kernel": "6.1.0", "labels": {"rack": "r4"}, "more": 1}
            ),
            f"x/{T}.slabinfo": slabinfo(1),
            f"x/{T}.meminfo": "MemTotal:  8 kB\nMemAvailable:  4 kB\nSReclaimable: 2 kB\nSUnreclaim: 1 kB\n",
            f"x/{T}.uptime": "3600.50 1.00\n",
            f"x/{T}.boot_id": "0b6f0c5e-0000-4000-8000-000000000000\n",
            f"x/{T + 60}.slabinfo": slabinfo(2),
        },
    )
    first, second = read(tmp_path)
    assert (first.node, first.group, first.kernel, first.labels) == ("lvs1", "lvs", "6.1.0", {"rack": "r4"})
    assert first.memory == Memory(8192, 4096, 2048, 1024)
    assert (first.uptime_seconds, first.boot_id) == (3600.5, "0b6f0c5e-0000-4000-8000-000000000000")
    assert (second.node, second.memory, second.uptime_seconds, second.boot_id) == ("lvs1", None, None, None)
    assert first.caches.aliases is None
    assert first.caches.reclaimable is None


def test_links_and_reclaim_flags_hold_until_the_next(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            **{f"n/{T + at}.slabinfo": slabinfo(at) for at in (0, 60, 120, 180)},
            f"n/{T + 240}.slabinfo": slabinfo(240, "dentry", "fresh"),
            f"n/{T + 30}.slabs": ":0000512\nbiovec-16 -> :0000512\nscsi_cmd_cache -> :0000512\n",
            f"n/{T + 60}.reclaimable": "dentry\ninode_cache\n",
            f"n/{T + 180}.slabs": "dentry\n",
        },
    )
    found = read(tmp_path)
    assert [s.caches.aliases for s in found] == [
        None,
        [[], ["biovec-16"]],
        [[], ["biovec-16"]],
        [[], []],
        [[], []],
    ]
    assert [s.caches.reclaimable for s in found] == [None, *[[True, False]] * 3, [True, None]]


def test_links_alone_tell_what_merged_caches_are(tmp_path: Path) -> None:
    names = ("dentry", "ext4_groupinfo_4k", "scsi_cmd_cache")
    links = "ext4_groupinfo_4k -> :a-0000184\nscsi_cmd_cache -> :0000512\n"
    write(tmp_path, {f"n/{T}.slabinfo": slabinfo(0, *names), f"n/{T}.slabs": links})
    (found,) = read(tmp_path)
    assert dict(zip(found.caches.name, found.caches.reclaimable or (), strict=True)) == dict(
        zip(names, (None, True, False), strict=True)
    )


def test_bad_files_are_skipped_counted_and_told(tmp_path: Path) -> None:
    write(
        tmp_path / "fleet",
        {
            **FLEET,
            "a/1795388520.slabinfo": "",
            "a/1795388580.slabinfo": "hello",
            "a/1795388640.slabinfo": slabinfo(9)[:-3] + "\nkmall",
            "a/later.slabinfo": slabinfo(7),
            "a/1795388400.uptime": "soon",
            "a/1795388400.boot_id": "\n",
            "a/1795388400.meminfo": "?",
            "a/node.json": '{"group": 7, "labels": {"rack": 4}}',
            "b/1795388400": slabinfo(8),
            "-bad-/1795388400": slabinfo(8),
            "2024": "a stray file",
            "b/node.json": f'{{"group": "{"g" * 129}"}}',
            "c/node.json": "[]",
        },
    )
    tally = Tally()
    found = read(tmp_path / "fleet", tally=tally)
    assert facts(found) == [*ALL[:2], ("a", T + 240, 9), ("b", T, 8), ALL[3]]
    assert tally.snapshots == 5
    told = [reason.removeprefix(f"{tmp_path}/fleet/") for reason in tally.reasons]
    assert tally.skipped == len(told) == 13
    for expected in (
        ": named like a dump, but not where the nodes are",
        "-bad-: no name for a node",
        "a/later.slabinfo: 'later' is no time",
        "a/node.json: group cannot be '7'",
        "a/node.json: labels cannot be",
        "b/node.json: group cannot be 'ggg",
        "a/1795388400.uptime: uptime: expected seconds since boot",
        "a/1795388400.boot_id: no boot_id",
        "a/1795388400.meminfo: no figure",
        "a/1795388520.slabinfo: empty",
        "a/1795388580.slabinfo: line 1: text: expected the rows of /proc/slabinfo",
        "a/1795388640.slabinfo: read but for line 5: row cut off: kmall",
        "b/20261122-230000.slabinfo: a second dump of the same instant",
    ):
        assert any(reason.startswith(expected) for reason in told), (expected, told)


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstd"])
def test_ndjson(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson.zst"
    path.write_bytes(pack(b'{"node": "a", "taken_at": 5}\n\n{}\n{"node": "b", "taken_at": 4}'))
    tally = Tally()
    assert [(s.node, s.taken_at) for s in read(path, tally=tally)] == [("a", 5), ("b", 4)]
    assert tally.reasons == [f"{path}: line 3: no node"]


def test_reasons_are_kept_of_the_first_hundred(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    path.write_bytes(b'{"node": "a", "taken_at": 5}\n' + b"{}\n" * 101)
    tally = Tally()
    assert len(read(path, tally=tally)) == 1
    assert (tally.skipped, len(tally.reasons)) == (101, 100)


def test_ndjson_lines_may_pass_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_bytes(b"one\ntwo\n")
    assert list(read_inputs([tmp_path / "x.ndjson"], load_line=bytes)) == [b"one\n", b"two\n"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.ndjson", b"", "no usable dump in it; expected one snapshot as JSON on each line"),
        ("x.ndjson", b"{}\n", "no usable dump in it: "),
        ("x.ndjson.gz", gzip.compress(b'{"node": "a", "taken_at": 5}\n' * 99, mtime=0)[:-9], "Compressed file ended"),
        ("x.tar", b"", "no readable tar archive"),
        ("x.tar.gz", gzip.compress(b"hello" * 300, mtime=0), "no readable tar archive"),
        ("x.tar.zst", zstd.compress(tar(FLEET))[:-20], "Compressed file ended"),
        ("x.tar", tar({"a/README": "x"}), "no usable dump in it; expected NODE/STAMP.slabinfo"),
        ("x.tar", tar({"../a/1795388400": slabinfo(1)}), "no usable dump in it; expected NODE/STAMP.slabinfo"),
        ("x.tar", tar({"f/a/1795388400": "x", "g/a/1795388400": "x"}), "holds 2 fleets (f, g"),
        ("x.tar", tar({"a/1795388400": "x"}), "no usable dump in it: "),
        ("dump.txt", slabinfo(1).encode(), "a single dump has no node"),
    ],
)
def test_a_path_with_nothing_usable(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "missing")
    with pytest.raises(InputError, match=r"no usable dump in it; expected NODE/STAMP\.slabinfo"):
        read(tmp_path)


def test_a_sparse_member_is_left_alone(tmp_path: Path) -> None:
    """What lies there is not its text: the holes are missing, and as many bytes of the next member would be read."""
    text = slabinfo(1).encode()
    with tarfile.open(tmp_path / "x.tar", mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, hole in (("n/1795388400", 512), ("n/1795388460", 0)):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            if hole:
                member.pax_headers = {"GNU.sparse.map": f"0,{len(text)}", "GNU.sparse.size": f"{len(text) + hole}"}
            archive.addfile(member, io.BytesIO(text))
    tally = Tally()
    assert facts(read(tmp_path / "x.tar", tally=tally)) == [("n", T + 60, 1)]
    assert tally.reasons == []


def test_an_archive_cannot_reach_outside(tmp_path: Path) -> None:
    outside = write(tmp_path, {"outside": slabinfo(666)}) / "outside"
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, kind in (
            ("n/1795388400", tarfile.SYMTYPE),
            ("n/1795388460", tarfile.LNKTYPE),
            ("n/1795388520", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(outside)
            archive.addfile(member)
        good = tarfile.TarInfo("n/1795388580")
        good.size = len(slabinfo(1))
        archive.addfile(good, io.BytesIO(slabinfo(1).encode()))
    (tmp_path / "x.tar").write_bytes(data.getvalue())
    before = sorted(tmp_path.rglob("*"))
    assert facts(read(tmp_path / "x.tar")) == [("n", T + 180, 1)]
    assert sorted(tmp_path.rglob("*")) == before


def test_progress_only_grows_and_ends_full(tmp_path: Path) -> None:
    write(tmp_path / "fleet", FLEET)
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(tar(FLEET)))
    (tmp_path / "x.ndjson").write_bytes(b'{"node": "a", "taken_at": 5}\n' * 9)
    told: list[tuple[float, float]] = []
    paths = [tmp_path / "fleet", tmp_path / "x.tar.gz", tmp_path / "x.ndjson"]
    assert len(list(read_inputs(paths, load_line=load, progress=lambda *at: told.append(at)))) == 17
    done = [at for at, _ in told]
    assert done == sorted(done)
    assert len({total for _, total in told}) == 1
    assert done[-1] == told[0][1]
