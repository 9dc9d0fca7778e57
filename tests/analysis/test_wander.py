"""How far caches usually move, for many candidates at once, is what one after the other gives in plain Python."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest

from server.analysis.tracks import Track
from server.analysis.trend import theil_sen
from server.analysis.wander import LEAST_WANDER, NEARLY, Usual, fallen
from tests.analysis.series import Floats, fleet
from tests.analysis.test_past import tracks

HOUR = 3600.0
CACHES = ("dentry", "filp", "nowhere")


def walk(track: Track, cache: str, lag: float) -> list[float]:
    """The changes from each cell to the first that is `lag` seconds later, nearly."""
    t, y = track.time.tolist(), track.allocated[:, track.index[cache]].tolist()
    later = [next((j for j in range(i, len(t)) if t[j] >= t[i] + lag * NEARLY), None) for i in range(len(t))]
    return [y[j] - y[i] for i, j in enumerate(later) if j is not None and math.isfinite(y[j] - y[i])]


def moved(peers: list[Track], node: str, cache: str, seconds: float) -> float:
    known = []
    for track in peers:
        if track.node == node or cache not in track.index:
            continue
        lag = min(seconds, 0.5 * track.span)
        changes = walk(track, cache, lag)
        near = walk(track, cache, 0.5 * min(b - a for a, b in zip(track.time, track.time[1:], strict=False)))
        if changes:
            mean, square = sum(changes) / len(changes), sum(c * c for c in changes) / len(changes)
            square = max(square - sum(c * c for c in near) / len(near), LEAST_WANDER * square)
            known.append((mean * math.sqrt(seconds / lag), square * seconds / lag))
    shared = max(median(mean for mean, _ in known), 0.0) if len(known) >= 3 else 0.0
    usual = [math.sqrt(max(square - 2 * shared * mean + shared**2, 0.0)) for mean, square in known]
    return median(usual) if usual else 0.0


def test_many_at_once_are_one_after_the_other() -> None:
    rng = np.random.default_rng(3)
    nodes = fleet(5)
    for node in nodes:
        steps = rng.normal(0, 1e5, len(node.time)).cumsum()
        node.caches = {**node.caches, "dentry": 1e8 + steps, "filp": 1e8 + rng.normal(0, 1e5, len(node.time))}
    nodes[4].caches = {name: held for name, held in nodes[4].caches.items() if name != "filp"}
    peers = tracks(nodes)
    names = {name: place for place, name in enumerate(sorted({name for track in peers for name in track.names}))}
    usual = Usual(peers, names, lambda track: track.allocated)
    asked = [
        (f"n{n}", cache, hours * HOUR) for n in (1, 2, 9) for cache in CACHES for hours in (0.7, 3.0, 3.01, 11, 40)
    ]
    for some in (asked, asked[:1], list(reversed(asked))):
        nodes_asked, caches, seconds = zip(*some, strict=True)
        found = usual.moved(nodes_asked, caches, np.array(seconds))
        assert found.tolist() == pytest.approx([moved(peers, *one) for one in some], rel=1e-12)
        assert found.max() > 0
    assert Usual([], names, lambda track: track.allocated).moved(["n1"], ["dentry"], np.ones(1)).tolist() == [0.0]


def test_only_falls_count_for_the_node_itself() -> None:
    t: Floats = np.tile(np.arange(10.0) * HOUR, (4, 1))
    y = t * [[1.0], [-1.0], [-1.0], [np.nan]]
    expected = [0.0, 2 * HOUR, 5 * HOUR * math.sqrt(9 / 4.5), 0.0]
    assert fallen(t, y, np.array([2.0, 2.0, 9.0, 1.0]) * HOUR) == pytest.approx(expected)


def test_slopes_of_more_series_than_are_sorted_at_once() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(size=(9, 300)).cumsum(axis=0)
    y[rng.random(y.shape) < 0.05] = np.nan
    times: tuple[Floats, ...] = (np.arange(9.0), rng.random((9, 300)).cumsum(axis=0))
    for t in times:
        single = [theil_sen(t[:, k] if t.ndim == 2 else t, y[:, [k]])[0] for k in range(300)]
        np.testing.assert_array_equal(theil_sen(t, y), single)


@pytest.mark.parametrize("count", [2, 3])
def test_of_few_peers_only_the_falls_count_and_for_both_directions(count: int) -> None:
    """One of two peers leaks: its rise is no wander, and a walk's falls are half of its moves."""
    rng = np.random.default_rng(6)
    nodes = fleet(count)
    for number, node in enumerate(nodes):
        walked = rng.normal(0, 1e5, len(node.time)).cumsum()
        leaked: Floats = np.asarray(np.arange(len(node.time)) * (1e4 if number == 1 else 0.0), dtype=np.float64)
        node.caches = {**node.caches, "dentry": 1e8 + walked, "filp": 1e8 + leaked}
    peers = tracks(nodes)
    names = {name: place for place, name in enumerate(peers[0].names)}
    usual = Usual(peers, names, lambda track: track.allocated)
    seconds = np.full(1, 3 * HOUR)
    assert usual.moved(["n1"], ["filp"], seconds).tolist() == [0.0]
    falls = [sum(min(c, 0.0) ** 2 for c in walk(track, "dentry", 3 * HOUR)) for track in peers[1:]]
    squares = [2 * total / len(walk(track, "dentry", 3 * HOUR)) for total, track in zip(falls, peers[1:], strict=True)]
    near = [0.5 * min(np.diff(track.time)) for track in peers[1:]]
    jitter = [np.mean(np.square(walk(track, "dentry", lag))) for track, lag in zip(peers[1:], near, strict=True)]
    whole = [np.mean(np.square(walk(track, "dentry", 3 * HOUR))) for track in peers[1:]]
    expected = [
        min(max(float(all_) - float(one), LEAST_WANDER * float(all_)), two)
        for all_, one, two in zip(whole, jitter, squares, strict=True)
    ]
    assert usual.moved(["n1"], ["dentry"], seconds)[0] == pytest.approx(median(map(math.sqrt, expected)))
