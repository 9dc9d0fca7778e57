"""The shape of a growth: steady, stairs, accelerating, stopped."""

from __future__ import annotations

import math

import numpy as np
import pytest

from server.analysis.exhaust import exhausts_at
from server.analysis.sentence import describe, size, span_text
from server.analysis.shape import bend, is_over, leaks_again, levels_off, onset, restarted, shape_of, slackens
from tests.analysis.series import Floats, ramp

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
    assert [span_text(v) for v in (20, 900, 86400, 7 * 86400)] == ["20s", "15m", "1d", "7d"]


@pytest.mark.parametrize(
    ("peers", "rate", "said"),
    [(5, -632.0, "its 5 peers shrank by 632 B/h."), (1, -0.4, "its peer by 0 B/h."), (2, 0.0, "its 2 peers by 0 B/h.")],
)
def test_peers_that_shrink(peers: int, rate: float, said: str) -> None:
    text = describe(
        where="lvs3",
        cache="dentry",
        growth=1.0,
        seconds=8760.0,
        bytes_per_hour=1.0,
        peers=peers,
        peer_bytes_per_hour=rate,
        also=0,
        reboots=0,
        stopped=False,
        exhausts_at=None,
    )
    assert text == f"lvs3: dentry has grown by 1 B in 2h 26m (1 B/h), {said}"


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
        "lvs3: scsi_cmd_cache has grown by 53.4 MiB in 1d (2.2 MiB/h), its 5 peers by 11.7 KiB/h; "
        "memory will run out on 2026-12-03."
    )


def test_a_leak_that_stopped_is_told_from_a_cache_that_filled() -> None:
    k = ramp(48)
    assert not levels_off(T, np.minimum(k, 20) * 10)
    assert not levels_off(T, np.floor(np.minimum(k, 20) / 4) * 40)
    assert not levels_off(T, np.minimum(k, 20) ** 2)
    assert levels_off(T, np.where(k < 20, 1 - np.exp(-3 * k / 20), 0.95))
    assert not levels_off(T, np.zeros(48))


def test_a_leaker_that_was_restarted_begins_anew() -> None:
    k = ramp(48)
    twice = np.where(k < 18, 20 * k, 20 * (k - 18)) + 100.0
    assert restarted(twice) == 18
    assert levels_off(T, twice, rests=False)
    assert not levels_off(T[18:], twice[18:], rests=False)
    slowly = np.interp(k, [0, 18, 28, 47], [0, 360, 0, 400])
    assert restarted(20 * k) == restarted(slowly) == restarted(np.zeros(48)) == 0


def test_a_rise_that_is_over() -> None:
    k = ramp(48)
    assert is_over(T, np.minimum(k, 20) * 10)
    assert not is_over(T, k * 10)
    assert not is_over(T, np.maximum(k - 30, 0.0))


def filled(constants: float) -> Floats:
    """1 - exp(-t) over so many time constants."""
    return 1 - np.exp(-constants * ramp(48) / 47)


def test_the_bend_is_what_half_way_is_done_beyond_a_half() -> None:
    k = ramp(48)
    assert bend(T, 7 + 3 * k) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert bend(T, filled(1.0))[0] == pytest.approx(0.124, abs=0.002)
    assert bend(T, filled(2.0))[0] == pytest.approx(0.243, abs=0.002)
    assert bend(T, k**2)[0] == pytest.approx(-0.25, abs=0.01)
    assert bend(T, -k) == (0.0, 0.0)
    for factor in (1e-3, 1e9):  # neither bytes nor seconds matter
        assert bend(T * factor, 5 + factor * filled(1.0))[0] == pytest.approx(bend(T, filled(1.0))[0])


@pytest.mark.parametrize("spread", [0.01, 0.05, 0.2])
def test_the_bend_of_noise_is_within_its_error(spread: float) -> None:
    rng = np.random.default_rng(2)
    told = np.array([bend(T, ramp(48) / 47 + spread * rng.standard_normal(48)) for _ in range(300)])
    assert np.abs(told[:, 0]).std() < np.median(told[:, 1]) * 1.1
    assert told[:, 0].std() == pytest.approx(np.median(told[:, 1]), rel=0.25)
    assert 0.6 < (np.abs(told[:, 0]) < told[:, 1]).mean() < 0.76  # a standard error


