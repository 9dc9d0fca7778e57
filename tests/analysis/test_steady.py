"""What flashes up is no finding, what slips just under a limit stays one, and what is asked when does not matter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.times import format_time
from server.analysis.judge import judge, judge_alone
from server.analysis.steady import SURE, SURE_RECLAIMABLE, Alone, instants, reach, verdict
from server.analysis.types import AnalysisSettings, Finding, Judgement
from server.simulator.families import FAMILIES, Terms
from server.simulator.fleet import Fleet
from tests.analysis.rows import row

HOUR, DAY = 3600.0, 86400.0
NOON = 1_795_392_000.0 + DAY / 2
SETTINGS = AnalysisSettings()


State = dict[str, str]
"""Of each cache: sure, strong, near, or the gate that it failed."""


def judgement(state: State, end: float) -> Judgement:
    scores = {"sure": SURE, "strong": 7.0}
    strong = tuple(row(cache, score=scores[how]) for cache, how in state.items() if how in scores)
    weak = {cache: how for cache, how in state.items() if how not in scores}
    watch = tuple(row(cache, failed=None if how == "near" else how) for cache, how in weak.items())
    return Judgement(end - DAY, end, findings=strong, watch=watch)


STATES = st.lists(
    st.dictionaries(
        st.sampled_from("ab"), st.sampled_from(["sure", "strong", "strong", "near", "near", "near", "peers"])
    ),
    min_size=1,
    max_size=20,
)


@given(states=STATES)
def test_asked_once_or_every_hour_in_any_order_the_state_is_the_same(states: list[State]) -> None:
    def alone(start: float, end: float, group: str) -> Judgement:
        assert (end - start, group) == (DAY, "g")
        number = round((end - NOON) / HOUR)
        return judgement(states[number] if number >= 0 else {}, end)

    lasts: dict[str, int] = {}  # for how many hours yet each cache is a finding, carried on from hour to hour
    stood: dict[str, int] = {}  # when it was one by itself
    before: State = {}
    for number, state in enumerate(states):
        there = {cache for cache, how in state.items() if how != "peers"}
        lasts = {cache: hours - 1 for cache, hours in lasts.items() if cache in there and hours}
        stood |= {cache: number for cache, how in state.items() if how in {"sure", "strong"}}
        for cache in there:
            if state[cache] == "sure":
                lasts[cache] = 6
            elif state[cache] == "strong" == before.get(cache):
                lasts[cache] = max(lasts.get(cache, 0), 5)
        before = state
        now = judgement(state, NOON + number * HOUR)
        for turned in (now, replace(now, watch=now.watch[::-1], findings=now.findings[::-1])):
            found, held = shown(turned, alone)
            assert found == set(lasts)
            assert held == {c: NOON + stood[c] * HOUR for c in lasts if state[c] == "near"}


def shown(judged: Judgement, alone: Alone) -> tuple[set[str], dict[str, float]]:
    """The caches that are findings, and since when those in `watch` are held."""
    said = verdict(judged, alone)
    held = {judged.watch[index].cache: at for index, at in said.held.items()}
    return {one.cache for index, one in enumerate(judged.findings) if index not in said.new} | set(held), held


def test_nothing_earlier_is_judged_while_nothing_is_in_doubt() -> None:
    def alone(start: float, end: float, group: str) -> Judgement:
        raise AssertionError((start, end, group))

    now = judgement({"a": "sure", "b": "peers"}, NOON)
    assert shown(now, alone) == ({"a"}, {})
    fleet = row("c", node=None)
    assert shown(replace(now, findings=(fleet,), watch=(fleet,)), alone) == ({"c"}, {})


def test_what_the_kernel_can_shrink_must_be_surer() -> None:
    def findings(*rows: Finding) -> set[str]:
        return shown(Judgement(NOON - DAY, NOON, findings=rows), lambda start, end, _: Judgement(start, end))[0]

    assert findings(row("a", score=SURE, lazy=True), row("b", score=SURE)) == {"b"}
    assert findings(row("a", score=SURE_RECLAIMABLE, lazy=True), row("b", score=SURE - 0.1)) == {"a"}


def test_of_a_day_and_more_it_is_as_sure_if_it_is_even() -> None:
    def sure(**evidence: float) -> bool:
        one = row("a", score=SURE, lazy=True, evidence=evidence)
        return bool(shown(Judgement(NOON - DAY, NOON, findings=(one,)), lambda a, b, _: Judgement(a, b))[0])

    assert sure(window_seconds=23 * HOUR, largest_step=0.3)
    assert not sure(window_seconds=23 * HOUR, largest_step=0.31)
    assert not sure(window_seconds=8 * HOUR, largest_step=0.3)


def test_a_rise_of_an_hour_or_two_that_may_bend_waits() -> None:
    def sure(hours: float, **evidence: float) -> bool:
        one = row("a", score=SURE, evidence={"window_seconds": hours * HOUR, **evidence})
        return bool(shown(Judgement(NOON - DAY, NOON, findings=(one,)), lambda a, b, _: Judgement(a, b))[0])

    assert sure(2, bend=0.9)
    assert not sure(2, bend=1.1)
    assert not sure(3, bend=0.9)
    assert sure(0.9, bend=1.1)


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
    def alone(start: float, end: float, _: str) -> Judgement:
        return Judgement(start, end, findings=(before,))

    assert shown(Judgement(NOON - DAY, NOON, watch=(row("a", "lead"),)), alone) == (
        ({"a"}, {"a": NOON - HOUR}) if kept else (set(), {})
    )
    assert shown(Judgement(NOON - DAY, NOON, findings=(row("a", "lead"),)), alone)[0] == ({"a"} if kept else set())


@pytest.mark.parametrize(("hours", "waits"), [(2.0, False), (3.0, True), (12.0, True), (24.0, False)])
def test_what_rose_for_some_hours_waits_for_the_next_however_strong(hours: float, *, waits: bool) -> None:
    strong = row("a", score=50.0)
    strong = replace(strong, evidence={**strong.evidence, "window_seconds": hours * HOUR})
    now = Judgement(NOON - DAY, NOON, findings=(strong,))
    assert shown(now, lambda start, end, _: Judgement(start, end))[0] == (set() if waits else {"a"})
    assert shown(now, lambda start, end, _: Judgement(start, end, findings=(strong,)))[0] == {"a"}


def test_a_finding_whose_steps_have_become_few_stays_one() -> None:
    def alone(start: float, end: float, _: str) -> Judgement:
        return Judgement(start, end, findings=(row("a"),))

    for failed, kept in (("step", {"a"}), ("step, fills", set()), ("fills", set())):
        assert shown(Judgement(NOON - DAY, NOON, watch=(row("a", failed=failed),)), alone)[0] == kept


def test_a_group_whose_data_begin_late_has_its_own_grid_for_some_hours() -> None:
    asked: list[tuple[float, float]] = []

    def alone(start: float, end: float, _: str) -> Judgement:
        asked.append((start, end))
        return Judgement(start, end)

    late = Judgement(NOON - DAY, NOON, findings=(row("a"),), begins={"g": NOON - 2 * HOUR})
    assert shown(late, alone) == (set(), {})
    assert shown(replace(late, begins={"g": NOON - 4 * HOUR}), alone) == (set(), {})
    assert asked == [(NOON - 2 * HOUR - 300, NOON - 300), (NOON - HOUR - DAY, NOON - HOUR)]
    week = replace(late, start=NOON - 7 * DAY, begins={"g": NOON - 5 * HOUR})  # by the grid of a day, not of a week
    assert shown(week, alone) == (set(), {})
    assert asked[2:] == [(NOON - HOUR - DAY, NOON - HOUR)]


def test_the_grid_is_the_same_for_all_windows_of_a_length() -> None:
    assert instants(NOON - DAY, NOON) == tuple(NOON - k * HOUR for k in range(1, 7))
    assert instants(NOON - DAY + 1, NOON + 1) == tuple(NOON - k * HOUR for k in range(1, 7))
    assert instants(NOON - DAY + 1799, NOON + 1799) == tuple(NOON - k * HOUR for k in range(1, 7))
    assert instants(NOON - DAY + 1800, NOON + 1800) == tuple(NOON - k * HOUR for k in range(6))
    assert instants(NOON - DAY + HOUR, NOON + HOUR) == tuple(NOON - k * HOUR for k in range(6))
    assert instants(NOON - 900, NOON)[:2] == (NOON - 60, NOON - 120)
    assert {at % (7 * HOUR) for at in instants(NOON - 7 * DAY, NOON)} == {0.0}
    assert reach(NOON - 6 * HOUR, NOON) == NOON - 30 * HOUR  # the day before counts (see routine)
    assert reach(NOON - DAY, NOON) == NOON - 2 * DAY
    # The bucket that a start cuts counts whole.
    assert reach(NOON - DAY + 0.6 * HOUR, NOON + 0.6 * HOUR) == NOON - 2 * DAY
    assert reach(NOON - 3.55 * DAY, NOON) % HOUR == 0


def test_a_leak_at_the_limit_comes_at_the_second_instant_and_stays() -> None:
    spec = FAMILIES["busy-cache"].build(Terms(702029, 60, 600, 4, 0.2)).spec
    source = Fleet(spec, cached=len(spec.nodes))
    hours = range(26, 58)
    spans = {hour: (spec.start + hour * HOUR - DAY, spec.start + hour * HOUR) for hour in hours}
    by_itself = [
        judge_alone(source, start=start, end=end, group=None, settings=SETTINGS) for start, end in spans.values()
    ]
    leaks = {(one.node, one.cache) for judged in by_itself for one in judged.findings}
    assert len(leaks) == 1
    there = [bool(judged.findings) for judged in by_itself]
    assert "0" in "".join(str(int(one)) for one in there).strip("0"), "by itself this leak hovers no more: take another"
    kept = [judge(source, start=start, end=end, group=None, settings=SETTINGS) for start, end in spans.values()]
    first = there.index(True)
    assert there[first + 1]
    assert by_itself[first].findings[0].score < SURE
    assert [[(one.node, one.cache) for one in judged.findings] for judged in kept] == [
        list(leaks) if number > first else [] for number in range(len(hours))
    ]
    assert kept[first].watch[0].evidence == {**by_itself[first].findings[0].evidence, "not_passed": "confirmed"}
    for number, (judged, alone) in enumerate(zip(kept, by_itself, strict=True)):
        last = max((k for k in range(number + 1) if there[k]), default=None)
        if number == first:
            continue
        if there[number] or last is None:
            assert judged == alone
        else:
            assert judged.findings[0].evidence["held_from"] == format_time(spans[hours[last]][1])
            assert {**judged.findings[0].evidence, "held_from": None} == {**alone.watch[0].evidence, "held_from": None}
            assert judged.watch == ()
