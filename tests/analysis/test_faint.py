"""Signs that count for nothing but their number, as of caches that the kernel frees late."""

from __future__ import annotations

import numpy as np

from server.analysis.panel import make_panel
from server.analysis.past import Past
from server.analysis.scan import Scan, scan
from server.analysis.tracks import make_tracks
from server.analysis.types import AnalysisSettings
from server.analysis.windows import Span
from tests.analysis.series import MIB, START, ArraySource, fleet, rising

DAY = 86400.0


def scanned(*, reclaimable: bool) -> Scan:
    """A whole day in which a cache grows alike on all of six nodes."""
    nodes = fleet(6)
    for node in nodes:
        node.caches = {**node.caches, "grows": 64 * MIB + rising(node.time, MIB)}
        node.reclaimable = {"grows": reclaimable}
    tracks = make_tracks(list(ArraySource(nodes).window(START, START + DAY, 3600)))
    span = Span(START, START + DAY, 3600.0, whole=True)
    return scan(make_panel(tracks, span.width, AnalysisSettings()), span, Past(tracks, 3600.0))


def test_what_the_kernel_frees_late_is_not_the_fleets() -> None:
    found = scanned(reclaimable=True)
    assert [sign.cache for sign in found.signs] == []
    assert {(one.node, one.cache) for one in found.faint} == {(f"n{k}", "grows") for k in range(1, 7)}
    assert all(np.isfinite(one.score) and one.score < 3 for one in found.faint)


def test_what_it_does_not_free_may_be_the_fleets_however_weak_beside_the_others() -> None:
    found = scanned(reclaimable=False)
    assert {(sign.track.node, sign.cache) for sign in found.signs} == {(f"n{k}", "grows") for k in range(1, 7)}
    assert all(sign.score < 3 for sign in found.signs)
    assert not found.faint
