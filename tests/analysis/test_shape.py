"""The shape of a growth: steady, stairs, accelerating, stopped."""

from __future__ import annotations

import math

import numpy as np

from server.analysis.exhaust import exhausts_at
from server.analysis.sentence import describe, size, span_text
from server.analysis.shape import is_over, levels_off, onset, shape_of
from tests.analysis.series import ramp

T = ramp(48) * 1800.0


def test_onset_is_where_a_flat_line_turns_up() -> None:
    rng = np.random.default_rng(1)
    y = 100 + np.maximum(ramp(48) - 30, 0) * 5.0 + rng.standard_normal(48)
    assert abs(onset(T, y) - 30) <= 1


def test_a_rise_older_than_the_data_has_no_onset() -> None:
    rng = np.random.default_rng(1)
    assert onset(T, 100 + ramp(48) * 5.0 + rng.standard_normal(48)) == 0


def test_shapes() -> None:
    k = ramp(48)
    assert shape_of(T, 10 * k) == "steady"
    assert shape_of(T, k**3) == "accelerating"
    assert shape_of(T, np.minimum(10 * k, 200)) == "stopped"
    assert shape_of(T, 100.0 * (k // 8)) == "stairs"


def test_exhaustion() -> None:
    assert exhausts_at(1000.0, 3600.0, 3600.0) == 1000.0 + 3600.0
    assert exhausts_at(0.0, 1e12, 1.0) is None
    assert exhausts_at(0.0, math.nan, 1.0) is None
    assert exhausts_at(0.0, 100.0, 0.0) is None


def test_sizes_and_spans_are_for_people() -> None:
    assert [size(v) for v in (0, 900, 11_981, 56_000_000, -2048, 3e12)] == [
        "0 B",
        "900 B",
        "11.7 KiB",
        "53.4 MiB",
        "-2.0 KiB",
        "2794 GiB",
    ]
    assert [span_text(v) for v in (20, 900, 86400, 7 * 86400)] == ["1 min", "15 min", "24 h", "7 d"]


def test_the_sentence() -> None:
    text = describe(
        where="lvs3",
        cache="scsi_cmd_cache",
        growth=56_000_000,
        seconds=86400,
        bytes_per_hour=2_330_000,
        peers=5,
        peer_bytes_per_hour=12_000,
        also=0,
        reboots=0,
        stopped=False,
        exhausts_at=1_796_288_400,
    )
    assert text == (
        "lvs3: scsi_cmd_cache has grown by 53.4 MiB in 24 h (2.2 MiB/h), its 5 peers by 11.7 KiB/h; "
        "memory will run out on 2026-12-03."
    )


def test_a_leak_that_stopped_is_told_from_a_cache_that_filled() -> None:
    k = ramp(48)
    assert not levels_off(T, np.minimum(k, 20) * 10)
    assert not levels_off(T, np.floor(np.minimum(k, 20) / 4) * 40)
    assert not levels_off(T, np.minimum(k, 20) ** 2)
    assert levels_off(T, np.where(k < 20, 1 - np.exp(-3 * k / 20), 0.95))
    assert not levels_off(T, np.zeros(48))


def test_a_rise_that_is_over() -> None:
    k = ramp(48)
    assert is_over(T, np.minimum(k, 20) * 10)
    assert not is_over(T, k * 10)
    assert not is_over(T, np.maximum(k - 30, 0.0))
