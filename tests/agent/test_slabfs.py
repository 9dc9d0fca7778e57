"""/sys/kernel/slab is read once a boot, again when names change, and no more."""

from __future__ import annotations

from agent.reader import read_bytes
from agent.slabfs import REFRESH_SECONDS, SlabFolder
from tests.agent.conftest import Kernel

NAMES = ["scsi_cmd_cache", "raid5-md0", "dentry", "kmem_cache"]


class Watched:
    """A folder that counts what is read, on a clock that stands still."""

    def __init__(self, kernel: Kernel) -> None:
        self.reads: list[str] = []
        self.now = 0.0
        self.folder = SlabFolder(str(kernel.sys), clock=lambda: self.now, read=self.read)

    def read(self, path: str) -> bytes:
        self.reads.append(path.split("/")[-2])
        return read_bytes(path)


def test_flags_and_aliases(kernel: Kernel) -> None:
    reclaimable, aliases = Watched(kernel).folder.columns("boot", NAMES)
    assert reclaimable == [False, False, True, False]
    assert aliases == [["biovec-16"], [], [], []]


def test_is_not_read_again_within_a_boot(kernel: Kernel) -> None:
    watched = Watched(kernel)
    first = watched.folder.columns("boot", NAMES)
    assert len(watched.reads) == 4
    assert watched.folder.columns("boot", list(NAMES)) == first
    assert len(watched.reads) == 4


def test_a_new_name_is_read_alone(kernel: Kernel) -> None:
    watched = Watched(kernel)
    watched.folder.columns("boot", NAMES)
    kernel.cache("xfs_inode", reclaimable=True)
    kernel.cache("xfs_buf", folder=":0000512")
    watched.reads.clear()
    reclaimable, aliases = watched.folder.columns("boot", ["xfs_inode", *NAMES])
    assert watched.reads == ["xfs_inode"]
    assert reclaimable == [True, False, False, True, False]
    assert aliases is not None
    assert aliases[1] == ["biovec-16", "xfs_buf"]


def test_a_new_boot_is_read_whole(kernel: Kernel) -> None:
    watched = Watched(kernel)
    watched.folder.columns("boot", NAMES)
    watched.folder.columns("another", NAMES)
    assert len(watched.reads) == 8


def test_a_link_that_came_later_is_found_within_an_hour(kernel: Kernel) -> None:
    watched = Watched(kernel)
    watched.folder.columns("boot", NAMES)
    kernel.cache("uid_cache", folder=":0000512")
    watched.now += REFRESH_SECONDS
    _, aliases = watched.folder.columns("boot", NAMES)
    assert aliases is not None
    assert aliases[0] == ["biovec-16", "uid_cache"]
    assert len(watched.reads) == 4


def test_a_slash_is_a_bang_in_sysfs(kernel: Kernel) -> None:
    kernel.cache("raid5!md0", reclaimable=True)
    reclaimable, _ = Watched(kernel).folder.columns("boot", ["raid5/md0"])
    assert reclaimable == [True]


def test_a_duplicate_name_is_read_once(kernel: Kernel) -> None:
    watched = Watched(kernel)
    reclaimable, _ = watched.folder.columns("boot", ["dentry", "dentry"])
    assert reclaimable == [True, True]
    assert watched.reads == ["dentry"]


def test_a_cache_without_a_folder_is_not_known(kernel: Kernel) -> None:
    reclaimable, aliases = Watched(kernel).folder.columns("boot", ["dentry", "gone", "bad\0name"])
    assert reclaimable == [True, None, None]
    assert aliases == [[], [], []]


def test_without_sysfs_both_columns_are_absent(kernel: Kernel) -> None:
    folder = SlabFolder(str(kernel.sys / "nowhere"), clock=lambda: 0.0)
    assert folder.columns("boot", NAMES) == (None, None)
