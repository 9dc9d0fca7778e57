"""The report as text: everything a finding says is there, within the terminal's width."""

from __future__ import annotations

from typing import Any

import pytest

from common.terminal.report import exit_status, render_report
from common.terminal.text import cells
from tests.common.commands.fake import made_finding, made_report, made_screen


def rendered(report: dict[str, Any], width: int = 100) -> str:
    lines = render_report(report, made_screen(width))
    assert max(map(cells, lines)) <= width
    return "\n".join(lines)


def test_a_finding_says_everything() -> None:
    finding = made_finding(aliases=["biovec-16"], members=["scsi_cmd_cache", "scsi_cmd_cache_2"], reclaimable=True)
    text = rendered(made_report(finding))
    for part in (
        "2026-11-21 23:00Z to 2026-11-22 23:00Z (1d)",
        "group lvs: 6 nodes, 1,180 series judged",
        "1 finding:",
        "1. lvs3 scsi_cmd_cache +2.2 MiB/h outlier",
        "while its five peers stand still",
        "+53.4 MiB since 2026-11-22 02:00Z (21h ago), steady",
        "4,550 objects/h",
        "peers +11.7 KiB/h",
        "memory runs out in 10d 5h, 2026-12-03 04:00Z",
        "score 31.4, q 0.0004",
        "grows in lockstep: scsi_sense_cache +283 KiB/h",
        "the kernel's names: scsi_cmd_cache, scsi_cmd_cache_2",
        "the kernel merged into it: biovec-16",
        "reclaimable",
    ):
        assert part in " ".join(text.split()), part


def test_what_is_not_known_is_said() -> None:
    finding = made_finding(
        kind="fleet", node=None, peer_bytes_per_hour=None, exhausts_at=None, since_open=True, also=[], aliases=[]
    )
    text = rendered(made_report(finding))
    assert "every node of lvs  scsi_cmd_cache" in text
    assert "4,550 objects/h; as on the median node" in " ".join(text.split())
    assert "peers" not in text.replace("while its five peers", "")
    assert "since 2026-11-22 02:00Z, where the data begin" in text
    assert "lasts for more than a year" in text


def test_a_cache_of_one_node_alone_is_said() -> None:
    assert "peers do not list it" in rendered(made_report(made_finding(peer_bytes_per_hour=None)))


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_it_fits(width: int) -> None:
    long = made_finding(node="n" * 70, cache="c" * 60, also=[{"cache": "x" * 30, "bytes_per_hour": 1}] * 9)
    rendered(made_report(long, watch=[made_finding(node="w" * 80)] if width >= 100 else [], notes=NOTES), width)


NOTES = [{"node": "lvs5", "note": "left out: booted 12 minutes ago"}, {"node": None, "note": "two nodes only " * 12}]


def test_nodes_of_which_the_same_is_said_share_a_line() -> None:
    notes = [{"node": f"lvs{number}", "note": "left out: booted 12 min ago"} for number in range(1, 9)]
    text = rendered(made_report(notes=[*notes, {"node": None, "note": "assumed by name"}]))
    assert "  - lvs1, lvs2, lvs3, lvs4, lvs5 and 3 more: left out: booted 12 min ago\n  - assumed by name" in text


def test_watch_and_notes() -> None:
    text = rendered(made_report(watch=[made_finding(node="lvs2", cache="kmalloc-64")], notes=NOTES))
    assert "no findings: no cache grows as a leak does" in text
    assert "to watch" in text
    assert "lvs2  kmalloc-64" in text
    assert "- lvs5: left out: booted 12 minutes ago" in text


def test_a_series_is_drawn() -> None:
    report = made_report(made_finding())
    points = [(1795302000.0 + 3600 * i, 1e6 * i) for i in range(25)]
    lines = render_report(report, made_screen(), lambda _finding: points)
    (drawn,) = [line for line in lines if "█" in line]
    assert "▁▁▂▂" in drawn
    assert drawn.endswith("0 B -> 22.9 MiB")


def test_truncated_findings_are_counted() -> None:
    text = rendered(made_report(made_finding(), truncated=7))
    assert "8 findings, in the order in which to look:" in text
    assert "7 more findings are not shown" in text


def test_hostile_names_are_escaped() -> None:
    text = rendered(made_report(made_finding(cache="a\x1b[2J\nb", summary="x\x07y")))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "a\\x1b[2J\\nb" in text


def test_exit_status() -> None:
    assert exit_status(made_report(made_finding())) == 1
    assert exit_status(made_report()) == 0
    assert exit_status(made_report(groups=[])) == 2
    assert exit_status(made_report(groups=[{"group": "lvs", "nodes": 1, "series": 0}])) == 2
    assert exit_status(made_report(made_finding(), groups=[])) == 1
    assert "nothing could be judged" in rendered(made_report(groups=[]))


@pytest.mark.parametrize("width", [100, 60])
def test_the_picture_fits_beside_its_figures(width: int) -> None:
    points = [(1795302000.0 + 3600 * hour, 1e6 + 1e5 * hour) for hour in range(24)]
    lines = render_report(made_report(made_finding()), made_screen(width), lambda _: points)
    assert max(map(cells, lines)) <= width
    assert any("▁" in line and "█" in line and "->" in line for line in lines)
