"""The demo's fleet: one leak, found at any hour of the week, whatever the seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.analysis.judge import judge
from server.analysis.types import AnalysisSettings
from server.demo import demo_fleet, program_name
from tests.factories import START


@pytest.mark.parametrize(("seed", "hour"), [(1, 0), (1, 100), (2, 17), (3, 31), (4, 62)])
def test_the_report_names_the_leak_and_nothing_else(seed: int, hour: int) -> None:
    now = START + hour * 3600
    fleet = demo_fleet(seed, 6, now=now, live=False)
    judged = judge(fleet, start=now - 86400, end=now, group=None, settings=AnalysisSettings())
    (finding,) = judged.findings
    assert (finding.node, finding.cache) == ("lvs3", "scsi_cmd_cache")
    assert finding.bytes_per_hour == pytest.approx(2_400_000, rel=0.1)
    assert [also.cache for also in finding.also] == ["scsi_sense_cache"]
    assert finding.since == pytest.approx(now - 14 * 3600, abs=2 * 3600)


def test_the_day_of_history_ends_now_and_the_next_follows() -> None:
    for live, end in ((False, START), (True, START + 86400)):
        times = [snapshot.taken_at for snapshot in demo_fleet(1, 2, now=START, live=live).snapshots("lvs1")]
        assert times[0] == pytest.approx(START - 86400, abs=61)
        assert times[-1] == pytest.approx(end, abs=61)


@pytest.mark.parametrize("nodes", [2, 3, 20])
def test_one_of_any_number_of_nodes_leaks(nodes: int) -> None:
    fleet = demo_fleet(1, nodes, now=START, live=False)
    assert len(fleet.spec.nodes) == nodes
    ((leaking,),) = (leak.nodes for leak in fleet.spec.leaks)
    assert leaking in {node.name for node in fleet.spec.nodes}


def test_what_to_try_next_can_be_called_from_here(tmp_path: Path) -> None:
    started_as = ".venv/demo/bin/slabhound"
    assert program_name(started_as, str(tmp_path)) == started_as
    (tmp_path / "slabhound").touch(0o755)
    assert program_name(started_as, str(tmp_path)) == "slabhound"
    assert program_name("/somewhere/common/cli.py", None) == "slabhound"
