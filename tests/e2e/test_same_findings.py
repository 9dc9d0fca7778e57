"""The same data give the same findings: from `analyze` over files, and from an aggregator, imported twice or pushed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from common.slabinfo import format_slabinfo
from common.snapshot import Snapshot, to_wire
from server.demo_server import ServerProcess
from server.simulator.node import Leak
from tests.e2e.processes import json_of, push, slabhound
from tests.factories import fleet_snapshots, make_fleet


@pytest.fixture(scope="module")
def snapshots() -> list[Snapshot]:
    leak = Leak(("lvs2",), "scsi_cmd_cache", 2_400_000.0, at=4.0, also=(("scsi_sense_cache", 0.5),))
    return list(fleet_snapshots(make_fleet(nodes=4, interval=600, leak=leak)))


@pytest.fixture(scope="module")
def file(snapshots: list[Snapshot], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("same") / "fleet.ndjson.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(to_wire(s)) + "\n" for s in snapshots).encode(), 1))
    return path


def told(report: dict[str, Any]) -> dict[str, Any]:
    """All but when it was made."""
    return {name: value for name, value in report.items() if name != "generated_at"}


def served(server: ServerProcess, at: float, window: str) -> dict[str, Any]:
    wanted = ("--server", server.address, "--at", str(at), "--window", window, "--json")
    return told(json_of(slabhound("report", *wanted, status=1)))


def test_an_aggregator_and_analyze_agree(server: ServerProcess, snapshots: list[Snapshot], file: Path) -> None:
    alone = {
        window: told(json_of(slabhound("analyze", file, "--window", window, "--json", status=1)))
        for window in ("24h", "10h")
    }
    assert [(f["node"], f["cache"]) for f in alone["24h"]["findings"]] == [("lvs2", "scsi_cmd_cache")]
    push(server.address, snapshots)
    newest = max(snapshot.taken_at for snapshot in snapshots)
    for window, report in alone.items():
        assert served(server, newest, window) == report


def test_an_import_can_be_run_twice(server: ServerProcess, snapshots: list[Snapshot], file: Path) -> None:
    newest = max(snapshot.taken_at for snapshot in snapshots)
    slabhound("import", file, "--server", server.address)
    once = served(server, newest, "24h")
    slabhound("import", file, "--server", server.address)
    assert served(server, newest, "24h") == once
    assert once == told(json_of(slabhound("analyze", file, "--window", "24h", "--json", status=1)))


def test_dumps_in_folders_give_the_findings_of_the_snapshots(snapshots: list[Snapshot], tmp_path: Path) -> None:
    for snapshot in snapshots:
        folder = tmp_path / "fleet" / snapshot.node
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "node.json").write_text(json.dumps({"node": snapshot.node, "group": snapshot.group}))
        stamp = f"{snapshot.taken_at:.3f}"
        (folder / f"{stamp}.slabinfo").write_text(format_slabinfo(snapshot.caches))
        (folder / f"{stamp}.uptime").write_text(f"{snapshot.uptime_seconds:.2f} 0.00\n")
        (folder / f"{stamp}.boot_id").write_text(f"{snapshot.boot_id}\n")
    text = slabhound("analyze", tmp_path / "fleet", "--json", status=1)
    (finding,) = json_of(text)["findings"]
    assert (finding["node"], finding["cache"]) == ("lvs2", "scsi_cmd_cache")
    assert "scsi_sense_cache" in {also["cache"] for also in finding["also"]}
