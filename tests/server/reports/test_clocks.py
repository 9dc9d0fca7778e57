"""A node whose clock is so far off that no window sees it is named in the report, not left out without a word."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.harness import NOW, Aggregator, run, wire

DAY = 86400.0


async def sent(a: Aggregator, node: str, off: float, **fields: Any) -> None:
    """A snapshot of a node whose clock is so many seconds ahead."""
    await a.post(wire(node, taken_at=a.now + off, **fields), slabhound_sent_at=str(a.now + off))


async def noted(a: Aggregator, **asked: Any) -> dict[str, str]:
    notes = (await a.get("/outliers", **asked)).json()["notes"]
    return {note["node"]: note["note"] for note in notes if "clock" in note["note"]}


@pytest.mark.parametrize(("off", "said"), [(21 * DAY, "21d ahead of"), (-90 * DAY, "90d behind"), (DAY, "1d ahead of")])
def test_it_is_noted(off: float, said: str) -> None:
    async def test(a: Aggregator) -> None:
        await sent(a, "right", 0)
        await sent(a, "near", DAY - 60)
        await sent(a, "odd", off)
        expected = f"its clock is {said} the server's: what it sends lies outside of this window"
        assert await noted(a) == {"odd": expected}
        assert await noted(a, group="another") == {}
        assert await noted(a, window="200d") == {}

    run(test)


def test_not_once_it_is_right_again_nor_of_other_windows() -> None:
    async def test(a: Aggregator) -> None:
        await sent(a, "odd", 21 * DAY, interval_seconds=60)
        assert list(await noted(a)) == ["odd"]
        assert await noted(a, at=NOW - 3600) == {}
        a.now += 600
        await sent(a, "odd", 0, interval_seconds=60)
        assert await noted(a) == {}

    run(test)


def test_what_was_imported_has_no_clock() -> None:
    async def test(a: Aggregator) -> None:
        await a.post(wire("old", taken_at=NOW - 90 * DAY))
        assert await noted(a) == {}

    run(test)
