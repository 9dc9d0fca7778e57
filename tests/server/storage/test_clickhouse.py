"""The storage contract against a real ClickHouse engine, where chdb-core is installed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from server.storage import Retention
from server.storage.base import Store
from tests.server.storage.clickhouse_server import INSTALLED, ClickHouseServer, free_ports
from tests.server.storage.contract import Reopen, StoreContract

if not INSTALLED:
    pytest.skip("chdb-core is not installed: make test-clickhouse", allow_module_level=True)

from server.storage.clickhouse import ClickHouseStore, Target
from server.storage.clickhouse.schema import init

_numbers = itertools.count()


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
            opened.append(ClickHouseStore(target, clock=lambda: 0.0, linger=0, **settings))
            return opened[0]

        yield reopen
        while opened:
            opened.pop().close()
        server.ask(f"DROP DATABASE {target.database}")
