"""What may not change a judgement: order, one more healthy node, a longer quiet past, the unit of size."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings, Judgement
from tests.analysis.series import MIB, START, ArraySource, Node, churn, daily, level, rising

DAY = 86400.0
LIMIT = AnalysisSettings().q_limit
INTERVAL = 1200.0
FEW = settings(deadline=None, derandomize=True, max_examples=8)


@dataclass(frozen=True)
class Case:
    """A small fleet of like nodes, one of which leaks one cache."""

    seed: int
    nodes: int
    victim: int
    cache: str
    per_hour: float
    hour: float
    """At which it begins; the data end at hour 24."""
    days: int = 1
    """Before the data's end that there are data of."""

    def fleet(self, more: int = 0) -> list[Node]:
        return [self._node(number) for number in range(self.nodes + more)]

    def _node(self, number: int) -> Node:
        time = START + np.arange((1 - self.days) * DAY, DAY + 1, INTERVAL)
        rng = np.random.default_rng([self.seed, number])
        caches = {}
        for index in range(5):
            amount = float(index + 1) * MIB
            caches[f"constant-{index}"] = level(time, amount)
            caches[f"churn-{index}"] = churn(rng, time, amount, 0.05)
            wave = daily(time, amount, 0.3, phase_hours=float(rng.normal(0, 1)))
            caches[f"load-{index}"] = wave * (1 + 0.02 * rng.standard_normal(len(time)))
        if number == self.victim:
            caches[self.cache] = caches[self.cache] + rising(time, self.per_hour, START + self.hour * 3600)
        return Node(f"n{number:02}", time, caches)


QUIET, ANY = ("constant-1", "churn-2"), ("constant-1", "churn-2", "load-3")


def cases(days: int = 1, caches: tuple[str, ...] = ANY) -> st.SearchStrategy[Case]:
    return st.integers(2, 7).flatmap(
        lambda nodes: st.builds(
            Case,
            seed=st.integers(0, 2**20),
            nodes=st.just(nodes),
            victim=st.integers(0, nodes - 1),
            cache=st.sampled_from(caches),
            per_hour=st.floats(0.2, 8.0).map(lambda mib: mib * MIB),
            hour=st.floats(0.0, 16.0),
            days=st.just(days),
        )
    )


def judged(nodes: list[Node], seconds: float = DAY) -> Judgement:
    end = START + DAY
    return judge(ArraySource(nodes), start=end - seconds, end=end, group=None, settings=AnalysisSettings())


def named(judgement: Judgement, q: float = 1.0) -> set[tuple[str | None, str]]:
    """(node, cache) of the findings with that q-value or a smaller one."""
    return {(one.node, one.cache) for one in judgement.findings if one.q_value <= q}


@FEW
@given(case=cases(), dice=st.integers(0, 99))
def test_the_order_of_nodes_and_caches_changes_nothing(case: Case, dice: int) -> None:
    nodes = case.fleet()
    expected = judged(nodes)
    random.Random(dice).shuffle(nodes)
    for number, node in enumerate(nodes):
        names = list(node.caches)
        random.Random(dice + number).shuffle(names)
        nodes[number] = replace(node, caches={name: node.caches[name] for name in names})
    assert judged(nodes) == expected


@FEW
@given(case=cases(), more=st.integers(1, 3))
def test_healthy_nodes_more_do_not_unmake_a_sure_finding(case: Case, more: int) -> None:
    sure = named(judged(case.fleet()), LIMIT / 10)
    assume(sure)
    assert sure <= named(judged(case.fleet(more)))


@FEW
@given(case=cases(days=5), days=st.sampled_from([1.5, 2, 3, 5]))
def test_a_longer_quiet_past_does_not_unmake_a_sure_finding(case: Case, days: float) -> None:
    nodes = case.fleet()
    sure = named(judged(nodes), LIMIT / 10)
    assume(sure)
    assert sure <= named(judged(nodes, days * DAY))


@FEW
@given(case=cases(), times=st.sampled_from([2, 3, 8, 50]))
def test_scaling_all_sizes_scales_the_rates(case: Case, times: Literal[2, 3, 8, 50]) -> None:
    nodes = case.fleet()
    small = judged(nodes)
    bigger = [
        replace(
            node,
            caches={name: np.round(y / 512) * 512 * times for name, y in node.caches.items()},
            sizes=dict.fromkeys(node.caches, 512 * times),
            memory=times * (node.memory or 0.0),
            available=times * node.available,
        )
        for node in nodes
    ]
    big = judged(bigger)
    assert [(one.node, one.cache, one.shape) for one in big.findings] == [
        (one.node, one.cache, one.shape) for one in small.findings
    ]
    for large, little in zip(big.findings, small.findings, strict=True):
        assert large.bytes_per_hour == pytest.approx(times * little.bytes_per_hour, rel=1e-6)
        assert large.growth_bytes == pytest.approx(times * little.growth_bytes, rel=1e-6)
        assert large.objects_per_hour == pytest.approx(little.objects_per_hour, rel=1e-6)
        assert large.score == pytest.approx(little.score, rel=1e-2)
