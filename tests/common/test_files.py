"""Files as people name them: plain, gzip, zstd, standard input."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from common.errors import InputError
from common.files import open_binary, read_text
from common.zstd import zstd

TEXT = "slabinfo - version: 2.1\n" + "dentry\n" * 1000


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        gzip.compress(TEXT.encode(), mtime=0),
        gzip.compress(TEXT[:500].encode(), mtime=0) + gzip.compress(TEXT[500:].encode(), mtime=0),
        zstd.compress(TEXT.encode()),
        zstd.compress(TEXT[:500].encode()) + zstd.compress(TEXT[500:].encode()),
    ],
    ids=["plain", "gzip", "gzip members", "zstd", "zstd frames"],
)
def test_packed_files_are_read_as_they_are(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(content)
    assert read_text(path) == TEXT
    assert read_text(str(path)) == TEXT
    assert read_text("-", stdin=io.BytesIO(content)) == TEXT


def test_an_empty_file_is_an_empty_text(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert read_text(tmp_path / "empty") == ""


def test_bytes_that_are_no_text_stay_visible(tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(b"\xef\xbb\xbfa\xffb\xc3\xb6\n")
    assert read_text(tmp_path / "dump") == "a\\xffbö\n"


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(TEXT.encode(), mtime=0)[:-9],
        zstd.compress(TEXT.encode())[:-3],
        b"\x1f\x8bno gzip",
        b"\x28\xb5\x2f\xfdno zstd",
        gzip.compress(TEXT.encode(), mtime=0)[:30] + b"\0" * 40,
    ],
    ids=["cut gzip", "cut zstd", "not gzip", "not zstd", "damaged gzip"],
)
def test_a_damaged_archive_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: "):
        read_text(path)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path, "a\0b"):
        with pytest.raises(InputError) as caught:
            read_text(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(zstd.compress(bytes(65 << 20)))
    with pytest.raises(InputError, match="larger than 64 MiB"):
        read_text(path)


def test_open_binary_reads_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "lines.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    with open_binary(path) as file:
        assert file.readline() == b"slabinfo - version: 2.1\n"
        assert sum(1 for _ in file) == 1000
