"""report, nodes, caches, compare and show against a stand-in for the server."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import httpx
import pytest

from common.commands import caches, compare, nodes, report, show
from common.errors import ConfigError, ServerError
from common.terminal.text import cells
from tests.common.commands.fake import FakeServer, made_finding, made_options, made_report, made_series, shown


def call(module: ModuleType, answers: dict[str, Any], **options: Any) -> tuple[int, str, FakeServer]:
    server = FakeServer(answers)
    given = made_options(**options)
    status = module.run(given, transport=server.transport)
    text = shown(given)
    if not given.json:
        assert max(map(cells, text.splitlines())) <= 100
    return status, text, server


COMPARISON = {
    "cache": "scsi_cmd_cache",
    "members": ["scsi_cmd_cache"],
    "window": {"from": "2026-11-21T23:00:00.000Z", "to": "2026-11-22T23:00:00.000Z"},
    "peers": {"bytes_per_hour": 12000, "spread_bytes_per_hour": 4000},
    "truncated": 0,
    "nodes": [
        {
            "node": "lvs3",
            "group": "lvs",
            "members": ["scsi_cmd_cache"],
            "bytes_per_hour": 2330000,
            "score": 31.4,
            "stands_out": True,
            "series": made_series(*(1e6 + 2330000 * hour for hour in range(25))),
        },
        {
            "node": "lvs1",
            "group": "lvs",
            "members": ["scsi_cmd_cache"],
            "bytes_per_hour": None,
            "score": None,
            "stands_out": False,
            "series": made_series(*[1e6] * 25),
        },
    ],
}


def test_report_shows_findings_with_their_series() -> None:
    answers = {"/outliers": made_report(made_finding()), "/compare": COMPARISON}
    status, text, server = call(report, answers, group="lvs")
    assert status == 1
    assert "lvs3  scsi_cmd_cache" in text
    assert "█" in text
    assert server.asked[0] == "/api/v1/outliers?window=24h&group=lvs"
    assert len(server.asked) == 2
    assert "at=2026-11-22T23%3A00%3A00.000Z" in server.asked[1]


def test_report_asks_for_a_series_once_a_cache() -> None:
    findings = [made_finding(node=f"lvs{i}") for i in range(5)]
    _, _, server = call(report, {"/outliers": made_report(*findings), "/compare": COMPARISON})
    assert len(server.asked) == 2


def test_report_asks_for_the_series_of_ten_caches_at_most() -> None:
    findings = [made_finding(cache=f"kmalloc-{i}") for i in range(12)]
    _, _, server = call(report, {"/outliers": made_report(*findings), "/compare": COMPARISON})
    assert len(server.asked) == 1 + 10


def test_report_without_series_still_reports() -> None:
    assert call(report, {"/outliers": made_report(made_finding())})[0] == 1


def test_report_json_is_the_server_s_own_text() -> None:
    text = '{"findings": [],\n  "groups": [{"series": 3, "unknown": 1}]}'
    answers = {"/outliers": httpx.Response(200, text=text)}
    status, out, server = call(report, answers, json=True)
    assert (status, out) == (0, text + "\n")
    assert len(server.asked) == 1


def test_report_exit_status_when_nothing_was_judged() -> None:
    assert call(report, {"/outliers": made_report(groups=[])})[0] == 2


def node(**values: Any) -> dict[str, Any]:
    return {
        "node": "lvs1",
        "group": "lvs",
        "kernel": "6.1.0-28-amd64",
        "uptime_seconds": 86400.5,
        "seen_seconds_ago": 12.0,
        "stale": False,
        "clock_offset_seconds": None,
        "allocated_bytes": 390000000,
        **values,
    }


def test_nodes_follow_pages_and_mark_what_is_stale() -> None:
    stale = node(node="lvs2", stale=True, clock_offset_seconds=-7200.0, kernel=None)
    pages = {None: {"items": [node()], "next": "abc"}, "abc": {"items": [stale], "next": None}}
    answers = {"/nodes": lambda request: pages[request.url.params.get("cursor")]}
    status, text, server = call(nodes, answers, group="lvs")
    assert status == 0
    assert "2 nodes, 1 stale" in text
    assert "lvs2" in text
    assert "-2h" in text
    assert "372 MiB" in text
    assert [request.url.params["limit"] for request in server.requests] == ["1000", "1000"]


def test_no_nodes() -> None:
    assert call(nodes, {"/nodes": {"items": [], "next": None}})[1] == "0 nodes\n"


def test_lists_as_json_are_whole() -> None:
    pages = {None: {"items": [node()], "next": "abc"}, "abc": {"items": [node(node="x")], "next": None}}
    answers = {"/nodes": lambda request: pages[request.url.params.get("cursor")]}
    _, text, _ = call(nodes, answers, json=True)
    assert json.loads(text) == {"items": [node(), node(node="x")], "next": None}


def test_caches() -> None:
    item = {
        "cache": "dentry",
        "members": ["dentry"],
        "nodes": 6,
        "active_bytes": 90 * 2**20,
        "allocated_bytes": 100 * 2**20,
        "bytes_per_hour": -2048,
        "fleet_growth": True,
    }
    answers = {"/caches": {"items": [item, {**item, "cache": "empty", "allocated_bytes": 0}], "next": None}}
    status, text, _ = call(caches, answers)
    assert status == 0
    assert "2 caches, 100 MiB allocated on all nodes" in text
    for part in ("dentry", "90%", "-2.0 KiB/h", "grows on most nodes"):
        assert part in text
    assert json.loads(call(caches, answers, json=True)[1])["items"][0] == item


def test_compare_draws_every_node_to_one_scale() -> None:
    status, text, server = call(compare, {"/compare": COMPARISON}, cache="scsi_cmd_cache")
    assert status == 0
    assert "on 2 nodes, 1 of them outstanding; median +11.7 KiB/h, spread 3.9 KiB/h" in text
    leaking, flat = (line for line in text.splitlines() if line.startswith("  lvs"))
    assert "+2.2 MiB/h" in leaking
    assert "▁▁▂" in leaking
    assert flat.endswith("▁" * 32)
    assert "cache=scsi_cmd_cache" in server.asked[0]


def test_compare_json_asks_for_as_many_nodes_as_it_may() -> None:
    _, text, server = call(compare, {"/compare": COMPARISON}, cache="scsi_cmd_cache", json=True)
    assert json.loads(text) == COMPARISON
    assert "limit=1000" in server.asked[0]


def test_compare_without_any_node() -> None:
    empty = {**COMPARISON, "nodes": [], "peers": {"bytes_per_hour": None, "spread_bytes_per_hour": None}}
    assert "no node lists it" in call(compare, {"/compare": empty}, cache="x")[1]


def test_compare_says_how_many_are_not_shown() -> None:
    assert "500 more nodes are not shown" in call(compare, {"/compare": {**COMPARISON, "truncated": 500}}, cache="x")[1]


LATEST: dict[str, Any] = {
    "node": "lvs3",
    "group": "lvs",
    "labels": {"rack": "r4"},
    "kernel": "6.1.0-28-amd64",
    "machine": "x86_64",
    "cpus": 8,
    "taken_at": "2026-11-22T23:00:00.000Z",
    "received_at": "2026-11-22T23:00:01.000Z",
    "uptime_seconds": 86400.5,
    "clock_offset_seconds": 90.0,
    "memory": {"total": 8589934592, "available": 7000000000},
    "caches": {
        "name": ["dentry", "scsi_cmd_cache", "dentry"],
        "active_objs": [100, 700, 10],
        "num_objs": [200, 736, 10],
        "obj_size": [192, 512, 192],
    },
}


def show_answers(reboot: dict[str, Any] | None = None) -> dict[str, Any]:
    start = "2026-11-21T23:00:00.000Z"
    past = {**LATEST, "taken_at": start, "caches": {**LATEST["caches"], "num_objs": [200, 36, 10]}}

    def snapshots(request: httpx.Request) -> dict[str, Any]:
        assert dict(request.url.params) == {"from": start, "limit": "1"}
        return {"items": [{"taken_at": start}], "next": "more"}

    class Answers(dict[str, Any]):
        """Any instant gives the past."""

        def get(self, path: str, default: Any = None) -> Any:
            return super().get(path, past if path.startswith("/nodes/lvs3/snapshots/") else default)

    return Answers(
        {
            "/nodes/lvs3/snapshots": snapshots,
            "/nodes/lvs3/snapshots/latest": LATEST,
            "/nodes/lvs3/diff": {
                "from": {"taken_at": start},
                "to": {"taken_at": LATEST["taken_at"]},
                "reboot": reboot,
                "items": [
                    {"cache": "dentry", "bytes": -192, "objects": -1},
                    {"cache": "scsi_cmd_cache", "bytes": 700 * 512, "objects": 700},
                ],
            },
        }
    )


def test_show_tells_the_facts_and_what_grew() -> None:
    status, text, _ = call(show, show_answers(), node="lvs3")
    assert status == 0
    for part in (
        "rack=r4",
        "6.1.0-28-amd64, x86_64, 8 CPUs",
        "1d, booted 2026-11-21 22:59Z",
        "8.0 GiB, 6.5 GiB available",
        " in use, 2 caches\n",
        "1m 30s ahead of the server's",
        "biggest of 2 caches",
        "+350 KiB",
        "-192 B",
    ):
        assert part in text, part
    grown = text.partition("grown most since 2026-11-21 23:00Z (1d)")[2]
    assert "scsi_cmd_cache" in grown
    assert "dentry" not in grown
    assert "█" in grown
    assert "rebooted" not in text


def test_show_says_that_it_rebooted() -> None:
    assert (
        "it rebooted in between"
        in call(show, show_answers({"booted_at": None, "kernel_changed": False}), node="lvs3")[1]
    )


def test_show_json() -> None:
    _, text, server = call(show, show_answers(), node="lvs3", json=True)
    assert json.loads(text)["snapshot"] == LATEST
    assert len(server.asked) == 3


def test_an_unknown_node_is_the_server_s_sentence() -> None:
    with pytest.raises(ServerError, match=r"answered 404: no /nodes/lvs9/snapshots/latest"):
        call(show, {}, node="lvs9")


@pytest.mark.parametrize("name", ["a/b", ""])
def test_what_can_be_no_node_is_not_asked_for(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name!r} is no node name: .*slabhound nodes"):
        call(show, {}, node=name)


def test_a_cache_that_nobody_lists_then_is_looked_for_by_commands() -> None:
    problem = {"type": "urn:slabhound:problem:unknown-cache", "detail": "no node lists 'x'"}
    with pytest.raises(ServerError, match="no node lists 'x'; here: `slabhound caches`, and --at or --window"):
        call(compare, {"/compare": httpx.Response(404, json=problem)}, cache="x")


def test_compare_names_every_name_of_the_kernel_s() -> None:
    both = {**COMPARISON, "cache": "kmalloc-64", "members": ["kmalloc-64", "size-64"]}
    assert "  the kernel's names: kmalloc-64, size-64\n" in call(compare, {"/compare": both}, cache="kmalloc-64")[1]
    assert "names" not in call(compare, {"/compare": COMPARISON}, cache="scsi_cmd_cache")[1]
