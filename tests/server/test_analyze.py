"""`slabhound analyze`: the report over files, through the command line."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.cli import main
from common.snapshot import Snapshot, to_wire
from common.terminal.text import cells
from server.simulator.node import Leak
from tests.factories import fleet_snapshots, make_fleet, make_history


def analyze(*argv: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    status = main(["analyze", *map(str, argv)], environ={}, stdout=out, stderr=err)
    return status, out.getvalue(), err.getvalue()


def write(path: Path, snapshots: list[Snapshot]) -> Path:
    path.write_text("".join(json.dumps(to_wire(snapshot)) + "\n" for snapshot in snapshots))
    return path


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    leak = Leak(("lvs2",), "scsi_cmd_cache", 2_400_000.0, at=4.0)
    fleet = make_fleet(nodes=4, interval=600, leak=leak)
    return write(tmp_path_factory.mktemp("analyze") / "fleet.ndjson", list(fleet_snapshots(fleet)))


def test_the_leak_is_named_and_drawn(leaking: Path) -> None:
    status, text, err = analyze(leaking)
    assert (status, err) == (1, "")
    assert "1. lvs2  scsi_cmd_cache" in text
    assert "█" in text
    assert max(map(cells, text.splitlines())) <= 100


def test_json_is_the_contract_s_report(leaking: Path) -> None:
    status, text, _ = analyze(leaking, "--json", "--window", "12h")
    report: dict[str, Any] = json.loads(text)
    assert status == 1
    assert set(report) >= {"generated_at", "window", "truncated", "groups", "findings", "watch", "notes"}
    assert report["findings"][0]["node"] == "lvs2"
    assert report["window"]["to"].startswith("20")


def test_what_was_skipped_or_came_twice_is_a_note(leaking: Path, tmp_path: Path) -> None:
    (tmp_path / "more.ndjson").write_text(leaking.read_text().splitlines()[0] + "\nnonsense\n")
    _, text, _ = analyze(leaking, tmp_path / "more.ndjson", "--json")
    notes = [note["note"] for note in json.loads(text)["notes"]]
    assert "1 input skipped" in notes
    assert any(note.startswith(f"skipped: {tmp_path}/more.ndjson: line 2: Invalid JSON") for note in notes)
    assert "1 snapshot came twice; the first of each counts" in notes


def test_many_that_were_skipped_are_all_named_for_programs(leaking: Path, tmp_path: Path) -> None:
    good = leaking.read_text().splitlines()[0]
    (tmp_path / "more.ndjson").write_text("nonsense\n" * 9 + good + "\n")
    _, text, _ = analyze(leaking, tmp_path / "more.ndjson", "--json")
    assert text.count("more.ndjson: line ") == 9
    _, text, _ = analyze(leaking, tmp_path / "more.ndjson")
    assert text.count("skipped: ") == 5
    assert "and 4 more skipped" in text


@pytest.mark.parametrize("window", ["all", "24h"])
def test_one_wrong_clock_does_not_hide_a_leak(leaking: Path, tmp_path: Path, window: str) -> None:
    astray = [replace(snapshot, taken_at=at) for snapshot, at in zip(make_history(count=2), (60.0, 9e9), strict=True)]
    status, text, _ = analyze(leaking, write(tmp_path / "astray.ndjson", astray), "--json", "--window", window)
    report = json.loads(text)
    assert status == 1
    assert report["findings"][0]["node"] == "lvs2"
    notes = [note["note"] for note in report["notes"]]
    assert "2 snapshots left out: taken a year or more from the others, by a wrong clock" in notes


def test_too_little_to_judge(tmp_path: Path) -> None:
    for count in (1, 2):
        status, text, _ = analyze(write(tmp_path / "few.ndjson", make_history(count=count)))
        assert status == 2
        assert "nothing could be judged" in text


def test_a_group_that_is_not_there(leaking: Path) -> None:
    status, text, _ = analyze(leaking, "--group", "web")
    assert status == 2
    assert "no node has a snapshot in this window" in text


@pytest.mark.parametrize("name", ["none", "none.ndjson", "none.tar.zst"])
def test_a_path_that_is_not_there(tmp_path: Path, name: str) -> None:
    expected = f"slabhound: {tmp_path / name}: No such file or directory\n"
    assert analyze(tmp_path / name) == (2, "", expected)


def test_a_folder_without_dumps(tmp_path: Path) -> None:
    status, out, err = analyze(tmp_path)
    assert (status, out) == (2, "")
    assert err.startswith(f"slabhound: {tmp_path}: no usable dump in it; expected NODE/STAMP.slabinfo")
