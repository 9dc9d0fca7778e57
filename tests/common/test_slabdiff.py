"""The 2006 program's arguments, lines, order and exit status."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import InputError
from common.slabdiff import CacheDiff, compare_files, diff, format_diff, metric_of
from common.slabinfo import format_slabinfo
from common.snapshot import Caches
from common.zstd import zstd

ROOT = Path(__file__).parents[2]
OLD = Caches(
    ["dentry", "filp", "zspage", "zspage", "gone", "same"],
    [10, 5, 1, 2, 4, 7],
    [20, 8, 3, 4, 4, 9],
    [192, 256, 56, 56, 8, 8],
)
NEW = Caches(
    ["filp", "dentry", "zspage", "zspage", "fresh", "same"],
    [9, 8, 5, 5, 2, 7],
    [16, 20, 5, 5, 3, 9],
    [256, 192, 56, 56, 100, 8],
)
ACTIVE = "dentry: -384\ngone: -32\nfresh: 200\nzspage: 392\nfilp: 1024\n"
ALLOCATED = "gone: -32\nzspage: 168\nfresh: 300\nfilp: 2048\n"


def slabdiff(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    code = "import sys; sys.argv[0] = '/usr/bin/slabdiff'; from common.slabdiff import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], input=stdin, capture_output=True, cwd=ROOT, check=False
    )


@pytest.fixture
def dumps(tmp_path: Path) -> tuple[str, str]:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(format_slabinfo(OLD))
    new.write_text(format_slabinfo(NEW))
    return str(old), str(new)


def test_the_difference_of_two_dumps() -> None:
    assert format_diff(diff(OLD, NEW, "active")) == ACTIVE
    assert format_diff(diff(OLD, NEW, "allocated")) == ALLOCATED
    assert diff(OLD, NEW, "active")[-1] == CacheDiff("filp", 1024, 4)
    assert diff(OLD, OLD, "active") == []


def test_objects_of_another_size_differ_in_bytes() -> None:
    old, new = Caches(["a"], [3], [3], [8]), Caches(["a"], [3], [3], [16])
    assert diff(old, new, "active") == [CacheDiff("a", 24, 0)]
    assert diff(Caches(["a"], [2], [2], [8]), Caches(["a"], [1], [1], [16]), "active") == []


def test_caches_of_equal_difference_stand_by_name() -> None:
    old, new = Caches([], [], [], []), Caches(["b", "a", "c"], [1, 1, 1], [1, 1, 1], [8, 8, 8])
    assert format_diff(diff(old, new, "active")) == "a: 8\nb: 8\nc: 8\n"


def test_sums_past_64_bits_are_exact() -> None:
    huge = 2**63 - 1
    assert diff(Caches([], [], [], []), Caches(["a", "a"], [huge, huge], [huge, huge], [huge, 1]), "active") == [
        CacheDiff("a", huge * huge + huge, 2 * huge)
    ]


@pytest.mark.parametrize(
    ("metric", "output"), [("ac", ACTIVE), ("active", ACTIVE), ("al", ALLOCATED), ("allocated", ALLOCATED)]
)
def test_the_program_prints_it(metric: str, output: str, dumps: tuple[str, str]) -> None:
    done = slabdiff(metric, *dumps)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, output, b"")


@pytest.mark.parametrize("arguments", [(), ("ac",), ("ac", "a"), ("ac", "a", "b", "c"), ("--help",)])
def test_misuse_shows_the_usage_of_2006(arguments: tuple[str, ...]) -> None:
    done = slabdiff(*arguments)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.decode() == (
        "Usage: slabdiff <[ac]tive|[al]located> <file1> <file2>\n\twhere <file[12]> is /proc/slabinfo dump\n"
    )


def test_another_metric_is_told_as_in_2006(dumps: tuple[str, str]) -> None:
    done = slabdiff("acx", *dumps)
    assert done.returncode == 1
    assert done.stderr.decode() == "Error: you must select one of: active (ac), allocated (al)\n"
    with pytest.raises(InputError):
        metric_of("")


def test_dumps_may_be_packed_or_piped(tmp_path: Path, dumps: tuple[str, str]) -> None:
    packed = tmp_path / "any.name"
    packed.write_bytes(gzip.compress(Path(dumps[0]).read_bytes()))
    pipe = io.BytesIO(zstd.compress(Path(dumps[1]).read_bytes()))
    assert compare_files("active", str(packed), "-", stdin=pipe) == ACTIVE
    assert slabdiff("ac", "-", dumps[1], stdin=packed.read_bytes()).stdout.decode() == ACTIVE


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "line 1: text: expected the rows of /proc/slabinfo, found ''"),
        (b"slabinfo - version: 9.9\n", "line 1: version: expected 1.1, 1.2, 2.0 or 2.1, found '9.9'"),
        (gzip.compress(b"hello", mtime=0)[:-3], "Compressed file ended before the end-of-stream marker was reached"),
    ],
)
def test_a_bad_dump_is_one_line(content: bytes, says: str, tmp_path: Path, dumps: tuple[str, str]) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(content)
    done = slabdiff("ac", str(bad), dumps[1])
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"Error: {bad}: {says}\n"


def test_a_missing_file_and_two_pipes_are_one_line(dumps: tuple[str, str]) -> None:
    assert slabdiff("ac", "/nowhere/x", dumps[0]).stderr.decode() == "Error: /nowhere/x: No such file or directory\n"
    assert slabdiff("ac", "-", "-").stderr.decode().startswith("Error: standard input can be only one of the two")


def test_what_is_skipped_of_a_dump_is_said(tmp_path: Path, dumps: tuple[str, str]) -> None:
    cut = tmp_path / "cut"
    cut.write_text(format_slabinfo(NEW).rpartition("same")[0] + "sam")
    done = slabdiff("ac", dumps[0], str(cut))
    assert done.returncode == 0
    assert done.stderr.decode() == f"{cut}: skipped 1 line without a whole row, the first is line 8: row cut off: sam\n"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    many = Caches([f"cache-{i}" for i in range(20000)], [1] * 20000, [1] * 20000, [8] * 20000)
    (tmp_path / "a").write_text(format_slabinfo(Caches(["x"], [1], [1], [1])))
    (tmp_path / "b").write_text(format_slabinfo(many))
    code = "import sys; from common.slabdiff import main; sys.exit(main())"
    command = f'{sys.executable} -c "{code}" ac {tmp_path}/a {tmp_path}/b | head -n 1; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, cwd=ROOT, check=True)
    assert (done.stdout, done.stderr) == (b"x: -1\n0\n", b"")
