"""A real aggregator for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.demo_server import ServerProcess


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    folder = tmp_path / "aggregator"
    folder.mkdir()
    with ServerProcess(folder) as running:
        yield running
    assert running.process.returncode == 0, running.said
