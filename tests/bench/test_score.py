"""Holds how reports are marked: what is true, false, named twice; intervals; the measure of a leak's size."""

from __future__ import annotations

import numpy as np
import pytest

from bench.detection.runs import targets_of
from bench.detection.scenarios import FORMS, REPORTING, TUNING, Case, build, cases
from bench.detection.score import Claim, Rate, Target, floor_spread, mark
from bench.detection.source import held
from server.simulator.families import FAMILIES
from server.simulator.fleet import Fleet


def claim(node: str | None, cache: str, *names: str) -> Claim:
    return Claim(node, cache, 9.0, names=names)


def target(node: str | None, *caches: str) -> Target:
    return Target(node, frozenset(caches), 1e6, 1e4, material=True)


def test_a_claim_is_true_false_or_a_second_one() -> None:
    claims = [claim("b", "x"), claim("a", "x"), claim("a", "y"), claim("a", "z")]
    marks = mark(claims, [target("a", "x", "y")])
    assert marks.ranks == (2,)
    assert [(one.node, one.cache) for one in marks.false] == [("b", "x"), ("a", "z")]
    assert marks.extra == 1


def test_other_spellings_and_merged_names_fit() -> None:
    assert mark([claim("a", "kmalloc-rnd-05-64")], [target("a", "kmalloc-64")]).ranks == (1,)
    assert mark([claim("a", "other", "merged-into")], [target("a", "merged-into")]).ranks == (1,)


def test_a_leak_everywhere_is_found_only_when_said_of_all() -> None:
    marks = mark([claim("a", "x"), claim(None, "x")], [target(None, "x")])
    assert marks.ranks == (2,)
    assert (marks.extra, marks.false) == (1, ())
    assert mark([claim("a", "x")], [target(None, "x")]).ranks == (None,)


def test_what_is_too_slow_to_matter_may_be_named_or_not() -> None:
    assert mark([claim("a", "x")], [], immaterial=[target("a", "x")]).false == ()
    assert len(mark([claim("a", "x")], []).false) == 1


def test_wilson_interval_of_known_counts() -> None:
    # Wilson 1927 as tabled for 10 of 10 and 81 of 263 (Newcombe 1998: 0.2553 to 0.3662).
    assert Rate(81, 263).interval() == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert Rate(10, 10).interval() == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert Rate(0, 0).interval() == (0.0, 1.0)


def test_the_floor_spread_ignores_spikes_and_slope_and_is_never_zero() -> None:
    t = np.arange(240.0)
    assert floor_spread(np.full(240, 1e6), 4096.0) == 4096.0
    spiky = 1e6 + 5e4 * t + 1e6 * (t % 10 == 5)
    assert floor_spread(spiky, 4096.0) == 4096.0
    wavy = 1e6 + 1e5 * np.where((t // 10) % 2, 1.0, -1.0)
    assert floor_spread(wavy, 4096.0) == pytest.approx(1e5, rel=0.15)


def test_a_leak_is_measured_against_its_healthy_twin() -> None:
    case = Case("plain", FORMS[2], TUNING, 3)
    truth = build(case).truths[0]
    (found,) = targets_of(case)
    assert found.node == truth.nodes[0]
    assert truth.caches[0] in found.caches
    within = min(truth.lost_bytes, truth.bytes_per_hour * 24)
    assert found.lost == pytest.approx(within, rel=0.25)


def test_a_held_fleet_gives_what_the_fleet_gives() -> None:
    spec = build(Case("reboot", FORMS[2], TUNING, 2)).spec
    fleet, kept = Fleet(spec), held(spec)
    for hours, width in ((24, 3600), (4, 300), (1.01, 300)):
        end = spec.start + 20 * 3600
        ours, direct = (list(one.window(end - hours * 3600, end, width)) for one in (kept, fleet))
        assert [node.node for node in ours] == [node.node for node in direct]
        for mine, other in zip(ours, direct, strict=True):
            assert [boot.boot for boot in mine.boots] == [boot.boot for boot in other.boots]
            for a, b in zip(mine.boots, other.boots, strict=True):
                np.testing.assert_array_equal(a.time, b.time)
                np.testing.assert_array_equal(a.num_min, b.num_min)
                np.testing.assert_array_equal(a.active_min, b.active_min)
                np.testing.assert_array_equal(a.samples, b.samples)


def test_cases_repeat_cover_every_family_and_keep_the_seeds_apart() -> None:
    chosen = list(cases(REPORTING, 4))
    assert chosen == list(cases(REPORTING, 4))
    assert {case.family for case in chosen} == set(FAMILIES)
    assert len({case.seed for case in chosen}) == len(chosen)
    assert min(case.seed for case in chosen) >= REPORTING > max(case.seed for case in cases(TUNING, 20))
    assert {case.form.name for case in chosen if not case.replayed} == {form.name for form in FORMS}
    slow = [case for case in chosen if case.family == "two-hours-ago" and not case.replayed]
    assert {case.form.name for case in slow} == {"24 h at 1 min", "24 h at 10 min"}
