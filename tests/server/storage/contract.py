"""What every storage engine must do, as tests against the protocol: subclass, and give a `reopen` fixture.

`reopen(**settings)` closes the store it opened last, if any, and opens the same data again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from common.errors import SnapshotError, StoreError, TooManyNodesError
from common.snapshot import Caches, Snapshot, layout_hash
from server.storage import Retention
from server.storage.base import Appended, Received, Store
from tests.server.storage.histories import LARGEST, START, history, received, snapshot
from tests.server.storage.naive import NaiveStore, described

Reopen = Callable[..., Store]
HOUR, DAY = 3600.0, 86400.0


def instants(store: Store, node: str) -> list[float]:
    return [i.taken_at for i in store.instants(node, None, None, after=None, limit=10_000)]


def agree(store: Store, naive: NaiveStore, rng: random.Random) -> None:
    """Compares all that can be read, some of it at random places."""
    assert [s.node for s in store.nodes()] == sorted(n for n in naive.stored if naive.stored[n])
    for state in store.nodes():
        everything = naive.of(state.node)
        newest = everything[-1]
        assert (state.taken_at, state.boot, state.group) == (
            newest.snapshot.taken_at,
            newest.boot,
            newest.snapshot.group,
        )
        assert (state.labels, state.kernel, state.cpus) == (
            newest.snapshot.labels,
            newest.snapshot.kernel,
            newest.snapshot.cpus,
        )
        assert state.first_taken_at == everything[0].snapshot.taken_at
        assert state.last_seen == naive.seen[state.node]
        assert store.first(state.node) == everything[0]
        assert store.at(state.node, None) == newest
        assert store.at(state.node, everything[0].snapshot.taken_at - 0.001) is None
        for stored in rng.sample(everything, min(6, len(everything))):
            at = stored.snapshot.taken_at + rng.choice([-0.001, 0, 0.001, 1])
            assert store.at(state.node, at) == naive.at(state.node, at)
        low, high = sorted(rng.choice(everything).snapshot.taken_at for _ in range(2))
        found, after = [], None
        while page := store.instants(state.node, low, high, after=after, limit=7):
            found += page
            after = page[-1].taken_at, page[-1].boot
        assert [(i.taken_at, i.boot) for i in found] == [
            (s.snapshot.taken_at, s.boot) for s in naive.of(state.node, low, high)
        ]
    times = [s.snapshot.taken_at for node in list(naive.stored) for s in naive.of(node)]
    for width in (5, 60, 300, 3600, 86400):
        edges = [rng.choice(times), rng.choice(times) + rng.choice([0, 0.001, -0.001]), rng.choice(times) // 300 * 300]
        start, end = sorted(rng.sample(edges, 2))
        group, wanted = rng.choice([None, "web"]), rng.choice([None, {"dentry", "filp"}])
        given = {
            series.node: described(series, width)
            for series in store.window(start, end, width, group=group, caches=wanted)
        }
        assert list(given) == sorted(given)
        assert given == naive.window(start, end, width, group, wanted)


class StoreContract:
    @pytest.mark.parametrize("seed", range(6))
    def test_agrees_with_the_oracle_whatever_happens_in_which_order(self, reopen: Reopen, seed: int) -> None:
        rng = random.Random(seed)
        store, naive = reopen(), NaiveStore()
        coming = history(seed, steps=100)
        newest = coming[-1].snapshot.taken_at
        late = [coming.pop(rng.randrange(len(coming))) for _ in range(40)]
        while coming or late:
            if coming:
                batch = [coming.pop(0) for _ in range(min(len(coming), rng.choice([1, 1, 5, 30])))]
                batch += rng.sample(batch, min(2, len(batch)))
            else:
                batch = [late.pop() for _ in range(min(len(late), 15))]
            rng.shuffle(batch)
            now = max(r.snapshot.taken_at for r in batch) if coming else newest + 2 * HOUR
            assert store.append(batch).result(20) == Appended(*naive.append(batch))
            chance = rng.random()
            if chance < 0.25:
                store.maintain(now)
            elif chance < 0.3:
                store = reopen()
            if chance > 0.9:
                again = rng.sample([s for n in list(naive.stored) for s in naive.of(n)], 3)
                repeated = [replace(received(s.snapshot), received_at=s.received_at) for s in again]
                assert store.append(repeated).result(20) == Appended(*naive.append(repeated))
            if chance < 0.3 or chance > 0.97:
                agree(store, naive, rng)
        store.maintain(newest + 2 * HOUR)
        agree(store, naive, rng)
        assert store.status().snapshots == sum(len(v) for v in naive.stored.values())
        agree(reopen(), naive, rng)

    def test_gives_back_exactly_what_was_sent(self, reopen: Reopen) -> None:
        store = reopen()
        edges = Caches(
            ["raid5/md0", "biovec-(256)", "", "raid5/md0", "naïve \U0001f40c"],
            [0, 1, 2**32, LARGEST, LARGEST - 1],
            [0, 2**32 - 1, 2**32, LARGEST, 5],
            [0, 1, 2, LARGEST, 4],
            objs_per_slab=[None, 21, 2**40, LARGEST, 0],
            active_slabs=[None, None, 0, LARGEST, 1],
            reclaimable=[None, True, False, None, True],
            aliases=[None, [], ["a", "b"], None, ["ü"]],
        )
        sent = [
            Snapshot("n", START + 0.125, edges, uptime_seconds=0.1 + 0.2, read_seconds=1e-300, labels={"K": "ä\n"}),
            Snapshot("n", START + 60, Caches([], [], [], []), boot_id="b", uptime_seconds=1e300),
            replace(snapshot("n", START + 120), interval_seconds=0.3, cpus=8, machine="x86_64", page_size=65536),
        ]
        for _ in range(2):
            assert store.append([received(s) for s in sent]).result(20).stored in (0, 3)
            for item in sent:
                stored = store.at("n", item.taken_at)
                assert stored is not None
                assert stored.snapshot == item
                assert stored.received_at == item.taken_at + 0.5
            store.maintain(START + 3 * HOUR)

    def test_a_duplicate_leaves_the_first_in_place(self, reopen: Reopen) -> None:
        store = reopen()
        first, second = received(snapshot("n", START, 1)), received(snapshot("n", START, 2), delay=9)
        assert store.append([first, second]).result(20) == Appended(1, 1)
        store.maintain(START + 2 * HOUR)
        assert store.append([second]).result(20) == Appended(0, 1)
        stored = store.at("n", None)
        assert stored is not None
        assert stored.snapshot == first.snapshot
        assert store.nodes()[0].last_seen == START + 9
        other_boot = received(snapshot("n", START, 3, boot_id="boot-2"))
        assert store.append([other_boot]).result(20) == Appended(1, 0)

    def test_boots_without_an_id_are_told_by_their_uptime(self, reopen: Reopen) -> None:
        def item(at: float, uptime: float | None) -> Snapshot:
            return snapshot("n", START + at, boot_id=None, uptime_seconds=uptime)

        store = reopen()
        store.append([received(item(0, 1000)), received(item(60, 1070))]).result(20)
        store = reopen()
        store.append([received(item(120, 1110)), received(item(180, 5)), received(item(240, None))]).result(20)
        labels = [i.boot for i in store.instants("n", None, None, after=None, limit=9)]
        assert labels == ["booted 2026-11-22T23:43:20.000Z"] * 3 + ["booted 2026-11-23T00:02:55.000Z", ""]

    def test_says_nothing_of_what_it_does_not_know(self, reopen: Reopen) -> None:
        store = reopen()
        assert store.nodes() == []
        assert store.at("n", None) is None
        assert store.first("n") is None
        assert store.layout("0" * 32) is None
        assert instants(store, "n") == []
        assert list(store.window(0, START, 300)) == []
        assert store.append([]).result(20) == Appended(0, 0)
        with pytest.raises(StoreError, match="buckets of 7 s are not kept"):
            list(store.window(0, 1, 7))

    def test_layouts_are_given_back_by_hash(self, reopen: Reopen) -> None:
        store = reopen()
        item = snapshot("n", START, names=("a", "b"))
        store.append([received(item)]).result(20)
        found = reopen().layout(layout_hash(item.caches))
        assert found == replace(item.caches, active_objs=[], num_objs=[])

    def test_a_batch_is_all_or_nothing_and_harms_no_other(self, reopen: Reopen) -> None:
        store = reopen(max_nodes=2)
        with ThreadPoolExecutor(4) as threads:
            good = [threads.submit(store.append, [received(snapshot("a", START + i))]) for i in range(40)]
            bad = [
                threads.submit(store.append, [received(snapshot(f"n{i}-{j}", START)) for j in range(3)])
                for i in range(10)
            ]
        assert sum(f.result().result(20).stored for f in good) == 40
        for future in bad:
            with pytest.raises(TooManyNodesError, match="one more than the 2 nodes this store takes"):
                future.result().result(20)
        assert [s.node for s in store.nodes()] == ["a"]

    def test_refuses_counts_no_kernel_gives(self, reopen: Reopen) -> None:
        store = reopen()
        for column in ([-1], [2**63], [1, 2], [1.5]):
            item = snapshot("n", START)
            item.caches.num_objs = column  # type: ignore[assignment] # that is the point
            with pytest.raises(SnapshotError, match="num_objs"):
                store.append([received(snapshot("n", START)), received(item)]).result(20)
        assert store.nodes() == []

    def test_a_clock_far_off_is_stored_as_it_is(self, reopen: Reopen) -> None:
        store = reopen()
        future = snapshot("n", START + 1000 * DAY, uptime_seconds=7.0)
        store.append([replace(received(future), received_at=START), received(snapshot("n", START))]).result(20)
        for _ in range(2):
            store.maintain(START + 3 * HOUR)
            assert instants(store, "n") == [START, future.taken_at]
            stored = store.at("n", future.taken_at)
            assert stored is not None
            assert stored.snapshot == future
        (series,) = store.window(START, START + 2000 * DAY, 3600)
        assert series.boots[0].time.tolist() == [START, future.taken_at]

    def test_a_clock_that_ran_ahead_is_done_with_once_it_is_right_again(self, reopen: Reopen) -> None:
        def said(store: Store) -> tuple[float, str, float | None]:
            (node,) = store.nodes()
            latest = store.at("n", None)
            assert latest is not None
            assert (latest.snapshot.taken_at, latest.snapshot.group) == (node.taken_at, node.group)
            assert node.last_taken_at == START + 1000 * DAY
            return node.taken_at, node.group, node.offset_seconds

        store = reopen()
        ahead = snapshot("n", START + 1000 * DAY, group="web")
        for off in (None, 1000 * DAY):
            store.append([Received(ahead, START, off)]).result(20)
        assert said(store) == (ahead.taken_at, "web", None)
        store.append([Received(snapshot("n", START - DAY), START + 30)]).result(20)  # a late one is no news
        assert said(store) == (ahead.taken_at, "web", None)
        for minute in (1, 2):
            store.append([Received(snapshot("n", START + 60 * minute, group="lvs"), START + 60 * minute, 0.5)]).result(
                20
            )
            assert said(store) == (START + 60 * minute, "lvs", 0.5)
            store = reopen()
            assert said(store) == (START + 60 * minute, "lvs", 0.5)
            store.maintain(START + 3 * HOUR)
        assert store.append([Received(ahead, START + 180)]).result(20) == Appended(0, 1)
        (series,) = store.window(ahead.taken_at - 60, ahead.taken_at, 60, group="lvs")
        assert series.boots[0].time.tolist() == [ahead.taken_at]

    def test_the_usual_gap_stands_in_for_a_missing_interval(self, reopen: Reopen) -> None:
        store = reopen()
        for i in range(5):
            store.append([received(snapshot("n", START + 30 * i))]).result(20)
        assert store.nodes()[0].gap_seconds == pytest.approx(30)
        assert reopen().nodes()[0].gap_seconds == pytest.approx(30)
        store = reopen()
        store.append([received(snapshot("n", START + 200, interval_seconds=60.0))]).result(20)
        assert store.nodes()[0].gap_seconds == 60

    def test_coarser_tiers_answer_when_finer_ones_are_forgotten(self, reopen: Reopen) -> None:
        keep = Retention(snapshots=DAY, five_minutes=3 * DAY, hourly=10 * DAY)
        store, naive = reopen(retention=keep), NaiveStore()
        for hour in range(12 * 24):
            at = START + hour * HOUR
            batch = [received(snapshot("n", at + 600 * i, 1000 + hour)) for i in range(6)]
            naive.append(batch)
            store.append(batch).result(20)
            if hour % 6 == 0:
                store.maintain(at + HOUR)
        end = START + 12 * DAY
        store.maintain(end)
        assert min(instants(store, "n")) == pytest.approx(end - DAY, abs=2 * HOUR)

        def hourly(start: float) -> None:
            (series,) = store.window(start, end, 3600)
            assert {"n": described(series, 3600)} == naive.window(start, end, 3600, None, None)

        hourly(end - 9 * DAY)
        (fine,) = store.window(end - 2 * DAY, end, 300)
        assert {"n": described(fine, 300)} == naive.window(end - 2 * DAY, end, 300, None, None)
        # Snapshots are gone there: a finer width, and the hour that start cuts, get five-minute buckets.
        (finer,) = store.window(end - 2 * DAY, end - 2 * DAY + 6 * HOUR - 0.001, 60)
        fives = naive.window(end - 2 * DAY, end - 2 * DAY + 6 * HOUR - 0.001, 300, None, None)
        assert {"n": described(finer, 300)} == fives
        start = end - 2 * DAY + 1800
        (cut,) = store.window(start, end, 3600)
        assert {"n": described(cut, 3600)} == naive.window(start, end, 3600, None, None)
        (cut,) = store.window(end - 5 * DAY - 1800, end, 300)  # the five-minute tier has gone there
        assert cut.boots[0].time[0] == end - 5 * DAY + 3000
        (whole,) = store.window(0, end, 86400)
        assert whole.boots[0].time[0] >= end - 12 * DAY

    def test_forgets_a_node_with_its_last_tier(self, reopen: Reopen) -> None:
        keep = Retention(snapshots=DAY, five_minutes=DAY, hourly=2 * DAY)
        store = reopen(retention=keep)
        gone, layout = snapshot("gone", START, names=("only", "here")), snapshot("stays", START)
        store.append([received(gone), received(layout)]).result(20)
        for day in range(1, 6):
            store.append([received(snapshot("stays", START + day * DAY))]).result(20)
            store.maintain(START + day * DAY + 1)
        assert [s.node for s in store.nodes()] == ["stays"]
        assert store.layout(layout_hash(gone.caches)) is None
        assert store.layout(layout_hash(layout.caches)) is not None
        store.append([received(snapshot("gone", START + 6 * DAY, names=("only", "here")))]).result(20)
        store = reopen(retention=keep)
        assert [s.node for s in store.nodes()] == ["gone", "stays"]
        assert instants(store, "gone") == [START + 6 * DAY]

    def test_any_boot_id_survives(self, reopen: Reopen) -> None:
        store = reopen()
        item = snapshot("n", START, boot_id="booted foo")
        store.append([received(item)]).result(20)
        store = reopen()
        assert store.append([received(item)]).result(20).duplicates == 1
        assert store.nodes()[0].boot == "booted foo"

    def test_closed_means_closed(self, reopen: Reopen) -> None:
        store = reopen()
        pending = [store.append([received(snapshot("n", START + i))]) for i in range(20)]
        store.close()
        store.close()
        assert sum(f.result(0).stored for f in pending) == 20
        with pytest.raises(StoreError, match="closed"):
            store.append([received(snapshot("n", START + 99))]).result(20)
        assert not store.status().writable
