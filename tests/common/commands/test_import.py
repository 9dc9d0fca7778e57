"""`slabhound import`: everything readable is sent once, and what became of it is said."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.commands import import_
from common.errors import InputError, ServerError
from common.slabinfo import format_slabinfo
from common.snapshot import to_wire
from tests.common.commands.fake import SERVER, FakeServer, made_options, shown
from tests.factories import make_history


class Archive:
    """Keeps what it is sent, up to `room` requests; a node named `bad` is refused."""

    def __init__(self, room: int = 100) -> None:
        self.kept: list[Any] = []
        self._room = room

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self._room -= 1
        if self._room < 0:
            problem = {"type": "urn:slabhound:problem:store-full", "detail": "the disk is full: make room"}
            return httpx.Response(503, json=problem, headers={"retry-after": "30"})
        batch = [json.loads(line) for line in gzip.decompress(request.content).splitlines()]
        errors = [{"pointer": f"/{i}/node", "detail": "bad"} for i, one in enumerate(batch) if one["node"] == "bad"]
        if errors:
            return httpx.Response(422, json={"title": "Refused", "errors": errors})
        new = [one for one in batch if one not in self.kept]
        self.kept += new
        return httpx.Response(201, json={"stored": len(new), "duplicates": len(batch) - len(new)})


def send(archive: Archive, *paths: Path, **values: Any) -> tuple[int, str]:
    options = made_options(path=[str(path) for path in paths], **values)
    status = import_.run(options, transport=FakeServer({"/snapshots": archive}).transport)
    return status, shown(options)


def folder_of(tmp_path: Path, node: str = "lvs1") -> Path:
    folder = tmp_path / "fleet" / node
    folder.mkdir(parents=True)
    for snapshot in make_history(node):
        (folder / f"{snapshot.taken_at:.0f}.slabinfo").write_text(format_slabinfo(snapshot.caches))
    return folder.parent


def test_a_folder_twice(tmp_path: Path) -> None:
    archive, folder = Archive(), folder_of(tmp_path)
    look = f"look at them: slabhound report --server {SERVER} --at 2026-11-23T00:09:00.000Z --window 9m\n"
    assert send(archive, folder) == (0, "10 snapshots stored, 0 were there already\n" + look)
    assert send(archive, folder) == (0, "0 snapshots stored, 10 were there already\n" + look)
    assert [one["node"] for one in archive.kept] == ["lvs1"] * 10
    usual = "http://127.0.0.1:8080"
    assert send(archive, folder, server=usual)[1].endswith(look.replace(f" --server {SERVER}", ""))


def test_lines_are_sent_as_they_are(tmp_path: Path) -> None:
    wires = [{**to_wire(snapshot), "a_later_version": 1} for snapshot in make_history()]
    (tmp_path / "spool.ndjson").write_text("\n\n".join(map(json.dumps, wires)))
    archive = Archive()
    assert send(archive, tmp_path / "spool.ndjson")[0] == 0
    assert archive.kept == wires


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    archive, folder = Archive(), folder_of(tmp_path)
    (folder / "lvs1" / "5.slabinfo").write_text("nonsense\n")
    (tmp_path / "bad.ndjson").write_text(json.dumps(to_wire(make_history("bad")[0])))
    status, text = send(archive, folder, tmp_path / "bad.ndjson")
    assert status == 1
    assert "10 snapshots stored, 0 were there already, 1 refused by the server, 1 input skipped" in text
    assert f"  {tmp_path}/bad.ndjson: line 1: Refused; /node: bad" in text
    assert "5.slabinfo: line 1" in text
    status, text = send(archive, folder, tmp_path / "bad.ndjson", json=True)
    told = json.loads(text)
    assert (told["stored"], told["duplicates"], told["refused"], told["skipped"]) == (0, 10, 1, 1)
    assert len(told["reasons"]) == 2


class Strict(Archive):
    """Knows no layout, and names what it refuses as the aggregator does."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        batch = gzip.decompress(request.content).splitlines()
        broken = [
            {"pointer": f"/{i}", "detail": "Invalid JSON: no"} for i, one in enumerate(batch) if one == b"nonsense"
        ]
        if broken:
            return httpx.Response(422, json={"detail": f"{broken[0]['pointer']}: Invalid JSON: no", "errors": broken})
        hashes = [found.group(1).decode() for one in batch if (found := re.search(rb'"layout": "(.+?)"', one))]
        if hashes:
            detail = f"unknown layout {', '.join(hashes)}: send these snapshots with caches in full"
            return httpx.Response(409, json={"detail": detail, "layouts": hashes})
        return super().__call__(request)


