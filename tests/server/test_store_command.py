"""`slabhound store` as somebody types it."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import pytest

from common.cli import main
from server.storage import open_store
from tests.server.storage.histories import START, received, snapshot


def slabhound(*arguments: str, **environ: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return main(["store", *arguments], environ=environ, stdout=out, stderr=err), out.getvalue(), err.getvalue()


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/store.db"
    store = open_store(url)
    store.append([received(snapshot("n", START + 60 * i, i)) for i in range(100)]).result(20)
    store.maintain(START + 7200)
    store.close()
    return url


def test_check_tells_what_is_there(url: str, tmp_path: Path) -> None:
    status, out, err = slabhound("check", "--store", url)
    rows = "nodes 1, boots 1, layouts 1, recent 40, sealed 1, rollups 2"
    assert out == f"{tmp_path}/store.db: schema 2026-11-reach, 100 snapshots; rows: {rows}\nno problems\n"
    assert (status, err) == (0, "")


def test_check_names_each_problem_and_ends_with_1(url: str, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "store.db")
    with db:
        db.execute("UPDATE sealed SET counts = x'00'")
        db.execute("DELETE FROM boots")
    db.close()
    status, out, err = slabhound("check", SLABHOUND_STORE=url)
    lines = out.splitlines()
    assert (status, err, lines[-1]) == (1, "", "45 problems")
    assert "nodes 1: node n: its boot 'boot-1' is not there" in lines
    assert any(line.startswith("sealed 1: does not decode: ZstdError") for line in lines)


def test_backup_and_vacuum(url: str, tmp_path: Path) -> None:
    running, into = open_store(url), tmp_path / "copy.db"
    status, out, err = slabhound("backup", str(into), "--store", url)
    assert (status, err) == (0, "")
    assert out.startswith(f"{into}: ")
    assert slabhound("backup", str(into), "--store", url) == (
        2,
        "",
        f"slabhound: backup {into}: there is a file of that name: choose another, none is written over\n",
    )
    assert slabhound("check", "--store", f"sqlite:///{into}")[0] == 0
    assert slabhound("vacuum", "--store", f"sqlite:///{into}")[0] == 0
    assert slabhound("check", str(into))[:2] == slabhound("check", "--store", f"sqlite:///{into}")[:2]
    assert slabhound("vacuum", str(into))[0] == 0
    assert slabhound("backup", "--store", url, str(tmp_path / "second.db"))[0] == 0
    says = f"slabhound: store {tmp_path}/store.db is in use by another process: stop it or name another file\n"
    assert slabhound("vacuum", "--store", url) == (2, "", says)
    running.close()


def test_a_file_may_be_named_by_its_url(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert slabhound("check", url) == slabhound("check", "--store", url)
    status, out, err = slabhound("backup", f"sqlite:///{tmp_path}/copy.db", "--store", url)
    assert (status, err, out.partition(": ")[0]) == (0, "", f"{tmp_path}/copy.db")
    assert slabhound("check", "sqlite:///copy.db")[0] == 0
    assert slabhound("vacuum", "sqlite:///copy.db")[0] == 0


NONE = "there is none: name another, see slabhound store --help"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "--store", "sqlite:///none.db"], f"store none.db: {NONE}"),
        (["vacuum", "--store", "sqlite:///none.db"], f"store none.db: {NONE}"),
        (["check", "--store", "clickhouse://h/d"], "store: this is for SQLite"),
        (["backup"], "store backup: name the file it goes to: slabhound store backup FILE"),
        (["check", "none.db"], f"store none.db: {NONE}"),
        (["check", "sqlite:///none.db"], f"store none.db: {NONE}"),
        (["vacuum", "clickhouse://h/d"], "store: this is for SQLite"),
        (["backup", "sqlite://copy.db"], "store sqlite://copy.db: write sqlite:///relative/path.db"),
        (["check", ""], f"store .: {NONE}"),
        (["check", "folder/"], f"store folder: {NONE}"),
        (["mend"], "argument action: invalid choice: 'mend'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: list[str], says: str) -> None:
    status, out, err = slabhound(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"slabhound: {says}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("action", [["check"], ["vacuum"], ["backup", "copy.db"]])
def test_other_files_are_left_alone(tmp_path: Path, action: list[str]) -> None:
    path = tmp_path / "text.db"
    path.write_text("slabinfo - version: 2.1\n" * 100)
    status, _, err = slabhound(*action, "--store", f"sqlite:///{path}")
    assert (status, "not an SQLite file or damaged" in err) == (2, True)
    db = sqlite3.connect(tmp_path / "other.db")
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    status, _, err = slabhound(*action, "--store", f"sqlite:///{tmp_path}/other.db")
    assert (status, "another program's SQLite file" in err) == (2, True)
    assert not Path("copy.db").exists()
