"""A finding that slips just under a limit stays, and what is asked when does not matter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.times import format_time
from server.analysis.judge import judge, judge_alone
from server.analysis.steady import held, instants, reach
from server.analysis.types import AnalysisSettings, Finding, Judgement, Lockstep
from server.simulator.families import FAMILIES, Terms
from server.simulator.fleet import Fleet

HOUR, DAY = 3600.0, 86400.0
NOON = 1_795_392_000.0 + DAY / 2
SETTINGS = AnalysisSettings()


def row(cache: str, *also: str, failed: str | None = None, node: str | None = "n1") -> Finding:
    return Finding(
        kind="outlier",
        node=node,
        group="g",
        cache=cache,
        members=(cache,),
        also=tuple(Lockstep(name, 1.0) for name in also),
        growth_bytes=1.0,
        bytes_per_hour=1.0,
        objects_per_hour=1.0,
        peer_bytes_per_hour=None,
        score=7.0,
        q_value=0.01,
        shape="steady",
        since=0.0,
        since_open=False,
        exhausts_at=None,
        reclaimable=False,
        aliases=(),
        summary="",
        evidence={"not_passed": failed},
    )


State = dict[str, str]
"""Of each cache: strong, near, or the gate that it failed."""


def judgement(state: State, end: float) -> Judgement:
    strong = tuple(row(cache) for cache, how in state.items() if how == "strong")
    weak = {cache: how for cache, how in state.items() if how != "strong"}
    watch = tuple(row(cache, failed=None if how == "near" else how) for cache, how in weak.items())
    return Judgement(end - DAY, end, findings=strong, watch=watch)


STATES = st.lists(
    st.dictionaries(st.sampled_from("ab"), st.sampled_from(["strong", "near", "near", "near", "peers"])),
    min_size=1,
    max_size=20,
)


@settings(deadline=None)
@given(states=STATES)
def test_asked_once_or_every_hour_in_any_order_the_state_is_the_same(states: list[State]) -> None:
    def alone(start: float, end: float, group: str) -> Judgement:
        assert (end - start, group) == (DAY, "g")
        number = round((end - NOON) / HOUR)
        return judgement(states[number] if number >= 0 else {}, end)

    since: dict[str, int] = {}  # how many hours ago each cache was strong, carried on from hour to hour
    for number, state in enumerate(states):
        before = since
        since = {cache: 0 for cache, how in state.items() if how == "strong"}
        since |= {c: before[c] + 1 for c, how in state.items() if how == "near" and before.get(c, 9) < 6}
        expected = {c: NOON + (number - ago) * HOUR for c, ago in since.items() if ago}
        now = judgement(state, NOON + number * HOUR)
        assert by_cache(now, held(now, alone)) == expected
        turned = replace(now, watch=now.watch[::-1])
        assert by_cache(turned, held(turned, alone)) == expected


def by_cache(judged: Judgement, kept: dict[int, float]) -> dict[str, float]:
    return {judged.watch[index].cache: at for index, at in kept.items()}


def test_nothing_earlier_is_judged_while_no_row_is_near() -> None:
    def alone(start: float, end: float, group: str) -> Judgement:
        raise AssertionError((start, end, group))

    now = judgement({"a": "strong", "b": "peers"}, NOON)
    assert held(now, alone) == {}
    assert held(replace(now, watch=(row("c", node=None),)), alone) == {}


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        (row("a"), True),
        (row("b", "a"), True),
        (row("b"), False),
        (row("a", node="n2"), False),
        (row("c", "lead"), True),
    ],
)
def test_a_leak_path_is_one_whichever_cache_leads(before: Finding, *, kept: bool) -> None:
    now = Judgement(NOON - DAY, NOON, watch=(row("a", "lead"),))
    assert held(now, lambda start, end, _: Judgement(start, end, findings=(before,))) == (
        {0: NOON - HOUR} if kept else {}
    )


def test_the_grid_is_the_same_for_all_windows_of_a_length() -> None:
    assert instants(NOON - DAY, NOON) == tuple(NOON - k * HOUR for k in range(1, 7))
    assert instants(NOON - DAY + 1, NOON + 1) == tuple(NOON - k * HOUR for k in range(6))
    assert instants(NOON - DAY + HOUR, NOON + HOUR) == tuple(NOON - k * HOUR for k in range(6))
    assert instants(NOON - 900, NOON)[:2] == (NOON - 60, NOON - 120)
    assert {at % (7 * HOUR) for at in instants(NOON - 7 * DAY, NOON)} == {0.0}
    assert reach(NOON - DAY, NOON) == NOON - 30 * HOUR


def test_a_leak_at_the_limit_comes_once_and_stays() -> None:
    spec = FAMILIES["busy-cache"].build(Terms(701014, 48, 600, 4, 0.25)).spec
    source = Fleet(spec, cached=len(spec.nodes))
    hours = range(17, 28)
    spans = {hour: (spec.start + hour * HOUR - DAY, spec.start + hour * HOUR) for hour in hours}
    by_itself = [
        judge_alone(source, start=start, end=end, group=None, settings=SETTINGS) for start, end in spans.values()
    ]
    leaks = {(one.node, one.cache) for judged in by_itself for one in judged.findings}
    assert len(leaks) == 1
    there = [bool(judged.findings) for judged in by_itself]
    shown = "".join(str(int(one)) for one in there).strip("0")
    assert "0" in shown, "by itself this leak hovers no more: take another"
    kept = [judge(source, start=start, end=end, group=None, settings=SETTINGS) for start, end in spans.values()]
    first = there.index(True)
    assert [[(one.node, one.cache) for one in judged.findings] for judged in kept] == [
        list(leaks) if number >= first else [] for number in range(len(hours))
    ]
    for number, (judged, alone) in enumerate(zip(kept, by_itself, strict=True)):
        last = max((k for k in range(number + 1) if there[k]), default=None)
        if there[number] or last is None:
            assert judged == alone
        else:
            assert judged.findings[0].evidence["held_from"] == format_time(spans[hours[last]][1])
            assert {**judged.findings[0].evidence, "held_from": None} == {**alone.watch[0].evidence, "held_from": None}
            assert judged.watch == ()
