"""The agent's reading of the kernel these tests run on, where it may be read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent.collector import Collector, Identity
from agent.reader import ProcReader
from common.errors import ReadError
from common.snapshot import to_wire
from common.wire import load_snapshot


@pytest.fixture
def collector() -> Collector:
    reader = ProcReader()
    try:
        reader.slabinfo()
    except ReadError as error:
        pytest.skip(str(error))
    return Collector(reader, Identity("here"))


def test_the_real_thing(collector: Collector) -> None:
    snapshot = collector.collect(60.0)
    names = [line.split()[0] for line in Path("/proc/slabinfo").read_text(encoding="utf-8").splitlines()[2:]]
    assert set(snapshot.caches.name) & set(names)
    assert len(snapshot.caches.name) == pytest.approx(len(names), abs=5)
    assert snapshot.boot_id
    assert snapshot.uptime_seconds
    assert snapshot.memory is not None
    assert snapshot.memory.total
    assert snapshot.cpus == os.sysconf("SC_NPROCESSORS_ONLN")
    assert load_snapshot(json.dumps(to_wire(snapshot))) == snapshot


def test_reclaimable_and_aliases(collector: Collector) -> None:
    if not Path("/sys/kernel/slab").is_dir():
        pytest.skip("this kernel has no /sys/kernel/slab")
    caches = collector.collect().caches
    assert caches.reclaimable is not None
    assert caches.aliases is not None
    flags = dict(zip(caches.name, caches.reclaimable, strict=True))
    assert flags.get("dentry") is True
    assert flags.get("kmem_cache") is False
    links = {path.name for path in Path("/sys/kernel/slab").iterdir() if path.is_symlink()}
    assert {alias for one in caches.aliases for alias in one or ()} <= links - set(caches.name)
