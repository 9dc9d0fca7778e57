"""The families of fleets in which nothing leaks, and that look as if something did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from server.simulator.fleet import FleetSpec
from server.simulator.node import Change, Gap, NodeSpec, PageLeak, Reboot, Shift
from server.simulator.processes import generator
from server.simulator.scenario import Family, Scenario, Terms, like_nodes

__all__ = ["HEALTHY"]

Nodes = tuple[NodeSpec, ...]
Adjust = Callable[[Nodes, Terms, np.random.Generator], Nodes]

FILES = ("dentry", "ext4_inode_cache", "lsm_inode_cache", "ext4_extent_status", "radix_tree_node")

STEPPING = ("net_namespace", "uts_namespace", "pid_namespace", "user_namespace", "xfrm_state", "kioctx", "MPTCP", "RAW")
"""What containers and tunnels take: nothing moves them from day to day."""


def _fleet(family: str, adjust: Adjust, terms: Terms, *, count: int | None = None) -> Scenario:
    nodes = adjust(like_nodes(terms, count=count), terms, generator(terms.seed, "adjust"))
    return Scenario(family, FleetSpec(terms.seed, nodes, (), terms.hours, terms.interval))


def _one(nodes: Nodes, rng: np.random.Generator, **fields: object) -> Nodes:
    """One node, drawn, gets other fields."""
    chosen = int(rng.integers(len(nodes)))
    return tuple(replace(n, **fields) if i == chosen else n for i, n in enumerate(nodes))  # type: ignore[arg-type] # fields are NodeSpec's


def _within(terms: Terms, rng: np.random.Generator, low: float = 0.15, high: float = 0.8) -> float:
    return terms.hours * float(rng.uniform(low, high))


def _quiet(nodes: Nodes, _: Terms, __: np.random.Generator) -> Nodes:
    return nodes


def _burst_stays(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    burst = Change(FILES, _within(terms, rng), objects=float(rng.uniform(2e4, 6e4)), over=terms.hours / 20)
    return _one(nodes, rng, changes=(burst,), pressure_per_day=0.0)


def _big_and_busy(nodes: Nodes, _: Terms, rng: np.random.Generator) -> Nodes:
    return _one(nodes, rng, size=8.0, busy=8.0)


def _out_of_phase(nodes: Nodes, _: Terms, __: np.random.Generator) -> Nodes:
    return tuple(replace(n, phase_hours=24 * i / len(nodes), depth=0.6) for i, n in enumerate(nodes))


def _fresh_boot(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    """Either just before the data begin or shortly before they end."""
    before = float(rng.uniform(0.05, 0.3)) * min(terms.hours, 4)
    return _one(nodes, rng, uptime_hours=before if rng.random() < 0.5 else before - terms.hours)


def _reboot(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    return _one(nodes, rng, reboots=(Reboot(_within(terms, rng)),))


def _backup(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    at = _within(terms, rng, 0.2, 0.9)
    until = at + terms.hours * float(rng.uniform(0.05, 0.2))
    return _one(nodes, rng, shifts=(Shift("file", at, 12.0, until=until), Shift("io", at, 4.0, until=until)))


def _reclaim(nodes: Nodes, terms: Terms, __: np.random.Generator) -> Nodes:
    return tuple(replace(n, pressure_per_day=10 * 24 / max(terms.hours, 24)) for n in nodes)


def _rolling_upgrade(nodes: Nodes, terms: Terms, _: np.random.Generator) -> Nodes:
    share = 0.8 / len(nodes)
    return tuple(
        replace(n, reboots=(Reboot(terms.hours * (0.1 + share * i), kernel="6.12"),)) for i, n in enumerate(nodes)
    )


def _half_upgraded(nodes: Nodes, terms: Terms, _: np.random.Generator) -> Nodes:
    fresh = {"kernel": "6.12", "uptime_hours": terms.hours * 0.01}
    return tuple(replace(n, **fresh) if i % 2 else n for i, n in enumerate(nodes))  # type: ignore[arg-type] # NodeSpec's


def _joined(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    return _one(nodes, rng, uptime_hours=-_within(terms, rng, 0.5, 0.8))


def _traffic_moved(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    at = _within(terms, rng)
    moved = tuple(Shift(factor, at, 2.5, over=terms.hours / 50) for factor in ("net", "io", "proc"))
    return _one(nodes, rng, shifts=(moved[0], moved[1], replace(moved[2], ratio=1.3)))


def _deploy(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    caches = ("kmalloc-256", "kmalloc-1k", "eventpoll_epi", "filp")
    start, ratio = _within(terms, rng, 0.1, 0.4), float(rng.uniform(1.3, 1.9))
    step = terms.hours * 0.5 / len(nodes)
    return tuple(replace(n, changes=(Change(caches, start + step * i, ratio),)) for i, n in enumerate(nodes))


def _setting(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    cache = str(rng.choice(["nf_conntrack", "kmalloc-2k", "biovec-max", "task_struct", "cred_jar"]))
    return _one(nodes, rng, changes=(Change((cache,), _within(terms, rng), 3.0, over=terms.hours / 100),))


def _restless(nodes: Nodes, _: Terms, __: np.random.Generator) -> Nodes:
    return tuple(replace(n, restless=2.5) for n in nodes)


def _steps(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    """As many steps up as down, about one and a half a day, by some 15 % of what all nodes hold at first."""
    levels = {cache: float(10 ** rng.uniform(3.5, 4.5)) for cache in STEPPING}

    def changes(cache: str) -> tuple[Change, ...]:
        times = np.sort(rng.uniform(0, terms.hours, rng.poisson(1.5 * terms.hours / 24)))
        sizes = [float(rng.lognormal(0, 0.1)), *rng.normal(0, 0.15, len(times)).tolist()]
        level, made = 0.0, []
        for at, size in zip([-1.0, *times.tolist()], sizes, strict=True):
            change = abs(size) if level + size < 0.2 else size
            level += change
            made.append(Change((cache,), at, objects=levels[cache] * change))
        return tuple(made)

    return tuple(replace(n, changes=tuple(one for cache in STEPPING for one in changes(cache))) for n in nodes)


def _unequal_pair(nodes: Nodes, _: Terms, __: np.random.Generator) -> Nodes:
    return (nodes[0], replace(nodes[1], size=3.0, busy=3.0, phase_hours=6.0))


def _fills_to_limit(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    at = terms.hours * float(rng.uniform(0.0, 0.2))
    fill = Change(
        (str(rng.choice(["nf_conntrack", "ip_vs_conn", "kmalloc-512"])),),
        at,
        objects=float(rng.uniform(3e4, 9e4)),
        over=min(10.0, terms.hours * 0.5),
        saturating=True,
    )
    return _one(nodes, rng, changes=(fill,))


def _away(nodes: Nodes, terms: Terms, rng: np.random.Generator) -> Nodes:
    at = _within(terms, rng, 0.1, 0.5)
    return _one(nodes, rng, gaps=(Gap(at, at + terms.hours * float(rng.uniform(0.1, 0.4))),))


def _standby(nodes: Nodes, _: Terms, rng: np.random.Generator) -> Nodes:
    return _one(nodes, rng, busy=0.03, labels=(("role", "standby"),))


def _pages(nodes: Nodes, terms: Terms, rng: np.random.Generator, *, in_slab: bool) -> Nodes:
    """In no slab cache: 10 to 30 % of the node's memory by the end."""
    at = terms.hours * float(rng.uniform(-0.1, 0.25))
    share = terms.strength * float(rng.uniform(0.1, 0.3))
    leak = PageLeak(at, share * nodes[0].memory / (terms.hours - at), in_slab)
    return _one(nodes, rng, page_leaks=(leak,))


