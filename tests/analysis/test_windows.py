"""Which parts of a window are judged, and how finely."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.analysis.windows import CELLS, bucket_width, cell_width, opening, plan
from server.buckets import WIDTHS


@pytest.mark.parametrize(
    ("seconds", "width"),
    [(900, 15), (3600, 60), (6 * 3600, 300), (86400, 3600), (7 * 86400, 3600), (60 * 86400, 86400)],
)
def test_bucket_width(seconds: float, width: int) -> None:
    assert bucket_width(seconds) == width


@given(st.floats(600, 3e7))
def test_a_window_is_divided_into_enough_cells_and_not_too_many(seconds: float) -> None:
    width = bucket_width(seconds)
    assert width in WIDTHS
    count = seconds / cell_width(seconds, width)
    assert 17 <= count <= max(1.5 * CELLS, seconds / WIDTHS[-1] + 1)
    assert cell_width(seconds, width) % width == 0


def test_a_day_is_judged_whole_in_parts_and_its_last_hours_finely() -> None:
    first, second = plan(0.0, 86400.0)
    assert (first.width, second.width) == (3600, 300)
    assert second.start == pytest.approx(20 * 3600)
    assert [span.end - span.start for span in second.spans] == pytest.approx([4 * 3600, 2 * 3600])
    assert first.spans[0].whole
    assert not first.spans[0].ended


def test_a_short_window_has_no_finer_reading() -> None:
    assert len(plan(0.0, 900.0)) == 1


@given(st.floats(0, 4e9), st.floats(600, 3e7))
def test_a_window_is_judged_from_the_bucket_that_its_start_cuts(start: float, seconds: float) -> None:
    end = start + seconds
    first = plan(start, end)[0]
    assert first.start == opening(start, end)
    assert first.start % first.width == 0
    assert first.start <= start < first.start + first.width
    assert {span.start for span in first.spans if span.whole} == {first.start}
    assert all(span.start > start for span in first.spans if not span.whole)
