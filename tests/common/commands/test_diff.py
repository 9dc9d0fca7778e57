"""`slabhound diff` as a user meets it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from common.cli import main
from common.slabinfo import format_slabinfo
from common.snapshot import Caches


@pytest.fixture
def dumps(tmp_path: Path) -> list[str]:
    for name, count in (("old", 10), ("new", 30)):
        caches = Caches(["dentry", "filp"], [count, 5], [count + 7, 20 - count // 10], [192, 256])
        (tmp_path / name).write_text(format_slabinfo(caches))
    return [str(tmp_path / "old"), str(tmp_path / "new")]


def slabhound(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return main(["diff", *arguments], environ={}, stdout=out, stderr=err), out.getvalue(), err.getvalue()


@pytest.mark.parametrize("metric", ["ac", "active"])
def test_active(metric: str, dumps: list[str]) -> None:
    assert slabhound(metric, *dumps) == (0, "dentry: 3840\n", "")


@pytest.mark.parametrize("metric", ["al", "allocated"])
def test_allocated(metric: str, dumps: list[str]) -> None:
    assert slabhound(metric, *dumps) == (0, "filp: -512\ndentry: 3840\n", "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "required: ac|al, OLD, NEW"),
        (("xx", "a", "b"), "invalid choice"),
        (("ac", "/nowhere", "/nowhere"), "/nowhere: No such file"),
    ],
)
def test_errors_are_one_line_and_status_2(arguments: tuple[str, ...], says: str) -> None:
    status, out, err = slabhound(*arguments)
    assert (status, out) == (2, "")
    assert says in err
    assert err.startswith("slabhound: ")
    assert err.count("\n") == 1


def test_what_was_skipped_is_said(dumps: list[str]) -> None:
    path = Path(dumps[1])
    path.write_text(path.read_text() + "filp_no")
    assert slabhound("ac", *dumps) == (
        0,
        "dentry: 3840\n",
        f"{path}: skipped 1 line without a whole row, the first is line 5: row cut off: filp_no\n",
    )