@pytest.mark.parametrize("hours", [0.5, 2.0, 4.0, 24.0, 100.0])
def test_a_rise_slackens_as_a_filling_cache_does_or_not(hours: float) -> None:
    t, k = ramp(48) / 47 * hours * 3600, ramp(48)
    assert slackens(t, k) == pytest.approx(0.0, abs=1e-6)
    assert slackens(t, k**2) < 0
    assert slackens(t, filled(2.0)) > slackens(t, filled(1.0)) > (1.0 if hours <= 4 else 0.5)
    assert slackens(t, filled(3.0)) > 1.0 or hours > 16
    assert slackens(t, np.minimum(k, 20.0)) < 1.0  # it stopped
    assert slackens(t, np.minimum(k, 40.0)) < 1.0
    assert slackens(t, np.maximum(k - 20, 0.0)) < 1.0


def test_what_is_flat_before_a_rise_and_not_known_bends_nothing() -> None:
    k = ramp(48)
    late = np.where(k < 28, 0.0, 1 - np.exp(-(k - 28) / 10))
    assert slackens(T, late) > 1.0
    holes = np.where(k % 5 == 2, np.nan, 3 * k)
    assert slackens(T, holes) == pytest.approx(0.0, abs=1e-6)
    assert slackens(T[:5], filled(2.0)[:5]) == 0.0
    assert slackens(T, np.full(48, np.nan)) == 0.0
    assert slackens(T, np.zeros(48)) == 0.0
    assert slackens(T, -k) == 0.0


@pytest.mark.parametrize("hours", [0.5, 2.0])
def test_doubt_is_for_the_rise_in_less_than_an_hour_and_against_it_later(hours: float) -> None:
    rng = np.random.default_rng(4)
    t = ramp(48) / 47 * hours * 3600
    noisy = ramp(48) / 47 + 0.1 * rng.standard_normal((200, 48))
    doubted = np.mean([slackens(t, y) > 1.0 for y in noisy])
    assert doubted < 0.3 if hours < 1 else doubted > 0.3


@pytest.mark.parametrize("hours", [3.0, 5.0, 8.0])
def test_what_is_flat_before_a_fill_does_not_straighten_it(hours: float) -> None:
    """The best break of a rise that slows at once lies some cells before it."""
    t = ramp(28) * 3000.0
    for start in (10, 14, 18):
        since = np.maximum(t - t[start], 0.0) / 3600.0
        assert slackens(t, 1e6 + 1e7 * (1 - np.exp(-since / hours))) > 1.0
        assert slackens(t, 1e6 + 1e6 * since) < 0.1


def saw(*parts: tuple[int, float, float]) -> Floats:
    """Straight lines one after the other: cells, and where each begins and ends."""
    return np.concatenate([np.linspace(begin, end, cells) for cells, begin, end in parts])


def test_a_leak_that_a_restart_gave_back_runs_again() -> None:
    assert leaks_again(saw((10, 5, 40), (18, 0, 60))) == 10
    assert leaks_again(saw((10, 50, 62), (18, 2, 70))) == 10  # it had leaked for long
    assert leaks_again(saw((10, 0, 40), (18, 5, 30))) == 0  # not down to where it was
    assert leaks_again(saw((4, 0, 40), (8, 40, 40), (16, 0, 40))) == 0  # it had filled, and rested
    assert leaks_again(saw((8, 0, 40), (8, 0, 40), (12, 0, 40))) == 0  # again and again
    assert leaks_again(saw((8, 0, 40), (12, 0, 0), (8, 0, 40))) == 0  # it waited for its turn
    assert leaks_again(saw((2, 0, 40), (20, 0, 60))) == 2  # hardly anything is known of before
    assert leaks_again(saw((1, 0, 40), (20, 0, 60))) == 0  # nothing is
    assert leaks_again(saw((28, 0, 40))) == leaks_again(np.zeros(28)) == leaks_again(np.zeros(0)) == 0
