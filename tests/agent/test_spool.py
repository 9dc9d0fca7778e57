"""The spool: bounded, in order, atomic, there again after a restart."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.packing import pack
from agent.spool import BLOCK, DiskSpool, MemorySpool, Spool
from common.errors import ConfigError


def entry(number: int) -> bytes:
    return b"snapshot %d" % number


def opened(folder: Path, *, blocks: int = 100) -> DiskSpool:
    return DiskSpool(folder, limit=blocks * BLOCK)


def waiting(spool: Spool) -> list[bytes]:
    return [data for _, data in spool.oldest(1000)]


@pytest.fixture(params=["disk", "memory"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Spool:
    return opened(tmp_path) if request.param == "disk" else MemorySpool(limit=1000)


def test_keeps_order(spool: Spool) -> None:
    for number in range(12):
        assert spool.add(entry(number))
    assert len(spool) == 12
    assert waiting(spool) == [entry(number) for number in range(12)]
    assert [data for _, data in spool.oldest(2)] == [entry(0), entry(1)]


def test_forgets_what_is_stored(spool: Spool) -> None:
    numbers = [spool.add(entry(number)) for number in range(3)]
    spool.remove(numbers[1])
    spool.remove(numbers[1])
    spool.remove(0)
    assert waiting(spool) == [entry(0), entry(2)]
    assert len(spool) == 2


def test_gives_up_the_oldest_and_counts(tmp_path: Path) -> None:
    for spool in (opened(tmp_path, blocks=3), MemorySpool(limit=3 * len(entry(0)))):
        for number in range(8):
            spool.add(entry(number))
        assert waiting(spool) == [entry(5), entry(6), entry(7)]
        assert spool.dropped == 5


def test_survives_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    for number in range(11):
        first.add(entry(number))
    first.remove(first.oldest(1)[0][0])
    first.close()
    second = opened(tmp_path)
    assert len(second) == 10
    second.add(entry(11))
    assert waiting(second) == [entry(number) for number in range(1, 12)]


def test_the_bound_holds_for_what_an_earlier_run_left(tmp_path: Path) -> None:
    first = opened(tmp_path)
    for number in range(9):
        first.add(entry(number))
    first.close()
    second = opened(tmp_path, blocks=4)
    second.add(entry(9))
    assert waiting(second) == [entry(number) for number in (6, 7, 8, 9)]
    assert second.dropped == 6


def test_a_file_cut_off_while_written_is_no_snapshot(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "000000000007.ndjson.gz.new").write_bytes(b"half")
    (tmp_path / "README").write_text("left alone")
    assert waiting(opened(tmp_path)) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README", "lock", "rejected"]


def test_nothing_is_half_written_whatever_was_added(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.add(pack('{"node":"a"}'))
    assert [path.suffix for path in tmp_path.glob("0*")] == [".gz"]


def test_a_file_taken_away_is_counted(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for number in range(3):
        spool.add(entry(number))
    sorted(tmp_path.glob("0*"))[1].unlink()
    assert waiting(spool) == [entry(0), entry(2)]
    assert spool.dropped == 1


def test_rejected_snapshots_are_set_aside_bounded_and_counted(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, limit=100 * BLOCK, most_rejected=3)
    for number in range(7):
        spool.reject(entry(number), "422")
    kept = sorted((tmp_path / "rejected").iterdir())
    assert [path.read_bytes() for path in kept] == [entry(4), entry(5), entry(6)]
    assert kept[0].name == "000000000005-422.ndjson.gz"
    assert spool.rejected == 7
    assert len(spool) == 0


def test_two_agents_do_not_share_a_spool(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(ConfigError, match="another agent uses this spool"):
        opened(tmp_path)
    first.close()
    opened(tmp_path)


def test_a_place_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="give --spool"):
        opened(tmp_path / "file" / "spool")


class FullDisk(DiskSpool):
    """A disk that others have filled: it takes `room` more files."""

    room = 2

    def _write(self, path: Path, entry: bytes, *, flush: bool) -> None:
        if len(list(path.parent.glob("0*"))) >= self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        super()._write(path, entry, flush=flush)


def test_on_a_full_disk_the_oldest_makes_room(tmp_path: Path) -> None:
    spool = FullDisk(tmp_path, limit=100 * BLOCK)
    for number in range(4):
        assert spool.add(entry(number))
    assert waiting(spool) == [entry(2), entry(3)]
    assert spool.dropped == 2


def test_a_disk_that_takes_nothing_at_all_is_counted(tmp_path: Path) -> None:
    spool = FullDisk(tmp_path, limit=100 * BLOCK)
    spool.room = 0
    assert spool.add(entry(1)) == 0
    assert spool.dropped == 1
    assert waiting(spool) == []


def test_the_sign_of_life_is_the_time_of_the_lock(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    os.utime(tmp_path / "lock", (1, 1))
    spool.touch()
    assert (tmp_path / "lock").stat().st_mtime > 1


def test_nobody_else_may_read_what_it_makes(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        spool = opened(tmp_path / "made" / "spool")
        spool.add(entry(1))
        spool.reject(entry(2), "422")
    finally:
        os.umask(before)
    made = [tmp_path / "made" / "spool", *(tmp_path / "made" / "spool").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o600}
    assert len(made) == 5