def _family(name: str, about: str, adjust: Adjust, *, hard: bool = False, count: int | None = None) -> Family:
    return Family(name, about, False, hard, partial(_fleet, name, adjust, count=count))


HEALTHY: tuple[Family, ...] = (
    _family("quiet", "nothing but the day", _quiet),
    _family("burst-stays", "a burst of files that stay cached", _burst_stays),
    _family("big-and-busy", "a node eight times bigger and busier", _big_and_busy),
    _family("out-of-phase", "daily load out of phase", _out_of_phase),
    _family("fresh-boot", "a node booted minutes ago", _fresh_boot),
    _family("reboot", "a reboot and its warm-up", _reboot),
    _family("backup", "a backup job on one node", _backup),
    _family("reclaim", "memory gets short again and again", _reclaim),
    _family("rolling-upgrade", "node by node onto a new kernel", _rolling_upgrade, hard=True),
    _family("half-upgraded", "half the fleet freshly booted on a new kernel", _half_upgraded, hard=True),
    _family("joined", "a node that has just joined", _joined),
    _family("traffic-moved", "traffic shifted to one node for good", _traffic_moved, hard=True),
    _family("deploy", "a deploy that steps levels node by node", _deploy, hard=True),
    _family("setting", "a setting that triples one cache", _setting, hard=True),
    _family("restless", "levels that wander as processes come and go", _restless, hard=True),
    _family("unequal-pair", "two nodes, one three times bigger", _unequal_pair, hard=True, count=2),
    _family("fills-to-limit", "a cache that fills to its limit for ten hours", _fills_to_limit, hard=True),
    _family("quiet-30", "30 quiet nodes", _quiet, count=30),
    _family("quiet-500", "500 quiet nodes", _quiet, count=500),
    _family("away", "an agent that was away", _away),
    _family("standby", "a node whose role differs", _standby, hard=True),
    _family("pages", "memory leaks outside slab: a note, no finding", partial(_pages, in_slab=False)),
    _family("large-kmalloc", "slab leaks that no cache lists: a note, no finding", partial(_pages, in_slab=True)),
    _family("steps", "levels that step up and down at random, and stay", _steps, hard=True),
)
