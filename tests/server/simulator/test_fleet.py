"""Simulated fleets: repeatable, independent node by node, and consistent as a kernel's own numbers are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.snapshot import DATA_COLUMNS, LAYOUT_COLUMNS, Snapshot
from server.buckets import NodeSeries
from server.simulator.boot import BootRecord
from server.simulator.fleet import Fleet, FleetSpec
from server.simulator.node import Change, Gap, Leak, NodeSpec, Reboot
from tests.factories import fleet_snapshots, make_fleet

LEAK = Leak(("lvs2",), "scsi_cmd_cache", 2_400_000.0, at=4.0, also=(("scsi_sense_cache", 0.5),))


def fleet_of(node: NodeSpec, *leaks: Leak, hours: float = 12.0, interval: float = 300.0) -> Fleet:
    return Fleet(FleetSpec(5, (node,), leaks, hours, interval))


def column(boot: BootRecord, cache: str) -> int:
    return next(i for i, model in enumerate(boot.models) if model.name == cache)


def allocated(boot: BootRecord, cache: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    at = column(boot, cache)
    return boot.num[:, at] * boot.models[at].size


def test_the_same_seed_gives_the_same_snapshots() -> None:
    first, second = (list(fleet_snapshots(make_fleet(nodes=2, hours=1))) for _ in range(2))
    assert first == second
    other = list(fleet_snapshots(make_fleet(seed=2, nodes=2, hours=1)))
    assert [s.caches.num_objs for s in other] != [s.caches.num_objs for s in first]


def test_a_node_more_changes_no_other() -> None:
    few, more = make_fleet(nodes=2, hours=1), make_fleet(nodes=3, hours=1)
    assert list(few.snapshots("lvs1")) == list(more.snapshots("lvs1"))


def test_counts_keep_the_kernel_s_own_rules() -> None:
    (boot,) = make_fleet(nodes=2, leak=LEAK).record("lvs2")
    assert (boot.active >= 0).all()
    assert (boot.active <= boot.num).all()
    assert (boot.num == boot.slabs * np.array(boot.objs_per_slab)).all()
    equal = (boot.active == boot.num).mean()
    assert 0.6 < equal < 0.98


def test_snapshots_and_series_say_the_same() -> None:
    fleet = make_fleet(nodes=1, hours=2, interval=60)
    snapshots = list(fleet.snapshots("lvs1"))
    (series,) = fleet.window(fleet.spec.start, fleet.end, 60)
    (boot,) = series.boots
    assert isinstance(series, NodeSeries)
    names = [row.name for row in boot.rows]
    assert names == snapshots[0].caches.name
    assert boot.time[-1] == snapshots[-1].taken_at
    assert boot.num_min[-1].tolist() == snapshots[-1].caches.num_objs
    assert boot.active_min[-1].tolist() == snapshots[-1].caches.active_objs


def test_a_window_keeps_to_its_group_bounds_and_caches() -> None:
    fleet = make_fleet(nodes=2, hours=4)
    assert list(fleet.window(fleet.spec.start, fleet.end, 300, group="web")) == []
    middle = fleet.spec.start + 3600
    for series in fleet.window(middle, middle + 1800, 300, caches={"dentry"}):
        (boot,) = series.boots
        assert [row.name for row in boot.rows] == ["dentry"]
        assert middle <= boot.time[0] <= boot.time[-1] <= middle + 1800


def test_a_leak_loses_what_it_says_and_only_there() -> None:
    healthy, leaking = make_fleet(nodes=3), make_fleet(nodes=3, leak=LEAK)
    for node in ("lvs1", "lvs3"):
        assert list(healthy.snapshots(node)) == list(leaking.snapshots(node))
    (before,), (after,) = healthy.record("lvs2"), leaking.record("lvs2")
    lost = allocated(after, "scsi_cmd_cache")[-1] - allocated(before, "scsi_cmd_cache")[-1]
    assert lost == pytest.approx(20 * 2_400_000, rel=0.05)
    lockstep = allocated(after, "scsi_sense_cache")[-1] - allocated(before, "scsi_sense_cache")[-1]
    assert lockstep == pytest.approx(20 * 2_400_000 * 0.5 * 128 / 512, rel=0.1)
    same = [i for i, m in enumerate(after.models) if not m.name.startswith("scsi_")]
    assert (before.num[:, same] == after.num[:, same]).all()


@pytest.mark.parametrize("shape", ["steady", "stairs", "accelerating", "load"])
def test_every_shape_of_leak_loses_about_the_same(shape: str) -> None:
    leak = Leak(("n",), "pid", 1_000_000.0, at=0.0, shape=shape, every=1.0)  # type: ignore[arg-type] # literals above
    node = NodeSpec("n")
    lost = allocated(fleet_of(node, leak).record("n")[0], "pid")[-1]
    lost -= allocated(fleet_of(node).record("n")[0], "pid")[-1]
    assert lost == pytest.approx(12_000_000, rel=0.25)


def test_a_leak_that_stopped_keeps_its_memory() -> None:
    leak = Leak(("n",), "pid", 1_000_000.0, at=0.0, until=6.0)
    held = allocated(fleet_of(NodeSpec("n"), leak).record("n")[0], "pid").astype(np.float64)
    assert held[72] > 5_500_000
    assert held[-1] == pytest.approx(held[75], rel=0.05)


def test_a_reboot_gives_the_memory_back_and_the_leak_goes_on() -> None:
    node = NodeSpec("n", reboots=(Reboot(6.0, minutes=5, kernel="6.12"),))
    first, second = fleet_of(node, Leak(("n",), "pid", 1_000_000.0)).record("n")
    assert first.boot_id != second.boot_id
    assert second.uptime[0] < 600
    assert allocated(second, "pid")[0] < 500_000
    assert allocated(second, "pid")[-1] > 5_000_000
    kernels = {snapshot.kernel for snapshot in fleet_of(node).snapshots("n")}
    assert kernels == {"6.1.0-28-amd64", "6.12.9-amd64"}


def test_a_restart_gives_what_was_lost_back_and_the_leak_goes_on() -> None:
    leak = Leak(("n",), "pid", 1_000_000.0, restart=6.0)
    (boot,), (healthy,) = fleet_of(NodeSpec("n"), leak).record("n"), fleet_of(NodeSpec("n")).record("n")
    pid = [model.name for model in boot.models].index("pid")
    lost = (boot.active - healthy.active)[:, pid].astype(np.float64) * boot.models[pid].size
    again = int(np.flatnonzero(np.diff(lost) < -5_000_000)[0]) + 1
    assert boot.time[again] - boot.time[0] == pytest.approx(6 * 3600, abs=600)
    assert lost[again] < 100_000
    assert lost[-1] == pytest.approx((boot.time[-1] - boot.time[again]) / 3600 * 1_000_000, rel=0.05)


def test_a_leak_in_a_merged_cache_shows_in_the_one_listed() -> None:
    node = NodeSpec("n", kernel="merged")
    lost = allocated(fleet_of(node, Leak(("n",), "scsi_cmd_cache", 1e6)).record("n")[0], "skbuff_fclone_cache")[-1]
    assert lost > 10_000_000


def test_a_leak_in_a_random_kmalloc_copy_is_one_row() -> None:
    node = NodeSpec("n", kernel="random")
    (leaking,), (healthy,) = fleet_of(node, Leak(("n",), "kmalloc-64", 1e6)).record("n"), fleet_of(node).record("n")
    grown = np.flatnonzero((leaking.num[-1] - healthy.num[-1]) != 0)
    assert len(grown) == 1
    assert leaking.models[int(grown[0])].name.startswith("kmalloc-rnd-")


def test_a_cache_nobody_lists_cannot_leak() -> None:
    with pytest.raises(ValueError, match="no cache 'nosuch'"):
        fleet_of(NodeSpec("n"), Leak(("n",), "nosuch", 1e6)).record("n")


def test_a_node_that_joins_is_not_heard_of_before() -> None:
    snapshots = list(fleet_of(NodeSpec("n", uptime_hours=-6.0)).snapshots("n"))
    assert 6 * 3600 < snapshots[0].taken_at - make_fleet().spec.start < 6 * 3600 + 700
    assert snapshots[0].uptime_seconds is not None
    assert snapshots[0].uptime_seconds < 400


def test_an_agent_that_was_away_leaves_a_gap() -> None:
    times = [s.taken_at for s in fleet_of(NodeSpec("n", gaps=(Gap(3.0, 5.0),))).snapshots("n")]
    assert max(np.diff(times)) > 7000


def test_a_clock_step_moves_taken_at_and_not_uptime() -> None:
    plain, stepped = (list(fleet_of(NodeSpec("n", clock_steps=s)).snapshots("n")) for s in ((), ((6.0, 600.0),)))
    assert [s.uptime_seconds for s in plain] == [s.uptime_seconds for s in stepped]
    assert stepped[-1].taken_at - plain[-1].taken_at == pytest.approx(600.0)
    assert stepped[0].taken_at == plain[0].taken_at


@pytest.mark.parametrize("saturating", [True, False])
def test_a_change_lasts_until_it_ends(saturating: bool) -> None:  # noqa: FBT001 - a test's parameter
    change = Change(("pid",), 3.0, objects=50_000, over=1.0, until=8.0, saturating=saturating)
    plain = allocated(fleet_of(NodeSpec("n")).record("n")[0], "pid")
    changed = allocated(fleet_of(NodeSpec("n", changes=(change,))).record("n")[0], "pid")
    assert changed[30] == plain[30]
    assert changed[90] - plain[90] > 40_000 * 128


def test_what_fills_with_the_load_is_quick_by_day_and_ends_at_the_same_level() -> None:
    """Under the name of a cache that stands still; the day's load is least at 03:00 and greatest at 15:00."""
    change = Change(("RAW",), 0.0, objects=50_000, over=30.0, saturating=True)
    node = NodeSpec("n", depth=0.9, weekend=1.0)
    by_clock, by_load = (
        allocated(fleet_of(replace(node, changes=(one,)), hours=96.0, interval=600.0).record("n")[0], "RAW")
        for one in (change, replace(change, with_load=True))
    )
    first = by_load[24] - by_load[0]
    assert first < 0.5 * (by_clock[24] - by_clock[0])
    assert by_load[84] - by_load[60] > 1.5 * first
    assert by_load[-1] == pytest.approx(by_clock[-1], rel=0.02)


