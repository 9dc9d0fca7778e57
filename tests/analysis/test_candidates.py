"""What a series must show by itself to be compared with its peers."""

from __future__ import annotations

import numpy as np
import pytest

from server.analysis.candidates import candidates_of
from server.analysis.panel import make_panel
from server.analysis.survey import survey
from server.analysis.tracks import make_tracks
from server.analysis.types import AnalysisSettings
from server.analysis.windows import Span
from tests.analysis.series import MIB, START, ArraySource, Node

HOUR = 3600.0


@pytest.mark.parametrize(("hours", "lost", "passes"), [(24, 2.5, 1), (24, 4.8, 0), (12, 4.8, 1), (12, 9.0, 0)])
def test_a_leak_falls_but_little_on_the_way_and_over_a_whole_day_even_less(
    hours: float, lost: float, passes: int
) -> None:
    """A rise of 12 MiB that loses so many at three fifths of the time, and regains them."""
    time = START + np.arange(0, hours * HOUR + 1, 600.0)
    share = (time - START) / (hours * HOUR)
    y = 40 * MIB + MIB * np.interp(share, [0, 0.6, 0.65, 1], [0, 8, 8 - lost, 12])
    nodes = [
        Node(f"n{number}", time, {"cache": y if number == 2 else np.full(len(time), 40.0 * MIB)}) for number in range(4)
    ]
    span = Span(START, START + hours * HOUR, hours * HOUR / 24, whole=True)
    tracks = make_tracks(list(ArraySource(nodes).window(START, span.end, 600)))
    surveyed = survey(make_panel(tracks, span.width, AnalysisSettings()), span)
    found = candidates_of(surveyed, surveyed.candidates)
    assert sum(len(one.rows) for one in found) == passes
