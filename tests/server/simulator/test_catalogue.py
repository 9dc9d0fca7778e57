"""The lists of simulated kernels."""

from __future__ import annotations

import pytest

from server.simulator.catalogue import KERNELS, catalogue, objects_and_pages


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_a_kernel_lists_as_many_caches_as_real_ones(kernel: str) -> None:
    assert 150 <= len(catalogue(kernel)) <= 450


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_every_row_has_an_identity(kernel: str) -> None:
    rows = catalogue(kernel)
    assert len({(row.name, row.size, row.ordinal) for row in rows}) == len(rows)


def test_a_name_may_repeat_and_hold_a_slash() -> None:
    names = [row.name for row in catalogue("6.1")]
    assert names.count("mlx5_fs_ftes") == 2
    assert "raid5/md0" in names


def test_another_kernel_has_other_sizes_for_the_same_names() -> None:
    old = {row.name: row.size for row in catalogue("6.1")}
    new = {row.name: row.size for row in catalogue("6.12")}
    assert len([name for name in old.keys() & new.keys() if old[name] != new[name]]) >= 20


def test_a_merged_cache_shows_only_as_an_alias() -> None:
    rows = {row.name: row for row in catalogue("merged")}
    assert "scsi_cmd_cache" not in rows
    assert "scsi_cmd_cache" in rows["skbuff_fclone_cache"].aliases


def test_random_copies_stand_beside_the_plain_cache() -> None:
    names = [row.name for row in catalogue("random")]
    assert len([name for name in names if name.startswith("kmalloc-rnd-") and name.endswith("-64")]) == 15
    assert names.count("kmalloc-64") == 1


@pytest.mark.parametrize(
    ("size", "cpus", "expected"),
    [
        # As Debian's 6.1 kernel prints them on one CPU, a 6.18 kernel on two.
        (256, 1, (16, 1)),
        (512, 1, (8, 1)),
        (640, 1, (12, 2)),
        (832, 1, (19, 4)),
        (1192, 1, (13, 4)),
        (2304, 1, (14, 8)),
        (4096, 1, (8, 8)),
        (8384, 1, (3, 8)),
        (8192, 1, (4, 8)),
        (512, 2, (16, 2)),
        (320, 2, (12, 1)),
        (1024, 2, (16, 4)),
        (2240, 2, (14, 8)),
        (51488, 2, (1, 16)),
    ],
)
def test_slabs_are_as_big_as_the_kernel_makes_them(size: int, cpus: int, expected: tuple[int, int]) -> None:
    assert objects_and_pages(size, cpus) == expected
