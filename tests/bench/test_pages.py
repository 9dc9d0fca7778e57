"""Holds the benchmark's output: figures counted by hand, the whole page from two small fleets, well-formed pictures."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from bench.detection.calibration import calibration_picture, observed
from bench.detection.left_out import left_out
from bench.detection.pages import page
from bench.detection.plots import panel_of, picture
from bench.detection.rates import precision, recall
from bench.detection.replay import replayed
from bench.detection.report import curve
from bench.detection.runs import OURS, Outcome, once
from bench.detection.scenarios import FORMS, TUNING, Case, Form
from bench.detection.score import Claim, Target, mark
from bench.detection.svg import Drawing, Line
from server.simulator.families import FAMILIES

SHORT = FORMS[0]


def outcome(family: str, targets: list[Target], claims: list[Claim], findings: int | None = None) -> Outcome:
    count = len(claims) if findings is None else findings
    marks = mark(claims[:count], targets)
    case = Case(family, SHORT, 1, 3)
    return Outcome(case, OURS, 3, tuple(targets), (), marks, tuple(claims), count, 0.1)


def target(size: float, node: str = "a") -> Target:
    return Target(node, frozenset({"x"}), size * 1e4, 1e4, material=True)


def claim(node: str, score: float = 9.0, q: float = 0.001) -> Claim:
    return Claim(node, "x", score, q)


def test_recall_counts_large_leaks_and_precision_every_claim() -> None:
    outcomes = [
        outcome("plain", [target(5.0)], [claim("a"), claim("b")]),
        outcome("plain", [target(50.0)], []),
        outcome("plain", [target(4.9)], []),
    ]
    assert (recall(outcomes).hits, recall(outcomes).n) == (1, 2)
    assert (recall(outcomes, 0.0, 5.0).hits, recall(outcomes, 0.0, 5.0).n) == (0, 1)
    assert (precision(outcomes).hits, precision(outcomes).n) == (1, 2)
    assert "| 3 to 5 | 0.0 % (0.0-79.3, n = 1) |" in list(curve(outcomes))


def test_watched_claims_count_for_calibration_alone() -> None:
    one = outcome("plain", [target(9.0)], [claim("a"), claim("b", 5.0, 0.02)], findings=1)
    assert precision([one]).value == 1.0
    assert [(row.node, false) for row, false in observed([one], watched=True)] == [("a", False), ("b", True)]
    assert [row.node for row, _ in observed([one], watched=False)] == ["a"]


def test_a_family_left_out_is_judged_by_the_limit_of_the_others() -> None:
    outcomes = [
        outcome("plain", [target(9.0)], [claim("a", 20.0)]),
        outcome("slow", [target(9.0)], [claim("a", 7.0)]),
        outcome("quiet", [], [claim("b", 8.0)]),
    ]
    rows = {line.split(" | ")[0].strip("| "): line for line in left_out(outcomes) if line.startswith("| ")}
    assert "| 8.5 | 0.0 %" in rows["slow"]
    assert "| 6.0 | - | 1 |" in rows["quiet"]


@pytest.fixture(scope="module")
def measured() -> list[Outcome]:
    return [*once(Case("plain", SHORT, TUNING, 3)), *once(Case("quiet", SHORT, TUNING + 1, 3))]


def test_the_page_has_every_section_and_method(measured: list[Outcome]) -> None:
    short = Form("two hours", 2.0, 300.0)
    replays = [replayed(Case("quiet", short, TUNING, 2, replayed=True))]
    text = page(measured, replays, [], "the command", "abc")
    for name in {one.method for one in measured}:
        assert f"| {name} |" in text
    for word in (
        "    the command",
        "revision abc",
        "| plain |",
        "| quiet |",
        "| 2 | 0.166667 | 0 |",
        "left out",
        "Missed, ",
        "False, ",
    ):
        assert word in text
    assert page(measured[::-1], replays, [], "the command", "abc").splitlines()[0] == text.splitlines()[0]


def test_a_replay_counts_node_days_and_reports() -> None:
    one = replayed(Case("plain", Form("three hours", 3.0, 60.0), TUNING, 3, replayed=True))
    assert (one.reports, one.node_days) == (3, 3 * 3 / 24)
    assert all(alarm.hours for alarm in one.alarms)


def test_pictures_are_well_formed(measured: list[Outcome]) -> None:
    one = replace(FAMILIES["plain"], about="<&>", least_hours=1.0)
    text = picture([one], TUNING)
    assert ET.fromstring(text).tag.endswith("svg")
    assert "&lt;&amp;&gt;" in text
    assert "nan" not in text
    assert ET.fromstring(calibration_picture(measured, [])).tag.endswith("svg")


@pytest.mark.parametrize(
    ("family", "says"),
    [
        ("on-half", "; 2 of 2 nodes found"),
        ("everywhere", "; all nodes"),
        ("pages", "no finding; a note"),
        ("large-kmalloc", "slab in no cache on lvs"),
    ],
)
def test_pictures_say_what_was_found(family: str, says: str) -> None:
    case = Case(family, Form("a day", 24.0, 600.0), TUNING, 4)
    panel = panel_of(case)
    assert says in f"{panel.title}: {panel.verdict}"
    assert panel.good


def test_a_line_breaks_where_a_point_is_missing() -> None:
    drawing = Drawing(10, 10)
    drawing.lines(0, 0, 10, 10, [Line([(0, 0), (1, 1), None, (0.5, 0.5)])])
    assert "M0 20l20 -20M10 10" in drawing.text()
    assert math.isclose(drawing.width, 10)
