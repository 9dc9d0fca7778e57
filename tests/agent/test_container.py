"""Whose kernel is this? The probes for a container's view."""

from __future__ import annotations

import pytest

from agent.container import foreign_hostname, partial_view
from tests.agent.conftest import Kernel

WHOLE = ["kmem_cache_node", "kmem_cache", "dentry"]


def test_a_whole_kernel_raises_no_doubt(kernel: Kernel) -> None:
    assert partial_view(str(kernel.proc), WHOLE) is None


def test_a_file_of_another_file_system_over_it(kernel: Kernel) -> None:
    def device(path: str) -> int:
        return 54 if path.endswith("/slabinfo") else 21

    warning = partial_view(str(kernel.proc), WHOLE, device=device)
    assert warning is not None
    assert "lxcfs" in warning
    assert "--proc" in warning


def test_a_list_of_charged_caches_only(kernel: Kernel) -> None:
    warning = partial_view(str(kernel.proc), ["dentry", "inode_cache", "kmalloc-64"])
    assert warning is not None
    assert "only some of the kernel's caches" in warning


def test_what_cannot_be_looked_at_raises_no_doubt() -> None:
    assert partial_view("/nonexistent", ["dentry"]) is None


HOST = {"/proc/self/ns/uts": "uts:[4026531838]", "/proc/self/ns/pid": "pid:[4026531836]"}
UTS, PID = {"/proc/self/ns/uts": "uts:[4026532205]"}, {"/proc/self/ns/pid": "pid:[4026532208]"}


@pytest.mark.parametrize(
    ("links", "marks", "foreign"),
    [
        ({}, set(), False),
        (UTS | PID, set(), True),
        (PID, {"/.dockerenv"}, False),  # docker --uts host
        (UTS, set(), False),  # systemd's ProtectHostname
        (UTS, {"/run/.containerenv"}, True),  # podman --pid host
    ],
)
def test_hostname_of_its_own(links: dict[str, str], marks: set[str], *, foreign: bool) -> None:
    namespaces = HOST | links
    assert foreign_hostname(readlink=lambda path: namespaces[path], exists=marks.__contains__) is foreign


def test_an_old_kernel_raises_no_doubt() -> None:
    def readlink(path: str) -> str:
        raise FileNotFoundError(path)

    assert not foreign_hostname(readlink=readlink)