def test_memory_falls_as_the_leak_eats_it() -> None:
    leak = Leak(("n",), "task_struct", 100_000_000.0)
    (healthy,), (leaking,) = fleet_of(NodeSpec("n")).record("n"), fleet_of(NodeSpec("n"), leak).record("n")
    assert leaking.memory[-1, 1] < healthy.memory[-1, 1] - 1e9
    assert leaking.memory[-1, 3] > healthy.memory[-1, 3] + 1e9
    assert (leaking.memory[:, 1] <= leaking.memory[:, 0]).all()


def test_a_bigger_and_busier_node_holds_more() -> None:
    small, big = (
        sum(
            int(allocated(fleet_of(replace(NodeSpec("n"), size=s, busy=s)).record("n")[0], c)[-1])
            for c in ("TCP", "filp")
        )
        for s in (1.0, 8.0)
    )
    assert big > 8 * small


def test_a_snapshot_carries_every_field_of_the_wire() -> None:
    snapshot = next(make_fleet(nodes=1, hours=1).snapshots("lvs1"))
    assert all(getattr(snapshot, name) is not None for name in Snapshot.__dataclass_fields__)
    columns = snapshot.caches
    assert len({len(getattr(columns, name)) for name in (*LAYOUT_COLUMNS, *DATA_COLUMNS)}) == 1
