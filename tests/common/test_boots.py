"""Which snapshots belong to one boot."""

from __future__ import annotations

from common.boots import BootLabels

T = 1795388400.0


def test_the_boot_id_is_the_label() -> None:
    assert BootLabels().label("0b6f", T, 60.0) == "0b6f"


def test_without_anything_there_is_one_unknown_boot() -> None:
    labels = BootLabels()
    assert labels.label(None, T, None) == labels.label("", T + 9e6, None) == ""


def test_without_a_boot_id_a_boot_is_when_it_began_within_a_minute() -> None:
    labels = BootLabels()
    first = labels.label(None, T, 3600.0)
    assert first == "booted 2026-11-22T22:00:00.000Z"
    assert labels.label(None, T + 600, 4200.0) == first
    assert labels.label(None, T + 600, 4260.0) == first
    assert labels.label(None, T + 600, 4140.0) == first
    assert labels.label(None, T + 700, 10.0) == "booted 2026-11-22T23:11:30.000Z"


def test_drift_is_measured_from_the_label_not_from_the_last_snapshot() -> None:
    labels = BootLabels()
    first = labels.label(None, T, 0.0)
    assert labels.label(None, T + 50, 0.0) == first
    assert labels.label(None, T + 100, 0.0) != first


def test_the_nearest_of_two_boots() -> None:
    labels = BootLabels()
    early, late = labels.label(None, T, 0.0), labels.label(None, T + 100, 0.0)
    assert labels.label(None, T + 45, 0.0) == early
    assert labels.label(None, T + 55, 0.0) == late


def test_labels_given_out_before_are_known() -> None:
    label = BootLabels().label(None, T, 3600.0)
    assert BootLabels([label, "0b6f", ""]).label(None, T + 30, 3600.0) == label


def test_a_boot_id_that_looks_like_a_label_is_only_a_boot_id() -> None:
    labels = BootLabels(["booted foo", "booted "])
    assert labels.label("booted foo", T, None) == "booted foo"
    assert labels.label(None, T, 0.0) == "booted 2026-11-22T23:00:00.000Z"


def test_a_clock_before_1970_is_no_crash() -> None:
    assert BootLabels().label(None, 10.0, 3600.0) == "booted 1970-01-01T00:00:00.000Z"
