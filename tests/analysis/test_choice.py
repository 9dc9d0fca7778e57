"""Which sign of a cache speaks for it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from server.analysis.choice import Choice, choose
from server.analysis.peers import Peers
from server.analysis.sign import Sign
from server.analysis.tracks import make_tracks
from server.analysis.windows import Span
from tests.analysis.series import MIB, START, ArraySource, fleet

END = START + 86400.0
(TRACK,) = make_tracks(list(ArraySource(fleet(1)).window(START, END, 300)))


def sign(start: float, width: float, failed: tuple[str, ...], growth: float = 100 * MIB) -> Sign:
    """A strong and even rise from `start` to the window's end."""
    evidence = {"window_seconds": END - start, "growth": growth, "own_noise": 1.0, "slab": 4096.0, "largest_step": 0.2}
    return Sign(
        TRACK,
        "constant-0",
        TRACK.facts[TRACK.index["constant-0"]],
        Span(start, END, width, start == START),
        growth,
        error=1.0,
        rate=growth / (END - start),
        peers=Peers(4, 0.0, 0.0, 1.0),
        lone_growth=growth,
        lone_error=1.0,
        excess=growth,
        score=40.0,
        short=start > START,
        failed=failed,
        evidence={**evidence},
        removed=0.0,
        together=0.0,
        wander=0.0,
        own_wander=0.0,
    )


def chosen(*signs: Sign) -> list[Choice]:
    return choose([(one, 1e-4) for one in signs], 0.01)


@pytest.mark.parametrize("failed", [(), ("material",)])
def test_a_strong_rise_is_a_finding_though_it_matters_only_with_others(failed: tuple[str, ...]) -> None:
    ((_, _, strong),) = chosen(sign(START, 3300.0, failed))
    assert strong


def test_what_bends_in_finer_cells_is_no_finding_in_coarser_ones() -> None:
    light = [(), ("material",)]
    for rough, fine in itertools.product(light, light):
        found = chosen(sign(START, 3300.0, rough), sign(END - 14400.0, 600.0, (*fine, "bends")))
        assert not any(strong for _, _, strong in found)
    ((_, _, strong),) = chosen(sign(START, 3300.0, ()), sign(END - 14400.0, 600.0, ("bends",), 50 * MIB))
    assert strong


@pytest.mark.parametrize(("hours", "least"), [(0.5, 5.0), (2.0, 6.0), (3.0, 12.0), (12.0, 12.0), (24.0, 8.5)])
def test_what_lasts_some_hours_must_be_stronger_while_no_day_is_known(hours: float, least: float) -> None:
    span = Span(START, START + hours * 3600.0, 600.0, whole=True)
    whole = replace(sign(START, 600.0, ()), span=span, dayless=hours < 22)
    whole.evidence["window_seconds"] = hours * 3600.0
    assert whole.limit == least
    assert replace(whole, span=replace(span, whole=False), dayless=False).limit == 8.0
