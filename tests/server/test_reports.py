"""The results laid out: the contract's JSON from findings, nothing rounded away, nothing dropped silently."""

from __future__ import annotations

from typing import Any

from server.analysis.caches import CacheSummary
from server.analysis.types import Finding, GroupSummary, Judgement, Lockstep, Note
from server.reports.caches import lay_out_caches
from server.reports.outliers import lay_out
from tests.server.harness import NOW


def finding(**fields: Any) -> Finding:
    known: dict[str, Any] = {
        "kind": "outlier",
        "node": "lvs3",
        "group": "lvs",
        "cache": "scsi_cmd_cache",
        "members": ("scsi_cmd_cache",),
        "also": (Lockstep("scsi_sense_cache", 290000.4),),
        "growth_bytes": 56000000.4,
        "bytes_per_hour": 2329999.6,
        "objects_per_hour": 4550.04,
        "peer_bytes_per_hour": 12000.0,
        "score": 31.4159,
        "q_value": 0.000412345,
        "shape": "steady",
        "since": NOW - 86400,
        "since_open": False,
        "exhausts_at": NOW + 86400,
        "reclaimable": None,
        "aliases": (),
        "summary": "It leaks.",
    }
    return Finding(**(known | fields))


def test_a_finding_has_the_contracts_form() -> None:
    judgement = Judgement(NOW - 86400, NOW, (GroupSummary("lvs", 6, 1180),), (finding(),), (), (Note(None, "short"),))
    assert lay_out(judgement, limit=10, generated_at=NOW).model_dump(mode="json") == {
        "generated_at": "2026-09-21T14:13:20.000Z",
        "window": {"from": "2026-09-20T14:13:20.000Z", "to": "2026-09-21T14:13:20.000Z"},
        "truncated": 0,
        "groups": [{"group": "lvs", "nodes": 6, "series": 1180}],
        "findings": [
            {
                "rank": 1,
                "kind": "outlier",
                "node": "lvs3",
                "group": "lvs",
                "cache": "scsi_cmd_cache",
                "members": ["scsi_cmd_cache"],
                "also": [{"cache": "scsi_sense_cache", "bytes_per_hour": 290000}],
                "growth_bytes": 56000000,
                "bytes_per_hour": 2330000,
                "objects_per_hour": 4550.0,
                "peer_bytes_per_hour": 12000,
                "score": 31.42,
                "q_value": 0.000412,
                "shape": "steady",
                "since": "2026-09-20T14:13:20.000Z",
                "since_open": False,
                "exhausts_at": "2026-09-22T14:13:20.000Z",
                "reclaimable": None,
                "aliases": [],
                "summary": "It leaks.",
                "evidence": {},
            }
        ],
        "watch": [],
        "notes": [{"node": None, "note": "short"}],
    }


def test_what_the_limit_leaves_out_is_counted() -> None:
    many = tuple(finding(node=f"n{i}") for i in range(5))
    report = lay_out(Judgement(0, NOW, (), many, many), limit=2, generated_at=NOW)
    assert [f.node for f in report.findings] == ["n0", "n1"]
    assert [f.rank for f in report.watch] == [1, 2]
    assert report.truncated == 3
    assert [note.note for note in report.notes] == ["3 weaker signs past the limit of 2 are not shown"]


def test_a_fleets_growth_has_no_node_and_lonely_caches_no_peers() -> None:
    fleet = finding(kind="fleet", node=None, peer_bytes_per_hour=None, exhausts_at=None)
    (shown,) = lay_out(Judgement(0, NOW, (), (fleet,)), limit=9, generated_at=NOW).model_dump(mode="json")["findings"]
    assert (shown["node"], shown["peer_bytes_per_hour"], shown["exhausts_at"]) == (None, None, None)


def test_bytes_that_no_kernel_has_end_where_a_nodes_do() -> None:
    (item,) = lay_out_caches([CacheSummary("dentry", ("dentry",), 1, 1.77e21, 4096.0, None, fleet_growth=False)])
    assert (item.active_bytes, item.allocated_bytes) == (2**63 - 1, 4096)
