"""Whether a rise is one cache's alone or a whole task's, in spans that hold no whole day."""

from __future__ import annotations

from statistics import correlation

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.analysis.company import AS_MANY, LEAST, LIKENESS, MANY_MORE, SHARE, company
from server.analysis.judge import judge
from server.analysis.lockstep import LIKENESS as IN_LOCKSTEP
from server.analysis.panel import make_panel
from server.analysis.survey import survey
from server.analysis.tracks import make_tracks
from server.analysis.types import AnalysisSettings, Judgement
from server.analysis.windows import Span
from tests.analysis.series import MIB, START, ArraySource, Floats, Node
from tests.analysis.series import fleet as make_fleet

QUARTER = 900.0


def short_fleet() -> list[Node]:
    """A quarter of an hour, every 8 s, of caches of 1 to 7 MiB."""
    return make_fleet(5, hours=0.25, interval=8)


def judged(nodes: list[Node]) -> Judgement:
    return judge(ArraySource(nodes), start=START, end=START + QUARTER, group=None, settings=AnalysisSettings())


def grow(node: Node, names: list[str], share: float, until: float = QUARTER) -> None:
    """Lets caches of a node gain a share of their first level, evenly until so many seconds have passed."""
    passed = np.minimum(node.time - START, until) / until
    node.caches = {
        name: held + share * held[0] * passed if name in names else held for name, held in node.caches.items()
    }


def levels(node: Node) -> list[str]:
    return [name for name in node.caches if name.startswith("constant")]


def test_a_cache_that_grows_alone_is_a_leak() -> None:
    nodes = short_fleet()
    grow(nodes[1], levels(nodes[1])[2:3], 0.5)
    (found,) = judged(nodes).findings
    assert (found.node, found.cache) == ("n2", levels(nodes[1])[2])
    assert found.evidence["company"] == 0


def test_the_same_growth_in_the_company_of_many_is_a_task() -> None:
    nodes = short_fleet()
    grow(nodes[1], levels(nodes[1])[2:3], 0.5)
    alone = judged(nodes).findings[0].score
    grow(nodes[1], levels(nodes[1])[3:], 0.3)
    assert all(found.score < alone / 2 for found in judged(nodes).findings)


def test_one_cache_more_counts_little_in_a_quarter_of_an_hour_and_each_further_one_more() -> None:
    scores = []
    for others in range(4):
        nodes = short_fleet()
        grow(nodes[1], levels(nodes[1])[2 : 3 + others], 0.5)
        said = judged(nodes)
        scores.append(max(row.score for row in (*said.findings, *said.watch) if row.cache == levels(nodes[1])[2]))
    assert np.array(scores[:1]) / scores == pytest.approx([1.0, 1.25, 2.0, 3.25], rel=0.1)


def test_what_drifts_upwards_beside_a_straight_rise_is_no_company() -> None:
    """Their correlation with it is about 0.8: under what a straight rise asks for, over what another one does."""
    nodes = short_fleet()
    for number, name in enumerate(levels(nodes[1])[3:]):
        held, rng = nodes[1].caches[name], np.random.default_rng(number)
        drift = (
            np.linspace(0.0, 1.0, len(held)) + 0.2 * np.repeat(rng.standard_normal(len(held) // 8 + 1), 8)[: len(held)]
        )
        nodes[1].caches = {**nodes[1].caches, name: held + 0.4 * held[0] * drift}
    grow(nodes[1], levels(nodes[1])[2:3], 0.5)
    name = levels(nodes[1])[2]
    assert [one.evidence["company"] for one in judged(nodes).findings if one.cache == name] == [0]
    jagged = 0.05 * np.sign(np.sin(np.arange(len(nodes[1].time)) / 6))  # no straight line any more
    nodes[1].caches = {**nodes[1].caches, name: nodes[1].caches[name] * (1 + jagged)}
    seen = judged(nodes)
    assert [one.evidence["company"] for one in seen.findings + seen.watch if one.cache == name] == [5]


def test_what_all_nodes_do_meanwhile_is_no_company() -> None:
    nodes = short_fleet()
    for node in nodes:
        grow(node, levels(node)[3:], 0.3)
    grow(nodes[1], levels(nodes[1])[2:3], 0.5)
    found = [one for one in judged(nodes).findings if one.kind == "outlier"]
    assert [(one.node, one.cache, one.evidence["company"]) for one in found] == [("n2", levels(nodes[1])[2], 0)]


def test_growth_that_is_over_is_no_leak_where_others_grew_with_it() -> None:
    nodes = short_fleet()
    grow(nodes[1], levels(nodes[1])[2:3], 0.5, until=500)
    grow(nodes[1], levels(nodes[1])[3:], 0.3, until=500)
    assert judged(nodes).findings == ()


def test_growth_that_was_over_soon_is_no_leak() -> None:
    nodes = short_fleet()
    grow(nodes[1], levels(nodes[1])[2:3], 0.5, until=200)
    assert judged(nodes).findings == ()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 10), st.floats(0, 2))
