"""Reclaimable caches: what they do together is taken off, and pressure tells a leak from what is merely full."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.analysis.judge import judge
from server.analysis.reclaim import beyond, pressed, tide
from server.analysis.types import AnalysisSettings, Judgement
from tests.analysis.series import MIB, START, ArraySource, Floats, Node
from tests.analysis.series import fleet as make_fleet

DAY = 86400.0
LAZY = ("dentry", "inode_cache", "ext4_inode_cache", "radix_tree_node", "buffer_head", "xfs_inode")


def filling(time: Floats, shrunk_at: float | None) -> Floats:
    """How full it is: towards a limit, and 0.6 of it again after pressure at that time."""
    passed = (time - START) / DAY
    full = 2.0 - np.exp(-passed)
    if shrunk_at is None:
        return full
    return np.where(time < START + shrunk_at, full, full * (0.6 + 0.2 * passed))


def storage_fleet(*, shrunk_at: float | None = DAY / 2, leak: float = 0.0, lost_too: bool = False) -> list[Node]:
    """Five nodes with six reclaimable caches each; dentry of the second leaks so many bytes an hour."""
    nodes = make_fleet(5)
    for number, node in enumerate(nodes):
        rng = np.random.default_rng(number)
        time = node.time
        held = {
            name: (8 + 4 * k) * MIB * filling(time, shrunk_at) * (1 + 0.01 * rng.standard_normal(len(time)))
            for k, name in enumerate(LAZY)
        }
        if number == 1:
            more = leak * (time - START) / 3600
            if lost_too and shrunk_at is not None:
                more = np.where(time < START + shrunk_at, more, more * 0.6)
            held["dentry"] = held["dentry"] + more
        node.caches = {**node.caches, **held}
        node.reclaimable = dict.fromkeys(LAZY, True)
    return nodes


def judged(nodes: list[Node]) -> Judgement:
    return judge(ArraySource(nodes), start=START, end=START + DAY, group=None, settings=AnalysisSettings())


def test_what_pressure_does_not_take_is_a_leak() -> None:
    (found,) = judged(storage_fleet(leak=3 * MIB)).findings
    assert (found.node, found.cache, found.reclaimable) == ("n2", "dentry", True)


def test_without_pressure_it_is_only_watched() -> None:
    seen = judged(storage_fleet(shrunk_at=None, leak=3 * MIB))
    assert seen.findings == ()
    assert [(one.node, one.cache, one.evidence["not_passed"]) for one in seen.watch] == [
        ("n2", "dentry", "reclaimable")
    ]


def test_what_pressure_takes_is_no_leak() -> None:
    assert judged(storage_fleet(leak=3 * MIB, lost_too=True)).findings == ()


def test_filling_together_is_no_leak() -> None:
    assert judged(storage_fleet()).findings == ()


def test_too_few_caches_have_no_tide() -> None:
    y = np.linspace(1, 2, 20)[:, None] * np.full(3, MIB)
    assert tide(y) is None
    assert beyond(y, np.zeros(3, dtype=np.intp), np.ones(3, dtype=bool)) == pytest.approx(y)
    assert not pressed(y[:, 0], y)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 8))
def test_beyond_is_as_by_hand(seed: int, nodes: int, caches: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.uniform(0, 40 * 4096, (24, nodes * caches))
    rows, lazy = np.repeat(np.arange(nodes), caches), rng.random(nodes * caches) < 0.7
    left = beyond(y, rows, lazy)
    for node in range(nodes):
        mine = [v for v in range(len(rows)) if rows[v] == node and lazy[v]]
        begin = {v: median(y[:6, v].tolist()) for v in mine}
        told = [v for v in mine if begin[v] >= 8 * 4096]
        for v in mine:
            for k in range(24):
                full = median(float(y[k, w]) / begin[w] for w in told) if len(told) >= 4 else 1.0
                assert left[k, v] == pytest.approx(y[k, v] - begin[v] * (full - 1))
    assert np.array_equal(left[:, ~lazy], y[:, ~lazy])