def test_bad_lines_and_those_of_unknown_layouts_are_left_out_by_file_and_line(tmp_path: Path) -> None:
    good = [json.dumps(to_wire(snapshot)) for snapshot in make_history(count=3)]
    short = [json.dumps({"node": "a", "taken_at": at, "caches": {"layout": f"{at:032}"}}) for at in (4, 6)]
    path = tmp_path / "mix.ndjson"
    path.write_text("\n".join([good[0], short[0], "nonsense", good[1], short[1], good[2]]))
    archive = Strict()
    status, text = send(archive, path)
    assert (status, len(archive.kept)) == (1, 3)
    assert text.splitlines() == [
        "3 snapshots stored, 0 were there already, 3 refused by the server",
        f"  {path}: line 2: unknown layout {4:032}: send these snapshots with caches in full",
        f"  {path}: line 5: unknown layout {6:032}: send these snapshots with caches in full",
        f"  {path}: line 3: Invalid JSON: no",
    ]


def test_past_five_the_others_are_counted_and_json_names_them(tmp_path: Path) -> None:
    archive, folder = Archive(), folder_of(tmp_path)
    for at in range(9):
        (folder / "lvs1" / f"{at}.slabinfo").write_text("nonsense\n")
    (tmp_path / "bad.ndjson").write_text("\n".join(json.dumps(to_wire(one)) for one in make_history("bad", count=7)))
    _, text = send(archive, folder, tmp_path / "bad.ndjson")
    assert [line for line in text.splitlines() if "more" in line] == ["  and 2 more", "  and 4 more"]
    _, text = send(archive, folder, tmp_path / "bad.ndjson", json=True)
    assert len(json.loads(text)["reasons"]) == 16


def test_a_path_that_is_not_there_is_all_that_is_said(tmp_path: Path) -> None:
    options = made_options(path=[str(tmp_path / "nope")])
    with pytest.raises(InputError, match="nope: No such file"):
        import_.run(options, transport=FakeServer({}).transport)
    assert shown(options) == ""


def test_nothing_stored_is_nothing_to_look_at(tmp_path: Path) -> None:
    assert "look at them" not in send(Archive(), folder_of(tmp_path, "bad"))[1]


def test_what_came_before_a_bad_path_is_stored_all_the_same(tmp_path: Path) -> None:
    archive, folder = Archive(), folder_of(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no usable dump"):
        send(archive, folder, tmp_path / "empty")
    assert len(archive.kept) == 10


def test_a_full_disk_ends_it_and_how_far_it_came_is_said(tmp_path: Path) -> None:
    (tmp_path / "spool.ndjson").write_text("\n".join(json.dumps(to_wire(s)) for s in make_history(count=501)))
    full = f"{SERVER} answered 503: the disk is full: make room"
    with pytest.raises(ServerError) as caught:
        send(Archive(room=0), tmp_path / "spool.ndjson")
    assert str(caught.value) == full
    with pytest.raises(ServerError) as caught:
        send(Archive(room=1), tmp_path / "spool.ndjson")
    assert str(caught.value) == f"{full} (500 snapshots sent before; another import goes on from there)"
