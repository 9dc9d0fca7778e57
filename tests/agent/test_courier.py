"""The courier's patience and order, over a real connection, on a clock that only tests move."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from agent.courier import BATCH, LONGEST_WAIT, Courier
from agent.packing import Entry, pack
from agent.pusher import Outcome, Pusher, Verdict
from agent.spool import BLOCK, DiskSpool
from agent.transport import OneConnection
from tests.agent.fake_server import Answer, FakeServer, Received, serve


def entry(name: str) -> bytes:
    return pack(json.dumps({"node": name}))


class Bench:
    """A courier with its server, its log and its clock."""

    def __init__(self, url: str, folder: Path, *, blocks: int = 1000) -> None:
        self.now = 1000.0
        self.log: list[str] = []
        self.spool = DiskSpool(folder, limit=blocks * BLOCK)
        self.transport = OneConnection(timeout=5, clock=lambda: self.now)
        self.pusher = Pusher(url, self.transport)
        self.courier = Courier(self.pusher, self.spool, say=self.log.append, clock=lambda: self.now, random=Random(1))

    def offer(self, *names: str) -> None:
        for name in names:
            self.courier.offer(entry(name))

    def send(self) -> Outcome:
        """When it is due."""
        due = self.courier.next_at
        assert due is not None
        self.now = max(self.now, due)
        return self.courier.send()

    def drain(self) -> None:
        for _ in range(200):
            if self.courier.next_at is None:
                return
            self.send()
        pytest.fail("200 pushes, and something waits still")

    def waits(self, count: int) -> list[float]:
        found = []
        for _ in range(count):
            self.send()
            found.append((self.courier.next_at or 0) - self.now)
        return found


@contextmanager
def bench(tmp_path: Path, *script: Answer, blocks: int = 1000) -> Iterator[tuple[Bench, FakeServer]]:
    with serve(*script) as server:
        made = Bench(server.url, tmp_path / "spool", blocks=blocks)
        try:
            yield made, server
        finally:
            made.pusher.close()
            made.spool.close()


def on_disk(tmp_path: Path) -> int:
    return len(list((tmp_path / "spool").glob("0*")))


def test_in_ordinary_times_nothing_touches_the_disk(tmp_path: Path) -> None:
    with bench(tmp_path) as (it, server):
        it.offer("first")
        assert on_disk(tmp_path) == 1  # there is no connection yet
        it.drain()
        for name in ("second", "third"):
            it.offer(name)
            assert on_disk(tmp_path) == 0
            it.drain()
        assert server.names() == ["first", "second", "third"]
        assert it.log == []


def test_nothing_to_send_is_nothing_due(tmp_path: Path) -> None:
    with bench(tmp_path) as (it, _):
        assert it.courier.next_at is None
        assert it.courier.send().verdict is Verdict.STORED


@pytest.mark.parametrize("status", [401, 403, 408, 425, 429, 500, 503])
def test_a_server_that_cannot_take_it_gets_it_later(tmp_path: Path, status: int) -> None:
    with bench(tmp_path, Answer(), Answer(status), Answer(status)) as (it, server):
        it.offer("a")
        it.drain()
        it.offer("b")
        assert it.send().verdict is Verdict.AWAY
        assert on_disk(tmp_path) == 1
        it.offer("c")
        it.send()
        it.drain()
        assert [s["node"] for s in server.received[-1].snapshots] == ["b", "c"]
        assert on_disk(tmp_path) == 0


def test_waits_grow_with_jitter_up_to_a_bound(tmp_path: Path) -> None:
    with bench(tmp_path) as (it, server):
        server.otherwise = Answer(503)
        it.offer("a")
        waits = it.waits(12)
        for number, wait in enumerate(waits):
            usual = min(LONGEST_WAIT, 2.0**number)
            assert usual / 2 <= wait <= usual
        assert len({round(wait, 3) for wait in waits[-4:]}) == 4


@pytest.mark.parametrize("value", ["240", "Tue, 01 Jan 2030 00:04:00 GMT"])
def test_retry_after_is_honoured(tmp_path: Path, value: str) -> None:
    answer = Answer(429, headers={"Retry-After": value, "Date": "Tue, 01 Jan 2030 00:00:00 GMT"})
    with bench(tmp_path) as (it, server):
        server.judge = lambda _: answer
        it.offer("a")
        assert 240 <= it.waits(1)[0] <= 240 * 1.1


def test_refused_connections_then_the_backlog_in_order(tmp_path: Path) -> None:
    with serve() as server:
        url, port = server.url, server.server_address[1]
    it = Bench(url, tmp_path / "spool")
    names = [f"n{number}" for number in range(100)]
    for name in names:
        it.offer(name)
        it.send()
    assert on_disk(tmp_path) == 100
    assert len(it.log) == 1
    assert "Connection refused" in it.log[0]
    with serve(port=port) as server:
        it.drain()
        assert server.names() == names
        assert [len(request.snapshots) for request in server.received] == [BATCH, BATCH, BATCH, 4]
        it.pusher.close()
    assert "100 kept snapshots sent" in it.log[1]
    assert len(it.log) == 2


def test_batches_of_a_backlog_are_spread(tmp_path: Path) -> None:
    with bench(tmp_path) as (it, _):
        it.offer(*(f"n{number}" for number in range(BATCH * 4)))
        pauses = it.waits(3)
        assert all(0 <= pause <= 1 for pause in pauses)
        assert len(set(pauses)) == 3


def test_fresh_ones_queue_behind_the_backlog(tmp_path: Path) -> None:
    with bench(tmp_path, Answer(503)) as (it, server):
        it.offer("a")
        it.send()
        it.offer("b")
        it.send()
        it.offer("c")
        it.drain()
        assert server.names()[1:] == ["a", "b", "c"]


def test_a_backlog_of_an_earlier_run_is_sent(tmp_path: Path) -> None:
    with bench(tmp_path, Answer(503)) as (it, _):
        it.offer("a", "b")
        it.send()
    with bench(tmp_path) as (it, server):
        assert it.courier.next_at is not None
        it.drain()
        assert server.names() == ["a", "b"]


def test_413_halves_until_it_fits_and_remembers(tmp_path: Path) -> None:
    def judge(request: Received) -> Answer:
        return Answer(413) if len(request.snapshots) > 5 else Answer()

    with bench(tmp_path) as (it, server):
        server.judge = judge
        names = [f"n{number}" for number in range(40)]
        it.offer(*names)
        it.drain()
        sizes = [len(request.snapshots) for request in server.received]
        assert sizes == [32, 16, 8, *[4] * 10]
        assert server.names()[56:] == names
        assert it.spool.rejected == 0


def test_413_for_one_snapshot_sets_it_aside(tmp_path: Path) -> None:
    with bench(tmp_path, Answer(413)) as (it, server):
        it.offer("huge", "next")
        server.judge = lambda request: Answer(413) if "huge" in str(request.snapshots) else Answer()
        it.drain()
        assert it.spool.rejected == 1
        assert server.received[-1].snapshots == [{"node": "next"}]


@pytest.mark.parametrize("bad", [{0}, {17}, {39}, {3, 4}, set(range(40))])
def test_422_splits_until_the_bad_ones_are_alone(tmp_path: Path, bad: set[int]) -> None:
    names = [f"n{number}" for number in range(40)]
    stored: list[str] = []

    def judge(request: Received) -> Answer:
        found = [snapshot["node"] for snapshot in request.snapshots]
        if any(name in found for name in (names[number] for number in bad)):
            return Answer(422, body={"detail": "breaks the wire format"})
        stored.extend(found)
        return Answer()

    with bench(tmp_path) as (it, server):
        server.judge = judge
        it.offer(*names)
        it.drain()
        assert stored == [name for number, name in enumerate(names) if number not in bad]
        assert it.spool.rejected == len(bad)
        assert len(list((tmp_path / "spool/rejected").iterdir())) == len(bad)
        assert sum("refuses a snapshot for good: 422 breaks the wire format" in line for line in it.log) == len(bad)


def test_a_fresh_snapshot_refused_is_set_aside(tmp_path: Path) -> None:
    with bench(tmp_path, Answer(), Answer(422)) as (it, _):
        it.offer("good")
        it.drain()
        it.offer("bad")
        it.drain()
        assert it.spool.rejected == 1
        assert on_disk(tmp_path) == 0
        it.offer("good again")
        it.drain()


def test_a_damaged_file_is_set_aside_and_the_others_go(tmp_path: Path) -> None:
    with bench(tmp_path) as (it, server):
        it.offer("a", "b", "c")
        sorted((tmp_path / "spool").glob("0*"))[1].write_bytes(b"\x1f\x8b rubbish")

        def judge(request: Received) -> Answer:
            try:
                _ = request.snapshots
            except OSError:
                return Answer(400)
            return Answer()

        server.judge = judge
        it.drain()
        assert it.spool.rejected == 1
        stored = [r.snapshots[0]["node"] for r in server.received if judge(r).status == 201]
        assert stored == ["a", "c"]


def test_drops_are_said_once_and_counted_at_the_end(tmp_path: Path) -> None:
    with bench(tmp_path, *[Answer(503)] * 3, blocks=4) as (it, server):
        for number in range(10):
            it.offer(f"n{number}")
            if number < 3:
                it.send()
        it.drain()
        assert [s["node"] for s in server.received[-1].snapshots] == ["n6", "n7", "n8", "n9"]
        assert sum("giving up the oldest" in line for line in it.log) == 1
        assert it.log[-1].endswith("4 kept snapshots sent, 6 dropped")


def test_a_disk_that_takes_nothing_is_not_called_full(tmp_path: Path) -> None:
    with bench(tmp_path, *[Answer(503)] * 3) as (it, _):
        shutil.rmtree(it.spool.place)
        for name in ("a", "b"):
            it.offer(name)
    assert it.log == [f"the spool ({it.spool.place}) cannot be written: mend it; giving up fresh snapshots from now on"]


def test_a_long_outage_is_two_lines_and_a_new_reason_one_more(tmp_path: Path) -> None:
    with bench(tmp_path, *[Answer(503)] * 20, *[Answer(401)] * 20) as (it, _):
        it.offer("a")
        it.waits(40)
        it.drain()
    assert [line.split(":")[1].split()[0] for line in it.log[:2]] == ["503", "401"]
    assert it.log[2].startswith("pushing again after ")
    assert len(it.log) == 3


def test_an_interrupted_push_loses_nothing(tmp_path: Path) -> None:
    class Interrupted(BaseException):
        pass

    class Hanging:
        live = True

        def push(self, _entries: list[Entry], /) -> Outcome:
            raise Interrupted

    spool = DiskSpool(tmp_path / "spool", limit=100 * BLOCK)
    courier = Courier(Hanging(), spool, say=lambda _: None)
    courier.offer(entry("a"))
    with pytest.raises(Interrupted):
        courier.send()
    assert len(spool) == 0
    courier.keep(flush=False)
    courier.keep()
    assert [data for _, data in spool.oldest(9)] == [entry("a")]


def test_what_is_kept_while_it_is_pushed_is_not_sent_twice(tmp_path: Path) -> None:
    """A live connection proves dead, and the look-up for a new one puts the snapshot on disk first."""

    class Moving:
        live = True

        def push(self, _entries: list[Entry], /) -> Outcome:
            courier.keep()
            assert len(spool) == 1
            return Outcome(Verdict.STORED, status=201)

    spool = DiskSpool(tmp_path / "spool", limit=100 * BLOCK)
    courier = Courier(Moving(), spool, say=lambda _: None)
    courier.offer(entry("a"))
    courier.send()
    assert len(spool) == 0
    assert courier.next_at is None
