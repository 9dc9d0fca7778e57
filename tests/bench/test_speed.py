"""Holds that timing a fleet reads it once."""

from __future__ import annotations

from bench.detection.speed import Remembered, measure
from server.simulator.families import FAMILIES, Terms
from server.simulator.fleet import Fleet


def test_a_window_is_read_once() -> None:
    spec = FAMILIES["plain"].build(Terms(1, 1.0, 60.0, 2)).spec
    source = Remembered(Fleet(spec))
    first = source.window(spec.start, spec.start + 3600, 60)
    assert source.window(spec.start, spec.start + 3600, 60) is first
    assert source.window(spec.start, spec.start + 3600, 300) is not first


def test_both_readings_are_timed() -> None:
    first, again = measure(2, hours=1.0, interval=60.0)
    assert first > 0
    assert again > 0
