"""Stores that lie where nothing can be written: checked and backed up all the same, or told why not.

A `-shm` that is a link to nowhere stops SQLite as a read-only disk does, for root too.
"""

from __future__ import annotations

import resource
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.errors import StoreError
from server.storage import open_store
from server.storage.checks import check_store
from server.storage.upkeep import back_up, vacuum
from tests.server.storage.histories import START, received, snapshot


def quiet(*_: object) -> None:
    """Nobody looks on."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of three snapshots, its name no plain URL, which cannot have a `-shm`."""
    path = tmp_path / "a store?#%.db"
    store = open_store(f"sqlite:///{path}")
    store.append([received(snapshot("a", START + i, i)) for i in range(3)]).result(20)
    store.close()
    Path(f"{path}-shm").symlink_to(tmp_path / "no folder" / "file")
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        sqlite3.connect(path).execute("SELECT count(*) FROM recent")
    return path


def test_a_store_is_checked_where_nothing_can_be_written(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    link = tmp_path / "link.db"
    link.symlink_to(path)
    for name in (path, link):
        found = check_store(name, quiet)
        assert (found.problems, found.snapshots) == ([], 3)
    assert path.read_bytes() == before


def test_such_a_store_is_backed_up_as_a_file_that_can_be_written(path: Path, tmp_path: Path) -> None:
    path.chmod(0o440)
    into = tmp_path / "copy.db"
    back_up(path, into, quiet)
    assert stat.S_IMODE(into.stat().st_mode) == 0o640
    assert check_store(into, quiet).snapshots == 3


@pytest.mark.parametrize(
    ("suffix", "says"),
    [("-wal", "its last commits lie in"), ("-journal", "a change half made is to be undone from")],
)
def test_nothing_is_passed_over_that_lies_beside_the_store(path: Path, tmp_path: Path, suffix: str, says: str) -> None:
    beside = Path(f"{path}{suffix}")
    beside.write_bytes(bytes(4096))
    link = tmp_path / "link.db"
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(StoreError) as refused:
            check_store(name, quiet)
        assert str(refused.value) == (
            f"store {name}: {says} {beside}, and nothing can be written there:"
            " copy both to a folder that can be written, or make this one writable"
        )
    with pytest.raises(StoreError, match=says):
        back_up(path, tmp_path / "copy.db", quiet)
    assert not (tmp_path / "copy.db").exists()


@contextmanager
def no_room() -> Iterator[None]:
    """No file of this process may become longer than three bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_store_on_a_full_disk_is_checked_or_it_says_that_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(f"sqlite:///{path}")
    store.append([received(snapshot("a", START + i, i)) for i in range(3)]).result(20)
    store.close()
    with no_room():
        assert check_store(path, quiet).snapshots == 3
        with pytest.raises(StoreError, match="the disk is full: make room"):
            vacuum(path, lambda: None)
    Path(f"{path}-wal").write_bytes(bytes(4096))
    with no_room(), pytest.raises(StoreError, match="the disk is full: make room"):
        check_store(path, quiet)


def test_a_look_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_store(f"sqlite:///{path}").close()
    check_store(path, quiet)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store.db", "store.db.lock"]


def test_what_is_no_store_is_told_from_what_cannot_be_reached(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path in (tmp_path, tmp_path / "empty", tmp_path / "none", tmp_path / "empty" / "below"):
        with pytest.raises(StoreError, match="there is none: name another, see slabhound store --help"):
            check_store(path, quiet)
    with pytest.raises(StoreError, match="File name too long: name another, or run this as root"):
        check_store(tmp_path / ("x" * 300), quiet)
