"""One snapshot of a kernel of straw, field by field."""

from __future__ import annotations

import json
import os

import pytest

from agent.collector import Collector, Identity
from agent.reader import ProcReader, decode
from common.errors import ReadError
from common.snapshot import Memory, to_wire
from common.wire import load_snapshot
from tests.agent.conftest import BOOT_ID, HEADER, ROWS, Kernel, row


def collector(kernel: Kernel) -> Collector:
    ticks = iter(range(1000))
    return Collector(
        ProcReader(str(kernel.proc), str(kernel.sys)),
        Identity("lvs1", "lvs", {"rack": "r4"}),
        wall=lambda: 1795388400.12549,
        clock=lambda: next(ticks) / 4,
    )


def test_every_field(kernel: Kernel) -> None:
    snapshot = collector(kernel).collect(60.0)
    assert (snapshot.node, snapshot.group, snapshot.labels) == ("lvs1", "lvs", {"rack": "r4"})
    assert snapshot.taken_at == 1795388400.125
    assert snapshot.interval_seconds == 60.0
    assert snapshot.boot_id == BOOT_ID
    assert snapshot.uptime_seconds == 86400.5
    assert snapshot.kernel == "6.1.0-28-amd64"
    assert snapshot.cpus == 5
    assert snapshot.page_size
    assert snapshot.page_size % 4096 == 0
    assert snapshot.memory == Memory(8388608 * 1024, 7000000 * 1024, 300000 * 1024, 90000 * 1024)
    assert snapshot.read_seconds == 0.25
    caches = snapshot.caches
    assert caches.name == ["scsi_cmd_cache", "raid5-md0", "dentry", "kmem_cache"]
    assert caches.num_objs == [736, 256, 125454, 256]
    assert caches.reclaimable == [False, False, True, False]
    assert caches.aliases == [["biovec-16"], [], [], []]


def test_what_is_sent_is_what_the_server_takes(kernel: Kernel) -> None:
    snapshot = collector(kernel).collect(60.0)
    assert load_snapshot(json.dumps(to_wire(snapshot))) == snapshot


def test_small_files_may_be_missing_or_mangled(kernel: Kernel) -> None:
    for name in ("meminfo", "sys/kernel/random/boot_id", "sys/kernel/osrelease"):
        (kernel.proc / name).unlink()
    (kernel.proc / "uptime").write_text("a while\n")
    snapshot = collector(kernel).collect()
    assert snapshot.boot_id is None
    assert snapshot.kernel is None
    assert snapshot.uptime_seconds is None
    assert snapshot.memory is None
    assert load_snapshot(json.dumps(to_wire(snapshot))) == snapshot


def test_text_that_is_no_slabinfo_names_the_file(kernel: Kernel) -> None:
    (kernel.proc / "slabinfo").write_text("slabinfo - version: 9.9\nthis is something else\n")
    with pytest.raises(ReadError, match=str(kernel.proc / "slabinfo")):
        collector(kernel).collect()


def test_the_boot_id_is_read_every_time(kernel: Kernel) -> None:
    found = collector(kernel)
    found.collect()
    kernel.boot("another")
    assert found.collect().boot_id == "another"


def test_a_garbled_name_does_not_silence_the_node(kernel: Kernel) -> None:
    garbled = row("dead\x01\x7fname", 1, 1, 64, 64, 1).encode() + row("X", 1, 1, 64, 64, 1).encode().replace(
        b"X", b"\xff\xc2\x85x"
    )
    (kernel.proc / "slabinfo").write_bytes(HEADER.encode() + "".join(ROWS).encode() + garbled)
    snapshot = collector(kernel).collect()
    assert snapshot.caches.name[-2:] == ["dead??name", "\\xff?x"]
    assert load_snapshot(json.dumps(to_wire(snapshot))) == snapshot


def test_nor_does_a_long_one_or_one_in_sysfs(kernel: Kernel) -> None:
    names = [os.fsdecode(b"\xff\xfe"), "two\nlines", "c\x01", "\udc80" * 100]
    for name in names:
        kernel.cache(name, folder=":A-0000512")
    kernel.cache("scsi_cmd_cache2", folder=":A-0000512")
    long = row("scsi_cmd_cache2", 1, 1, 64, 64, 1).encode() + row("X", 1, 1, 64, 64, 1).encode().replace(
        b"X", b"\xff" * 100
    )
    (kernel.proc / "slabinfo").write_bytes(HEADER.encode() + "".join(ROWS).encode() + long)
    snapshot = collector(kernel).collect()
    assert snapshot.caches.name[-1] == ("\\xff" * 100)[:256]
    assert snapshot.caches.aliases is not None
    assert snapshot.caches.aliases[-2] == [("\\x80" * 100)[:256], "\\xff\\xfe", "c?", "two?lines"]
    assert load_snapshot(json.dumps(to_wire(snapshot))) == snapshot


def test_decode_keeps_what_is_printable() -> None:
    assert decode("dentry\tgröße\n".encode()) == "dentry\tgröße\n"
