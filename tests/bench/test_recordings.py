"""Holds that a folder without recorded fleets is said to be one, before anything is measured."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bench.detection.recordings import archives
from common.errors import ConfigError

TRUTH: dict[str, Any] = {"leak": None, "events": []}


def archive(path: Path, name: str) -> Path:
    data = json.dumps(TRUTH).encode()
    with tarfile.open(path, "w") as out:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        out.addfile(member, io.BytesIO(data))
    return path


def test_what_is_true_of_every_archive_is_read(tmp_path: Path) -> None:
    paths = [archive(tmp_path / f"{name}.tar", "fleet/truth.json") for name in "ba"]
    assert archives(tmp_path) == [(path, TRUTH) for path in sorted(paths)]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("here", "here: no archive (*.tar*) in it"),
        ("gone", "gone: no such folder"),
        ("bare", "a.tar: no truth.json in it"),
    ],
)
def test_a_folder_without_recordings_is_named(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "bare").mkdir()
    archive(tmp_path / "bare" / "a.tar", "fleet/node1.slabinfo")
    with pytest.raises(ConfigError) as caught:
        archives(tmp_path / name)
    assert str(caught.value).endswith(says)


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no archive at all")
    with pytest.raises(ConfigError, match=r"a\.tar: "):
        archives(tmp_path)


def test_the_command_says_so_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.detection", "--recordings", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr == f"python -m bench.detection: --recordings: {tmp_path}: no archive (*.tar*) in it\n"
