"""What is stored of each node: lists page by page, one snapshot, the difference of two."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from server.storage import open_store
from tests.server.harness import NOW, Aggregator, aggregator, assert_problem, run, wire


def caches(**objects: int) -> dict[str, Any]:
    """Caches by name with so many objects of 100 bytes; every slot is in use but one."""
    return {
        "name": list(objects),
        "active_objs": [n - 1 for n in objects.values()],
        "num_objs": list(objects.values()),
        "obj_size": [100] * len(objects),
    }


def test_nodes_are_listed_page_by_page() -> None:
    async def test(a: Aggregator) -> None:
        names = [f"n{i}" for i in range(5)]
        await a.post([wire(name, group="odd" if int(name[1]) % 2 else "even") for name in reversed(names)])
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = (await a.get("/nodes", limit=2, **({"cursor": cursor} if cursor else {}))).json()
            seen += [item["node"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == names
        odd = (await a.get("/nodes", group="odd")).json()
        assert ([item["node"] for item in odd["items"]], odd["next"]) == (["n1", "n3"], None)

    run(test)


def test_a_node_goes_stale_after_three_intervals_by_receipt() -> None:
    async def test(a: Aggregator) -> None:
        assert (await a.get("/nodes")).json() == {"items": [], "next": None}
        await a.post([wire("n1", taken_at=NOW - 9000, interval_seconds=60), wire("n2")])
        a.now = NOW + 180
        quick, unknown = (await a.get("/nodes")).json()["items"]
        assert (quick["stale"], quick["seen_seconds_ago"], quick["gap_seconds"]) == (False, 180, 60)
        assert (unknown["stale"], unknown["gap_seconds"]) == (None, None)
        a.now = NOW + 180.5
        assert (await a.get("/nodes")).json()["items"][0]["stale"] is True

    run(test)


def test_a_nodes_figures_are_those_of_its_newest_snapshot() -> None:
    async def test(a: Aggregator) -> None:
        facts = {"kernel": "6.1", "machine": "x86_64", "cpus": 8, "boot_id": "b", "uptime_seconds": 5.5}
        memory = {"total": 1000, "available": 500}
        await a.post(wire("n1", labels={"rack": "r4"}, memory=memory, read_seconds=0.25, caches=caches(x=11), **facts))
        (item,) = (await a.get("/nodes")).json()["items"]
        assert item.items() >= {"allocated_bytes": 1100, "active_bytes": 1000, "read_seconds": 0.25}.items()
        assert item.items() >= {"memory_total": 1000, "memory_available": 500, "boot": "b"}.items()
        assert item.items() >= facts.items()
        assert item["labels"] == {"rack": "r4"}

    run(test)


def test_instants_are_listed_page_by_page_within_bounds() -> None:
    async def test(a: Aggregator) -> None:
        await a.post([wire(taken_at=NOW + i, boot_id="b") for i in (3, 1, 0, 2)])
        page = (await a.get("/nodes/lvs1/snapshots", limit=3)).json()
        rest = (await a.get("/nodes/lvs1/snapshots", limit=3, cursor=page["next"])).json()
        stamps = [item["taken_at"][-5:-1] for item in page["items"] + rest["items"]]
        assert (stamps, rest["next"]) == (["0.000"[-4:]] * 4, None)
        assert [item["taken_at"][17:19] for item in page["items"] + rest["items"]] == ["20", "21", "22", "23"]
        some = (await a.get("/nodes/lvs1/snapshots", **{"from": NOW + 1, "to": "2026-09-21T14:13:22+00:00"})).json()
        assert [item["taken_at"][17:19] for item in some["items"]] == ["21", "22"]
        assert some["items"][0].items() >= {"boot_id": "b", "caches": 2}.items()
        none = await a.get("/nodes/lvs1/snapshots", **{"from": NOW + 10})
        assert none.json() == {"items": [], "next": None}
        assert_problem(await a.get("/nodes/unheard/snapshots"), "unknown-node")

    run(test)


def test_an_unescaped_plus_is_tolerated() -> None:
    async def test(a: Aggregator) -> None:
        await a.post(wire(taken_at=NOW))
        for at in ("2026-09-21T16:13:20+02:00", quote("2026-09-21T16:13:20+02:00"), str(NOW)):
            assert (await a.client.get(f"/api/v1/nodes/lvs1/snapshots?from={at}&to={at}")).json()["items"]
            assert (await a.client.get(f"/api/v1/nodes/lvs1/snapshots/{at}")).status_code == 200

    run(test)


def test_a_snapshot_comes_back_exactly() -> None:
    async def test(a: Aggregator) -> None:
        sent = wire("a.b:c-1", taken_at="2026-09-21T14:00:00.125Z", group="lvs", boot_id="b", uptime_seconds=7.5)
        await a.post(sent)
        got = (await a.get("/nodes/a.b:c-1/snapshots/latest")).json()
        assert got.items() >= sent.items()
        assert set(got) - set(sent) == {"boot", "received_at", "clock_offset_seconds"}
        assert (await a.get("/nodes/a.b%3Ac-1/snapshots/2026-09-21T14:00:00.125Z")).json() == got
        # It may be sent again as it is.
        assert (await a.post(got)).json() == {"stored": 0, "duplicates": 1}

    run(test)


def test_a_snapshot_is_the_newest_at_or_before_the_instant() -> None:
    async def test(a: Aggregator) -> None:
        await a.post([wire(taken_at=NOW + i, caches=caches(x=i + 1)) for i in (0, 10)])
        for at, objects in ((NOW, 1), (NOW + 9.999, 1), (NOW + 10, 11), (NOW + 1e6, 11), ("latest", 11)):
            got = (await a.get(f"/nodes/lvs1/snapshots/{at}")).json()
            assert got["caches"]["num_objs"] == [objects]
        problem = assert_problem(await a.get(f"/nodes/lvs1/snapshots/{NOW - 1}"), "before-history")
        assert problem["first"] == "2026-09-21T14:13:20.000Z"
        assert "2026-09-21T14:13:20.000Z" in problem["detail"]
        assert_problem(await a.get("/nodes/lvs1/snapshots/newest"), "invalid-parameter")
        assert_problem(await a.get("/nodes/unheard/snapshots/latest"), "unknown-node")

    run(test)


@pytest.mark.parametrize(
    ("accept", "text"),
    [
        ("text/plain", True),
        ("text/plain;q=0.9, application/json;q=0.5", True),
        ("text/plain;q=0.5, application/json", False),
        ("application/json, text/plain", False),
        ("*/*", False),
        ("text/html", False),
        ("", False),
        ("text/plain;q=nonsense", True),
    ],
)
def test_text_is_given_to_whom_asks_for_it(accept: str, text: bool) -> None:  # noqa: FBT001 - a parameter
    async def test(a: Aggregator) -> None:
        await a.post([wire(taken_at=NOW), wire(taken_at=NOW + 1)])
        for path in ("snapshots/latest", "diff"):
            response = await a.client.get(f"/api/v1/nodes/lvs1/{path}", headers={"accept": accept})
            assert response.headers["content-type"].startswith("text/plain" if text else "application/json")
            assert response.headers["vary"] == "Accept"

    run(test)


def test_a_difference_is_slabdiffs() -> None:
    async def test(a: Aggregator) -> None:
        await a.post(wire(taken_at=NOW, boot_id="b", caches=caches(same=5, less=9, gone=4)))
        await a.post(wire(taken_at=NOW + 60, boot_id="b", caches=caches(same=5, less=6, new=3)))
        got = (await a.get("/nodes/lvs1/diff", metric="allocated")).json()
        assert got["items"] == [
            {"cache": "gone", "bytes": -400, "objects": -4},
            {"cache": "less", "bytes": -300, "objects": -3},
            {"cache": "new", "bytes": 300, "objects": 3},
        ]
        assert (got["reboot"], got["next"], got["metric"]) == (None, None, "allocated")
        assert (got["from"]["taken_at"], got["to"]["taken_at"]) == (
            "2026-09-21T14:13:20.000Z",
            "2026-09-21T14:14:20.000Z",
        )
        text = await a.client.get("/api/v1/nodes/lvs1/diff", headers={"accept": "text/plain"})
        assert text.text == "gone: -300\nless: -300\nnew: 200\n"
        back = (await a.get("/nodes/lvs1/diff", **{"from": NOW + 1, "to": NOW + 2})).json()
        assert back["items"] == []
        latest = (await a.get("/nodes/lvs1/diff", **{"from": "latest", "to": "latest"})).json()
        assert (latest["from"], latest["items"]) == (got["to"], [])

    run(test)


def test_the_reboot_between_two_snapshots_is_told() -> None:
    async def test(a: Aggregator) -> None:
        await a.post(wire(taken_at=NOW, boot_id="one", kernel="6.1"))
        await a.post(wire(taken_at=NOW + 60, boot_id="two", kernel="6.12", uptime_seconds=20))
        got = (await a.get("/nodes/lvs1/diff")).json()
        assert got["reboot"] == {"booted_at": "2026-09-21T14:14:00.000Z", "kernel_changed": True}

    run(test)


def test_a_difference_needs_two_sides_in_order() -> None:
    async def test(a: Aggregator) -> None:
        assert_problem(await a.get("/nodes/lvs1/diff"), "unknown-node")
        await a.post(wire(taken_at=NOW))
        assert_problem(await a.get("/nodes/lvs1/diff", **{"from": NOW - 1}), "before-history")
        assert_problem(await a.get("/nodes/lvs1/diff", **{"from": NOW + 2, "to": NOW + 1}), "invalid-parameter")
        await a.post(wire(taken_at=NOW + 60))
        assert_problem(await a.get("/nodes/lvs1/diff", **{"from": "latest", "to": NOW + 1}), "invalid-parameter")
        wrong = assert_problem(await a.get("/nodes/lvs1/diff", to="never"), "invalid-parameter")
        assert [error["pointer"] for error in wrong["errors"]] == ["/query/to"]
        assert_problem(await a.get("/nodes/lvs1/diff", metric="weight"), "invalid-parameter")

    run(test)


def test_a_node_of_which_only_roll_ups_are_left_is_told_from_one_unheard_of(tmp_path: Path) -> None:
    async def main() -> None:
        store = open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: NOW)
        async with aggregator(store=store) as a:
            await a.post(wire(taken_at=NOW - 10))
            store.maintain(NOW + 10 * 86400)
            assert [item["node"] for item in (await a.get("/nodes")).json()["items"]] == ["lvs1"]
            for path in ("/nodes/lvs1/snapshots", "/nodes/lvs1/snapshots/latest", "/nodes/lvs1/diff"):
                told = assert_problem(await a.get(path), "unknown-node")
                assert told["detail"].startswith("exact snapshots of lvs1 are kept no more: GET /api/v1/compare")

    asyncio.run(main())
