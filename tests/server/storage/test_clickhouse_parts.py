"""What of the ClickHouse store needs no server: the URL, the schema's text, the wire format, the coding of counts."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, StoreError, StoreFullError
from common.snapshot import Caches
from server.buckets import Block, raw_block
from server.storage.clickhouse import Target
from server.storage.clickhouse.client import Client, TargetError
from server.storage.clickhouse.counts import differences, per_slab, restored
from server.storage.clickhouse.native import pack, quote, unpack
from server.storage.clickhouse.schema import MIGRATIONS, statements
from server.storage.clickhouse.windows import fill

INT64 = st.integers(-(2**63), 2**63 - 1)
COUNT = st.integers(0, 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=()), max_size=300)


def test_a_url_names_everything(tmp_path: Path) -> None:
    target = Target.parse("clickhouse://me:p%40ss@ch1:9000/slabs?cluster=c-1&replicated=1&secure=1")
    expected = Target("ch1", 9000, "me", "slabs", "p@ss", secure=True, cluster="c-1", replicated=True)
    assert target == expected
    assert str(target) == "clickhouse://me@ch1:9000/slabs"
    assert "p@ss" not in repr(target)
    (tmp_path / "password").write_text("other\nignored\n")
    assert Target.parse("clickhouse://ch1/slabs", password_file=tmp_path / "password") == Target(
        "ch1", 8123, "default", "slabs", "other"
    )
    with pytest.raises(ConfigError, match=r"nowhere: No such file or directory: see --store-password-file"):
        Target.parse("clickhouse://ch1/slabs", password_file=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (279, TargetError, "a shard does not answer, so nothing is said of the rest: All connection tries failed"),
        (516, TargetError, "user or password is wrong: see --store-password-file"),
        (81, TargetError, "no such database: run slabhound server --store URL --init once"),
        (
            60,
            TargetError,
            "a table is not there: restore it, or for an empty one: run slabhound server",
        ),
        (243, StoreFullError, " takes nothing now: All connection tries failed"),
        (47, StoreError, ": All connection tries failed"),
    ],
)
def test_what_a_server_says_is_told_by_its_kind(code: int, kind: type[StoreError], says: str) -> None:
    """Only the last may be a mistake of this program: maintenance logs it with a traceback."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(500)
            self.end_headers()
            self.wfile.write(f"Code: {code}. DB::Exception: All connection tries failed. (X) (version 25.1)".encode())

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Nobody looks on."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever).start()
        with pytest.raises(StoreError) as caught:
            Client(Target.parse(f"clickhouse://127.0.0.1:{server.server_port}/slabs"))
        server.shutdown()
    assert type(caught.value) is kind
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "url", ["clickhouse://ch1", "clickhouse:///slabs", "clickhouse://ch1/a-b", "clickhouse://h/a;b"]
)
def test_a_url_that_lacks_something(url: str) -> None:
    with pytest.raises(ConfigError, match="write clickhouse://USER@HOST:8123/DATABASE"):
        Target.parse(url)


def test_the_schema_of_a_cluster_is_replicated_where_asked() -> None:
    plain = Target("h", 8123, "me", "slabs")
    for name in MIGRATIONS:
        text = ";".join(statements(name, replace(plain, cluster="c", replicated=True)))
        assert "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/slabs/snapshots', '{replica}', first)" in text
        assert text.count("ReplicatedAggregatingMergeTree('/clickhouse") == 3
        assert "snapshots_local" in text
        assert "fsync_after_insert" not in text
        single = ";".join(statements(name, plain))
        assert "Replicated" not in single
        assert "_local" not in single
        assert "{" not in single
        assert single.count("fsync_after_insert = 1") == single.count("CREATE TABLE")


def test_literals_stay_literals() -> None:
    assert quote("o'b\\") == "'o\\'b\\\\'"
    assert quote(7) == "7"


@given(
    st.lists(
        st.tuples(TEXT, INT64, st.floats(allow_nan=False), st.lists(INT64), st.lists(TEXT, max_size=3)), min_size=1
    ),
    st.integers(1, 3),
)
def test_columns_come_back(rows: list[tuple[str, int, float, list[int], list[str]]], blocks: int) -> None:
    kinds = ("String", "Int64", "Float64", "Array(Int64)", "Array(String)")
    columns = {kind: (kind, list(values)) for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)}
    found = unpack(pack(columns) * blocks)
    for kind, (_, values) in columns.items():
        assert [v.tolist() if isinstance(v, np.ndarray) else v for v in found[kind]] == values * blocks


def test_an_answer_cut_off_is_no_answer() -> None:
    data = pack({"a": ("String", ["x" * 200]), "b": ("Array(Int64)", [[1, 2, 3]])})
    assert unpack(b"") == {}
    for size in range(1, len(data)):
        with pytest.raises(StoreError, match=r"cut off|of type"):
            unpack(data[:size])


@given(st.data())
def test_counts_come_back_to_the_bit(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 5))

    def column(values: st.SearchStrategy[int | None]) -> list[int | None]:
        return data.draw(st.lists(values, min_size=rows, max_size=rows))

    num, active = (data.draw(st.lists(COUNT, min_size=rows, max_size=rows)) for _ in range(2))
    known = st.one_of(st.none(), COUNT)
    caches = Caches([""] * rows, active, num, [1] * rows, objs_per_slab=column(known))
    columns = {name: column(known) for name in ("active_slabs", "num_slabs") if data.draw(st.booleans())}
    for name, values in columns.items():
        setattr(caches, name, values)
    found = restored(differences(caches, per_slab(caches)), per_slab(caches))
    assert found.active_objs[0].tolist() == caches.active_objs
    assert found.num_objs[0].tolist() == caches.num_objs
    for name, values in columns.items():
        assert getattr(found, name)[0].tolist() == [-1 if v is None else v for v in values]


def test_without_its_client_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["clickhouse_connect"] = None
from common.cli import main
sys.exit(main(["server", "--port", "0", "--store", "clickhouse://me@127.0.0.1/slabs"], environ={}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "slabhound: store clickhouse:// needs its client: pip install 'slabhound[server,clickhouse]'\n"
    )


def test_coarse_buckets_stand_where_they_know_of_more_snapshots() -> None:
    def block(samples: list[int], *times: float, count: int) -> Block:
        time = np.array(times)
        counts = np.full((len(times), 2), count)
        plain = raw_block("boot", "layout", time, time, np.full((len(times), 4), np.nan), counts, counts)
        return replace(plain, samples=np.array(samples))

    key, other = ("n", "boot", "layout"), ("m", "boot", "layout")
    fine = {key: block([5, 5, 2], 3300.0, 3590.0, 7190.0, count=7)}  # the second hour has lost most of its own
    coarse = {key: block([10, 60], 3590.0, 7190.0, count=3), other: block([1], 10.0, count=4)}
    found = fill(fine, coarse, 3600)
    assert found[key].time.tolist() == [3300.0, 3590.0, 7190.0]
    assert found[key].samples.tolist() == [5, 5, 60]
    assert found[key].num_min[:, 0].tolist() == [7, 7, 3]
    assert found[other] is coarse[other]