def test_company_is_counted_as_by_hand(seed: int, caches: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    time = START + np.arange(0, 901, 30.0)
    rise = np.linspace(0, 1, len(time))
    series: dict[str, Floats] = {
        f"c{k}": np.round((rng.integers(1, 9) * MIB * (1 + rng.uniform(0, share) * rise)) / 512) * 512
        + 512.0 * rng.integers(0, 1 + int(rng.integers(1, 4000)), len(time))
        for k in range(caches)
    }
    span = Span(START, START + QUARTER, 30.0, whole=True)
    source = ArraySource([Node("n1", time, series)])
    tracks = make_tracks(list(source.window(START, START + QUARTER, 5)))
    one = survey(make_panel(tracks, span.width, AnalysisSettings()), span).fit(0)
    quarter = len(time) // 4
    first = {name: float(np.median(held[:quarter])) for name, held in series.items()}
    gain = {name: float(np.median(held[-quarter:])) - first[name] for name, held in series.items()}
    usual = {name: float(rng.choice([0.0, 0.3, 1.0])) for name in series}
    beyond = {name: gain[name] / first[name] - usual[name] for name in series}
    ordered = np.array([usual[name] for name in one.track.names])
    for name, held in series.items():
        by_hand = 0
        for other, beside in series.items():
            if other == name or len(set(beside)) == 1 or len(set(held)) == 1:
                continue
            like = correlation(held.tolist(), beside.tolist())
            same = like >= IN_LOCKSTEP and gain[name] / AS_MANY <= gain[other] <= gain[name] * AS_MANY
            rises = gain[other] >= LEAST and beyond[other] >= SHARE * max(0.0, beyond[name])
            by_hand += like >= LIKENESS and rises and not same
        assert company(one, one.track.index[name], ordered).sum() == by_hand


@pytest.mark.parametrize(("hours", "company"), [(0.25, 2.0), (2.0, 0.0)])
def test_what_as_many_caches_of_the_peers_do_is_no_company(hours: float, company: float) -> None:
    """On every node some caches rise by chance, others on each; in a quarter of an hour there is no telling chance."""
    nodes = make_fleet(5, hours=hours, interval=hours * 32)
    for number, node in enumerate(nodes):
        grow(node, levels(node)[3 + number : 5 + number], 0.4, until=hours * 3600)
    grow(nodes[1], levels(nodes[1])[2:3], 0.5, until=hours * 3600)
    end = START + hours * 3600
    judgement = judge(ArraySource(nodes), start=START, end=end, group=None, settings=AnalysisSettings())
    rows = judgement.findings + judgement.watch
    found = [one for one in rows if (one.node, one.cache) == ("n2", levels(nodes[1])[2])]
    assert [one.evidence["company"] for one in found] == [company]


HOURS = 2.0


def work(node: Node, factor: float) -> None:
    """Ten caches of objects of 256 bytes and more that hold in proportion to what a node has to do: so many times more
    at the end."""
    rng = np.random.default_rng(int(node.name[1:]))
    passed = (node.time - START) / (HOURS * 3600)
    sizes = {f"request-{k}": 256 * (1 + k % 4) for k in range(10)}
    node.sizes = {**node.sizes, **sizes}
    for number, name in enumerate(sizes):
        more = 1 + (factor - 1) * rng.uniform(0.8, 1.2) * passed
        held = (4 + 3 * number) * MIB * more * (1 + 0.004 * rng.standard_normal(len(passed)))
        node.caches = {**node.caches, name: held}


@pytest.mark.parametrize("busier", [1, 2, 3])
def test_what_many_caches_of_a_few_nodes_do_in_proportion_is_work(busier: int) -> None:
    """Peers at the same work do not show what rises by chance."""
    nodes = make_fleet(7, hours=HOURS, interval=20, caches=60)
    for number, node in enumerate(nodes):
        work(node, 1.6 if number < busier else 1.0)
    said = judge(ArraySource(nodes), start=START, end=START + HOURS * 3600, group=None, settings=AnalysisSettings())
    assert said.findings == ()
    named = {row.node for row in said.watch if "load" in str(row.evidence["not_passed"])}
    assert named == {f"n{number + 1}" for number in range(busier)}


def test_caches_that_grow_by_as_many_objects_are_one_leaks() -> None:
    """Descriptors never closed: each is an object in five caches, and all five may have held as little before."""
    sizes = {"filp": 256, "sock_inode_cache": 832, "TCP": 2368, "eventpoll_epi": 128, "lsm_file_cache": 24}
    nodes = make_fleet(4, hours=HOURS, interval=20, caches=60)
    for number, node in enumerate(nodes):
        opened = 4000 + (4000 * (node.time - START) / (HOURS * 3600) if number == 1 else 0.0 * node.time)
        node.sizes = {**node.sizes, **sizes}
        node.caches = {**node.caches, **{name: size * opened for name, size in sizes.items()}}
    said = judge(ArraySource(nodes), start=START, end=START + HOURS * 3600, group=None, settings=AnalysisSettings())
    assert [(one.node, one.cache, one.evidence["company"]) for one in said.findings] == [("n2", "TCP", 0)]
    assert {one.cache for one in said.findings[0].also} == set(sizes) - {"TCP"}


def test_file_caches_that_fill_beside_a_leak_are_no_work() -> None:
    nodes = make_fleet(5, hours=HOURS, interval=20, caches=60)
    passed = (nodes[1].time - START) / (HOURS * 3600)
    files = [f"inode-{k}" for k in range(10)]
    for node in nodes:
        node.reclaimable = {**node.reclaimable, **dict.fromkeys(files, True)}
        more = passed if node is nodes[1] else 0.0 * passed
        node.caches = {**node.caches, **{name: (4 + k) * MIB * (1 + more) for k, name in enumerate(files)}}
    grow(nodes[1], levels(nodes[1])[2:3], 1.0, until=HOURS * 3600)
    said = judge(ArraySource(nodes), start=START, end=START + HOURS * 3600, group=None, settings=AnalysisSettings())
    (found,) = [one for one in said.findings if not one.reclaimable]
    assert (found.node, found.cache) == ("n2", levels(nodes[1])[2])
    assert float(found.evidence["company"] or 0.0) > MANY_MORE
