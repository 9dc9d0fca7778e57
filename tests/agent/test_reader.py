"""Bytes from the kernel, or a plain reason why not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.reader import ProcReader, read_bytes
from common.errors import DeniedError, EmptyError, MissingError, ReadError
from tests.agent.conftest import HEADER, Kernel


def reader(kernel: Kernel) -> ProcReader:
    return ProcReader(str(kernel.proc), str(kernel.sys))


def failing(number: int) -> ProcReader:
    def read(path: str) -> bytes:
        raise OSError(number, os.strerror(number), path)

    return ProcReader("/host/proc", "/host/sys", read=read)


def test_reads_slabinfo_whole(kernel: Kernel) -> None:
    assert reader(kernel).slabinfo() == (kernel.proc / "slabinfo").read_bytes()


def test_reads_past_what_one_call_gives() -> None:
    """A pipe hands out less than is asked for, as seq_file does."""
    out, into = os.pipe()
    os.write(into, b"first ")
    pieces = iter([b"second", b""])

    assert os.read(out, 65536) == b"first "
    os.write(into, next(pieces))
    os.close(into)
    assert read_bytes(f"/proc/self/fd/{out}") == b"second"
    os.close(out)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_denied_says_which_capability(number: int) -> None:
    with pytest.raises(DeniedError, match=r"^/host/proc/slabinfo: permission denied.*CAP_DAC_READ_SEARCH"):
        failing(number).slabinfo()


def test_missing_on_a_kernel_without_it(kernel: Kernel) -> None:
    (kernel.proc / "slabinfo").unlink()
    with pytest.raises(MissingError, match="CONFIG_SLUB_DEBUG"):
        reader(kernel).slabinfo()


def test_missing_because_nothing_is_mounted(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=f"no proc file system is mounted at {tmp_path}"):
        ProcReader(str(tmp_path)).slabinfo()


@pytest.mark.parametrize("text", ["", "\n", HEADER, HEADER.partition("\n")[0]])
def test_empty_is_no_snapshot_without_caches(kernel: Kernel, text: str) -> None:
    (kernel.proc / "slabinfo").write_text(text)
    with pytest.raises(EmptyError, match="--proc"):
        reader(kernel).slabinfo()


def test_another_error_keeps_its_reason() -> None:
    with pytest.raises(ReadError, match="Input/output error"):
        failing(errno.EIO).slabinfo()


def test_messages_are_one_line() -> None:
    for number in (errno.EACCES, errno.ENOENT, errno.EIO):
        with pytest.raises(ReadError) as caught:
            failing(number).slabinfo()
        assert "\n" not in str(caught.value)


def test_small_files(kernel: Kernel) -> None:
    found = reader(kernel)
    assert found.kernel() == "6.1.0-28-amd64"
    assert found.boot_id() == "0b6f6c1e-6f5b-4b0e-9f0e-5f0d5a1f3c11"
    assert found.text("uptime") == "86400.50 170000.00"
    assert found.text("nothing") is None


@pytest.mark.parametrize(("online", "cpus"), [("0-3,6\n", 5), ("0\n", 1), ("0-127\n", 128), ("nonsense\n", 2)])
def test_cpus_online(kernel: Kernel, online: str, cpus: int) -> None:
    (kernel.sys / "devices/system/cpu/online").write_text(online)
    assert reader(kernel).cpus() == cpus


def test_cpus_from_stat_where_sys_is_not_mounted(kernel: Kernel) -> None:
    (kernel.sys / "devices/system/cpu/online").unlink()
    assert reader(kernel).cpus() == 2
    (kernel.proc / "stat").unlink()
    assert reader(kernel).cpus() is None
