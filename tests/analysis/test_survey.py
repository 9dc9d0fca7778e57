"""The survey of all nodes at once says what a look at each node alone would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from server.analysis.panel import make_panel
from server.analysis.survey import LIGHT, Survey, survey
from server.analysis.tracks import Track, cells, make_tracks, settled
from server.analysis.types import AnalysisSettings
from server.analysis.windows import Span, plan
from tests.analysis import naive
from tests.analysis.series import MIB, START, ArraySource, Node, fleet, rising

DAY = 86400.0


def motley(seed: int, interval: float) -> list[Node]:
    """Nodes of several layouts, one leaking, one away for hours, one with caches that come and go, one rebooted."""
    rng = np.random.default_rng(seed)
    nodes = fleet(7, seed, interval=interval, caches=12)
    time = nodes[0].time
    nodes[0].caches = {**nodes[0].caches, "churn-1": nodes[0].caches["churn-1"] + rising(time, 2 * MIB)}
    here = (time < START + 30000) | (time > START + 50000)
    nodes[1] = part(nodes[1], here)
    late = np.where(time > START + rng.integers(20000, 70000), 3 * MIB, np.nan)
    nodes[2].caches = {**nodes[2].caches, "late": late, "new": np.where(np.isnan(late), MIB, late)}
    nodes[3].caches = {f"{name}-other": y for name, y in nodes[3].caches.items()}
    nodes[4] = part(nodes[4], time > START + 55000)
    nodes[5] = replace(part(nodes[5], time < START + 40000), uptime=9e5)
    rebooted = replace(part(fleet(7, seed, interval=interval, caches=12)[5], time > START + 41000), uptime=60.0)
    return [*nodes, replace(rebooted, boot="boot-2")]


def part(node: Node, kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Node:
    return replace(node, time=node.time[kept], caches={name: y[kept] for name, y in node.caches.items()})


def tracks_of(nodes: Sequence[Node], span: Span, width: int) -> list[Track]:
    series = list(ArraySource(nodes).window(START, span.end, width))
    return [settled(track) for track in make_tracks(series)]


def numbered(track: Track, span: Span, cache: str) -> dict[int, float]:
    """The floor in each cell of the span, by the cell's number; nothing where the track does not list the cache."""
    own = cells(track, span.start, span.end, span.width)
    column = track.index.get(cache)
    y = own.allocated[:, column].tolist() if column is not None else []
    return dict(zip((own.time // span.width).astype(int).tolist(), y, strict=True)) if y else {}


def asked(found: Survey) -> list[Track]:
    """Who is asked for what all share: one boot of each node that covers nearly as much of the span as any does."""
    longest = max((found.length[row] for row in found.judged), default=0.0)
    members: dict[str, Track] = {}
    for row in found.judged.tolist():
        if found.length[row] >= 0.9 * longest:
            members.setdefault(found.panel.tracks[row].node, found.panel.tracks[row])
    assert len(members) < 8  # else none is left out
    return list(members.values())


def alone(found: Survey, track: Track, members: Sequence[Track]) -> None:
    """Holds one judged track's part of the survey against the naive look, beside those asked for what all share."""
    row = found.panel.tracks.index(track)
    span = found.span
    own, fitted = cells(track, span.start, span.end, span.width), found.fit(row)
    assert fitted.length == own.span == found.length[row]
    steep = set()
    for mine, at in zip(found.parts, found.candidates, strict=True):
        steep |= {found.panel.names[mine.columns[k]] for k in at if mine.rows[k] == row}
    for column, name in enumerate(track.names):
        y = own.allocated[:, column]
        first, last, relative, swing = naive.look(y.tolist())
        got = [fitted.first[column], fitted.last[column], fitted.relative[column], fitted.swing[column]]
        expected = [first, last, relative, 0.0 if np.isnan(swing) else swing]
        assert got == pytest.approx(expected, nan_ok=True), name
        ends = np.linspace(0, len(y), min(6, len(y) // 2) + 1).round().astype(int).tolist()
        others = [numbered(other, span, name) for other in members if other is not track]
        cells_ = numbered(track, span, name)
        cleaned = list((naive.without_shared(cells_, others) if len(members) > 2 else cells_).values())
        blocks = [min(cleaned[a:b]) for a, b in pairwise(ends)]
        up = [b - a for a, b in pairwise(blocks)]
        total = sum(max(one, 0.0) for one in up)
        rising_ = sum(one > 0.1 * total / len(up) for one in up) / len(up) >= 0.6
        expected_steep = last - first > LIGHT * fitted.material * own.span and max(up) <= 0.6 * total and rising_
        lost = 0.4 if found.full else 0.6
        assert (name in steep) == (expected_steep and naive.keeps(y.tolist(), cleaned, lost)), name


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("interval", [300.0, 3600.0])
def test_the_survey_of_all_equals_a_look_at_each(seed: int, interval: float) -> None:
    looked = 0
    for reading in plan(START, START + DAY):
        for span in reading.spans:
            tracks = tracks_of(motley(seed, interval), span, reading.width)
            found = survey(make_panel(tracks, span.width, AnalysisSettings()), span)
            assert all(mine.y.flags.c_contiguous for mine in found.parts)  # else each row is gathered piece by piece
            judged = set(found.judged.tolist())
            members = asked(found)
            for track in tracks:
                own = cells(track, span.start, span.end, span.width)
                enough = len(own.time) >= 8 and own.samples.sum() >= 10
                if enough and own.span >= 0.25 * (span.end - span.start):
                    judged.remove(found.panel.tracks.index(track))
                    alone(found, track, members)
                    looked += 1
            assert not judged
    assert looked > 20


def test_a_node_alone_is_surveyed_as_among_others() -> None:
    """Levels, growth and swing of a node say nothing of the other nodes."""
    reading = plan(START, START + DAY)[0]
    span = reading.spans[1]
    tracks = tracks_of(motley(5, 300.0), span, reading.width)
    every = survey(make_panel(tracks, span.width, AnalysisSettings()), span)
    for row in every.judged.tolist():
        track = every.panel.tracks[row]
        one = survey(make_panel([track], span.width, AnalysisSettings()), span).fit(0)
        np.testing.assert_array_equal(one.swing, every.fit(row).swing)
        np.testing.assert_array_equal(one.first, every.fit(row).first)


def test_nothing_to_survey() -> None:
    span = plan(START, START + DAY)[0].spans[0]
    found = survey(make_panel([], span.width, AnalysisSettings()), span)
    assert found.judged.tolist() == []
    assert found.parts == ()
