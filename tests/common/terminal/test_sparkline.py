"""A series as one line of text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.terminal.sparkline import sparkline


def ramp(n: int) -> list[tuple[float, float | None]]:
    return [(float(i), float(i)) for i in range(n)]


def test_a_ramp_climbs_from_the_lowest_to_the_highest() -> None:
    assert sparkline(ramp(8), 8) == "▁▂▃▄▅▆▇█"
    assert sparkline(ramp(8), 8, unicode=False) == "_.,-~=*#"


def test_a_constant_series_is_flat() -> None:
    assert sparkline([(float(i), 7.0) for i in range(20)], 10) == "▁" * 10


def test_a_gap_stays_blank() -> None:
    points = [(t, v) for t, v in ramp(100) if not 40 <= t < 60]
    assert sparkline(points, 10) == "▁▁▂▃  ▆▇██"
    assert sparkline([(0.0, 1.0), (1.0, None), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0)], 5) == "▁ ▁▁▁"


def test_sparse_points_are_joined() -> None:
    assert " " not in sparkline(ramp(5), 20)


def test_points_of_which_some_were_left_out_evenly_have_no_gaps() -> None:
    """A server asked for 60 points of 72 hourly ones leaves out every sixth."""
    assert " " not in sparkline([point for n, point in enumerate(ramp(72)) if n % 6 != 3], 40)


def test_the_window_s_edges_place_a_series_that_began_late() -> None:
    points = [(50 + t, v) for t, v in ramp(50)]
    line = sparkline(points, 10, start=0, end=100)
    assert line[:5] == " " * 5
    assert len(line) == 10
    assert line[-1] == "█"


def test_a_common_span_makes_lines_comparable() -> None:
    assert sparkline(ramp(8), 8, span=70) == "▁" * 8
    assert sparkline(ramp(8), 8, span=14) == "▁▁▂▂▃▃▄▅"


def test_nothing_known_is_empty() -> None:
    assert sparkline([], 8) == ""
    assert sparkline([(0.0, None), (1.0, float("nan"))], 8) == ""
    assert sparkline(ramp(3), 0) == ""


def test_an_unknown_value_far_beyond_the_known_ones_is_no_error() -> None:
    assert sparkline([(0.0, 0.0), (2.3e-308, 0.0), (4.0, None)], 1) == "▁"


def test_one_point() -> None:
    assert sparkline([(5.0, 3.0)], 4) == "▁   "


@given(
    st.lists(st.tuples(st.floats(0, 1e10), st.none() | st.floats(-1e30, 1e30) | st.just(float("inf"))), max_size=50),
    st.integers(1, 60),
    st.floats(0, 1e12),
)
def test_never_longer_than_asked(points: list[tuple[float, float | None]], width: int, span: float) -> None:
    line = sparkline(sorted(points, key=lambda p: p[0]), width, span=span)
    assert len(line) in {0, width}
    assert set(line) <= set("▁▂▃▄▅▆▇█ ")
