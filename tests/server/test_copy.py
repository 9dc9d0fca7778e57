"""From one store to another: everything, once, and what cannot be reached is counted."""

from __future__ import annotations

import io
from pathlib import Path

from common.cli import main
from server.storage import open_store
from server.storage.base import Instant, Store
from tests.server.storage.histories import START, history, received, snapshot


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    status = main(["copy", *arguments], environ={}, stdout=out, stderr=err)
    return status, out.getvalue(), err.getvalue()


def filled(path: Path) -> Store:
    store = open_store(f"sqlite:///{path}", clock=lambda: START)
    store.append(history(5, steps=60)).result(30)
    store.maintain(START + 1e6 - 7 * 86400)
    return store


def test_everything_arrives_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    old = filled(tmp_path / "old.db")
    expected = {s.node: [(i.taken_at, i.boot) for i in _all(old, s.node)] for s in old.nodes()}
    newest = {node: old.at(node, None) for node in expected}
    old.close()
    urls = "--from", f"sqlite:///{tmp_path}/old.db", "--to", f"sqlite:///{tmp_path}/new.db"
    total = sum(map(len, expected.values()))
    status, said, _ = run(*urls)
    assert status == 0
    assert said.startswith(f"{total} snapshots copied, 0 were there already\n")
    assert run(*urls)[1].startswith(f"0 snapshots copied, {total} were there already\n")
    new = open_store(f"sqlite:///{tmp_path}/new.db")
    try:
        assert {s.node: [(i.taken_at, i.boot) for i in _all(new, s.node)] for s in new.nodes()} == expected
        assert {node: new.at(node, None) for node in expected} == newest
    finally:
        new.close()


def _all(store: Store, node: str) -> list[Instant]:
    return list(store.instants(node, None, None, after=None, limit=10_000))


def test_what_is_hidden_is_counted(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/old.db")
    boots = [received(snapshot("n", START, boot_id=boot)) for boot in ("one", "two")]
    store.append(boots).result(30)
    store.close()
    status, said, _ = run("--from", f"sqlite:///{tmp_path}/old.db", "--to", f"sqlite:///{tmp_path}/new.db")
    assert status == 1
    assert "1 not copied: another boot's snapshot of the same instant hides them" in said


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    status, out, err = run("--from", f"sqlite:///{tmp_path}/none.db", "--to", f"sqlite:///{tmp_path}/new.db")
    assert (status, out) == (2, "")
    assert err == f"slabhound: copy --from sqlite:///{tmp_path}/none.db: there is no such store\n"
    assert not list(tmp_path.iterdir())


def test_it_says_what_is_missing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    assert run("--from", url) == (2, "", "slabhound: copy needs --to URL: see slabhound copy --help\n")
    (tmp_path / "link.db").symlink_to(tmp_path / "one.db")
    for same in (url, f"sqlite:///{tmp_path}/link.db", f"sqlite:///{tmp_path}/./one.db"):
        assert "name two" in run("--from", url, "--to", same)[2]
