"""Leaks over reboots and restarts, and names that a reboot changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from server.analysis.judge import judge_alone
from server.analysis.types import AnalysisSettings
from server.buckets import NodeSeries
from tests.analysis.series import MIB, START, ArraySource, level, rising
from tests.analysis.series import fleet as make_fleet
from tests.analysis.test_judge import DAY, END, judged, leaking


def test_a_leak_that_goes_on_after_a_restart_is_found() -> None:
    nodes = make_fleet(5)
    y = nodes[1].caches["constant-0"]
    lost = rising(nodes[1].time, 2 * MIB)
    again = START + 9 * 3600
    nodes[1].caches = {**nodes[1].caches, "constant-0": y + np.where(nodes[1].time < again, lost, lost - 18 * MIB)}
    (found,) = judged(nodes).findings
    assert (found.node, found.cache) == ("n2", "constant-0")
    assert found.bytes_per_hour == pytest.approx(2 * MIB, rel=0.1)


def test_a_leaker_that_was_restarted_within_the_week_is_found_though_it_held_as_much_before() -> None:
    nodes = make_fleet(5, hours=168, interval=3600)
    y, lost = nodes[1].caches["constant-0"], rising(nodes[1].time, 0.5 * MIB)
    again = START + 82 * 3600
    nodes[1].caches = {**nodes[1].caches, "constant-0": y + np.where(nodes[1].time < again, lost, lost - 41 * MIB)}
    (found,) = judged(nodes, START + 7 * DAY, 7 * DAY).findings
    assert (found.node, found.cache) == ("n2", "constant-0")
    assert found.bytes_per_hour == pytest.approx(0.5 * MIB, rel=0.1)


def test_what_a_restart_gave_back_is_no_measure_of_a_leak_that_runs_straight_for_days() -> None:
    nodes = make_fleet(5, hours=168, interval=3600)
    y, lost = nodes[1].caches["constant-0"], rising(nodes[1].time, 0.5 * MIB)
    old, again = 60 * MIB, START + 30 * 3600
    lost = np.where(nodes[1].time < again, lost + old, lost - 15 * MIB)
    nodes[1].caches = {**nodes[1].caches, "constant-0": y + lost}
    (found,) = judged(nodes, START + 7 * DAY, 7 * DAY).findings
    assert (found.node, found.cache) == ("n2", "constant-0")
    assert found.bytes_per_hour == pytest.approx(0.5 * MIB, rel=0.1)
    assert found.since == pytest.approx(again, abs=8 * 3600)


@pytest.mark.parametrize(("hours", "every"), [(20, 72), (28, 36), (30, 84), (46, 48)])
def test_what_a_job_fills_and_gives_back_in_turns_is_no_leak_of_the_week(hours: int, every: int) -> None:
    nodes = make_fleet(5, hours=168, interval=3600)
    age = (nodes[1].time - START + (hours - 168) * 3600) % (every * 3600) / 3600
    held = np.where(age <= hours, age / hours, 0.0) * 60 * MIB
    nodes[1].caches = {**nodes[1].caches, "constant-0": nodes[1].caches["constant-0"] + held}
    assert judged(nodes, START + 7 * DAY, 7 * DAY).findings == ()


def test_a_job_on_top_of_a_leak_does_not_make_it_younger() -> None:
    nodes = make_fleet(5, hours=168, interval=3600)
    time = nodes[1].time
    job = np.where((time >= START + 12 * 3600) & (time < START + 24 * 3600), 40 * MIB, 0.0)
    nodes[1].caches = {**nodes[1].caches, "constant-0": nodes[1].caches["constant-0"] + rising(time, 0.5 * MIB) + job}
    (found,) = judged(nodes, START + 7 * DAY, 7 * DAY).findings
    assert found.since_open
    assert found.growth_bytes == pytest.approx(83 * MIB, rel=0.1)


def test_a_leak_over_a_reboot_is_one_finding() -> None:
    nodes = make_fleet(5)
    node = nodes[1]
    half = len(node.time) // 2
    boots = [slice(None, half), slice(half, None)]
    made = []
    for number, part in enumerate(boots):
        caches = {name: y[part] for name, y in node.caches.items()}
        caches["constant-0"] = caches["constant-0"] + rising(node.time[part], 3 * MIB)
        made.append(
            replace(node, time=node.time[part], caches=caches, boot=f"b{number}", uptime=9e5 if number == 0 else 60.0)
        )
    nodes[1:2] = made
    (found,) = judged(nodes).findings
    assert (found.node, found.cache) == ("n2", "constant-0")
    assert "again after a reboot" in found.summary
    assert found.growth_bytes > 50 * MIB


def test_a_cache_that_a_reboot_merged_with_another_keeps_its_name_in_every_part_of_the_window() -> None:
    nodes = make_fleet(5)
    old = nodes[2]
    then, now = slice(None, 216), slice(216, None)  # a reboot after 18 hours, a leak since 20
    foo = level(old.time, MIB) + rising(old.time, 4 * MIB, START + 20 * 3600)
    caches = {**old.caches, "foo": foo}
    nodes[2] = replace(old, time=old.time[then], caches={name: y[then] for name, y in caches.items()}, boot="b0")
    del caches["constant-0"]
    caches = {name: y[now] for name, y in caches.items()}
    merged = {"foo": ("constant-0",)}
    nodes.append(replace(old, time=old.time[now], caches=caches, boot="b1", uptime=14400.0, aliases=merged))
    found = judged(nodes)
    assert [(row.node, row.cache) for row in found.findings + found.watch] == [("n3", "foo")]


class LateSource(ArraySource):
    """A node's snapshots come between the readings of one window."""

    def window(self, start: float, end: float, width: int, **asked: Any) -> Iterable[NodeSeries]:
        return [one for one in super().window(start, end, width, **asked) if start > START or one.node != "n3"]


def test_a_leaking_node_that_only_a_later_reading_shows_is_no_error() -> None:
    nodes = make_fleet(5)
    leaking(nodes, 2, "constant-0", 4 * MIB, END - 3 * 3600)
    found = judge_alone(LateSource(nodes), start=START, end=END, group=None, settings=AnalysisSettings())
    assert {row.node for row in found.findings + found.watch} <= {"n3"}
