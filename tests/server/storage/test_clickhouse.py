"""The storage contract against a real ClickHouse engine, where chdb-core is installed."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.cli import main
from common.errors import StoreError
from server.storage import Retention, open_store
from server.storage.base import Store
from tests.server.storage.clickhouse_server import INSTALLED, ClickHouseServer, free_ports
from tests.server.storage.contract import Reopen, StoreContract
from tests.server.storage.histories import START, history

if not INSTALLED:
    pytest.skip("chdb-core is not installed: make test-clickhouse", allow_module_level=True)

from server.storage.clickhouse import ClickHouseStore, Target
from server.storage.clickhouse.schema import init

_numbers = itertools.count()


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    status = main([*arguments], environ={}, stdout=out, stderr=err)
    return status, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    http, tcp = free_ports(2)
    started = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"), http=http, tcp=tcp)
    started.start()
    yield started
    started.kill()


class TestClickHouse(StoreContract):
    @pytest.fixture
    def reopen(self, server: ClickHouseServer) -> Iterator[Reopen]:
        target = Target.parse(f"clickhouse://default@127.0.0.1:{server.http}/slabs_{next(_numbers)}")
        opened: list[Store] = []

        def reopen(**settings: Any) -> Store:
            while opened:
                opened.pop().close()
            init(target, settings.get("retention") or Retention(), forget=False)
            opened.append(ClickHouseStore(target, linger=0, **settings))
            return opened[0]

        yield reopen
        while opened:
            opened.pop().close()
        server.ask(f"DROP DATABASE {target.database}")


def test_a_schema_is_made_once_checked_and_never_downgraded(server: ClickHouseServer) -> None:
    url = f"clickhouse://default@127.0.0.1:{server.http}/made"
    try:
        with pytest.raises(StoreError, match="no such database"):
            open_store(url)
        assert run("server", "--init", "--store", url)[1].endswith("the store is ready (first, retention)\n")
        assert run("server", "--init", "--store", url)[1].endswith("the store is ready (nothing was to do)\n")
        assert "toIntervalSecond(691200)" in server.ask("SHOW CREATE TABLE made.snapshots")  # 7 days and one more
        open_store(url, retention=Retention()).close()
        keep = Retention(snapshots=86400)
        with pytest.raises(StoreError, match="keeps its tiers for 7d 35d 400d, not 1d 35d 400d"):
            open_store(url, retention=keep)
        assert run("server", "--init", "--store", url, "--retention-raw", "1d")[1].endswith("ready (retention)\n")
        open_store(url, retention=keep).close()
        open_store(url).close()
        server.ask("INSERT INTO made.migrations VALUES ('second', 1, '')")
        for attempt in (lambda: open_store(url), lambda: init(Target.parse(url), Retention())):
            with pytest.raises(StoreError, match=r"newer slabhound \(second\): upgrade this one"):
                attempt()
    finally:
        server.ask("DROP DATABASE IF EXISTS made")


def test_a_database_of_other_things_is_no_store(server: ClickHouseServer) -> None:
    server.ask("CREATE DATABASE theirs")
    try:
        with pytest.raises(StoreError, match=r"lacks the schema \(first\): run slabhound server --store URL --init"):
            open_store(f"clickhouse://default@127.0.0.1:{server.http}/theirs")
    finally:
        server.ask("DROP DATABASE theirs")


def test_history_moves_from_sqlite_and_back(server: ClickHouseServer, tmp_path: Path) -> None:
    target = Target.parse(f"clickhouse://default@127.0.0.1:{server.http}/moved")
    init(target, Retention(), forget=False)
    urls = [f"sqlite:///{tmp_path}/old.db", f"clickhouse://default@127.0.0.1:{server.http}/moved"]
    urls.append(f"sqlite:///{tmp_path}/new.db")
    try:
        old = open_store(urls[0], clock=lambda: START)
        old.append(history(11, steps=40)).result(30)
        count = old.status().snapshots
        windows = [list(map(repr, old.window(START, START + 1e6, width))) for width in (60, 300, 3600)]
        old.close()
        for source, to in itertools.pairwise(urls):
            status, said, _ = run("copy", "--from", source, "--to", to)
            assert (status, said.partition("\n")[0]) == (0, f"{count} snapshots copied, 0 were there already")
        said = run("copy", "--from", urls[0], "--to", urls[1])[1]
        assert said.startswith(f"0 snapshots copied, {count} were there already")
        new = open_store(urls[2])
        assert [list(map(repr, new.window(START, START + 1e6, width))) for width in (60, 300, 3600)] == windows
        new.close()
    finally:
        server.ask("DROP DATABASE moved")
