"""The families of fleets in which something leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from server.simulator.catalogue import catalogue
from server.simulator.fleet import FleetSpec
from server.simulator.node import Gap, Leak, NodeSpec, Reboot
from server.simulator.processes import generator
from server.simulator.scenario import Family, Scenario, Terms, like_nodes, truth_of

__all__ = ["LEAKING"]

Nodes = tuple[NodeSpec, ...]
Adjust = Callable[[Nodes, Terms], Nodes]

QUIET = (
    "scsi_cmd_cache",
    "kmalloc-64",
    "kmalloc-256",
    "cred_jar",
    "file_lock_ctx",
    "ip6_dst_cache",
    "pid",
    "raid5/md0",
)
BUSY = ("nf_conntrack", "ip_vs_conn", "skbuff_head_cache", "kmalloc-1k", "filp", "TCP", "kmalloc-512")
OPEN_FILES = (("filp", 1.0), ("lsm_file_cache", 1.0), ("TCP", 0.3), ("PING", 0.35), ("kmalloc-cg-1k", 0.35))
MEBIBYTE = 2.0**20


def _scenario(
    family: str, terms: Terms, nodes: Nodes, leak: Leak, *, reboot_hours: float = 0.0, fleet: bool = False
) -> Scenario:
    spec = FleetSpec(terms.seed, nodes, (leak,), terms.hours, terms.interval)
    sizes = {model.name: model.size for model in catalogue("6.1")}
    return Scenario(family, spec, (truth_of(spec, leak, sizes[leak.cache], reboot_hours=reboot_hours, fleet=fleet),))


def _pick(terms: Terms, caches: tuple[str, ...]) -> str:
    return caches[int(generator(terms.seed, "cache").integers(len(caches)))]


def _victim(terms: Terms, nodes: Nodes) -> str:
    return nodes[int(generator(terms.seed, "victim").integers(len(nodes)))].name


def _rate(terms: Terms, low: float, high: float) -> float:
    """Bytes an hour, log-uniform between two rates in MiB/h."""
    return terms.strength * MEBIBYTE * float(low * (high / low) ** generator(terms.seed, "rate").random())


def _plain(
    terms: Terms,
    *,
    family: str,
    caches: tuple[str, ...] = QUIET,
    rate: tuple[float, float] = (0.5, 4.0),
    onset: tuple[float, float] = (-0.2, 0.35),
    adjust: Adjust = lambda nodes, _: nodes,
    shape: str = "steady",
    also: tuple[tuple[str, float], ...] = (),
) -> Scenario:
    """One node, one leak; onset as shares of the window."""
    nodes = adjust(like_nodes(terms), terms)
    at = terms.hours * float(generator(terms.seed, "onset").uniform(*onset))
    leak = Leak((_victim(terms, nodes),), _pick(terms, caches), _rate(terms, *rate), at=at, also=also)
    if shape == "stairs":
        leak = replace(leak, shape="stairs", every=max(terms.hours / 12, terms.interval / 720))
    elif shape == "accelerating":
        leak = replace(leak, shape="accelerating")
    elif shape == "load":
        leak = replace(leak, shape="load")
    return _scenario(family, terms, nodes, leak)


def _only_there(terms: Terms) -> Scenario:
    """The peers run a kernel that merged the cache away, so that only one node lists it."""
    nodes = like_nodes(terms)
    victim = _victim(terms, nodes)
    nodes = tuple(node if node.name == victim else replace(node, kernel="merged") for node in nodes)
    return _scenario("only-there", terms, nodes, Leak((victim,), "scsi_cmd_cache", _rate(terms, 0.5, 4), at=0.0))


def _merged(terms: Terms) -> Scenario:
    nodes = tuple(replace(node, kernel="merged") for node in like_nodes(terms))
    return _scenario("merged", terms, nodes, Leak((_victim(terms, nodes),), "biovec-32", _rate(terms, 0.8, 4)))


def _two_hours_ago(terms: Terms) -> Scenario:
    nodes = like_nodes(terms)
    leak = Leak((_victim(terms, nodes),), _pick(terms, QUIET), _rate(terms, 3, 12), at=terms.hours - 2)
    return _scenario("two-hours-ago", terms, nodes, leak)


def _over_reboot(terms: Terms) -> Scenario:
    nodes = like_nodes(terms)
    victim, at = _victim(terms, nodes), terms.hours * 0.5
    nodes = tuple(replace(n, reboots=(Reboot(at, minutes=3),)) if n.name == victim else n for n in nodes)
    leak = Leak((victim,), _pick(terms, QUIET), _rate(terms, 0.8, 5), at=-terms.hours * 0.1)
    return _scenario("over-reboot", terms, nodes, leak, reboot_hours=at)


def _restarted(terms: Terms) -> Scenario:
    nodes = like_nodes(terms)
    again = terms.hours * float(generator(terms.seed, "restart").uniform(0.2, 0.5))
    leak = Leak((_victim(terms, nodes),), _pick(terms, QUIET), _rate(terms, 0.8, 5), restart=again)
    return _scenario("restarted", terms, nodes, leak, reboot_hours=again)


def _on_two(terms: Terms) -> Scenario:
    nodes = like_nodes(terms)
    start = int(generator(terms.seed, "victim").integers(len(nodes) - 1))
    leak = Leak((nodes[start].name, nodes[start + 1].name), _pick(terms, QUIET), _rate(terms, 0.5, 4), at=0.0)
    return _scenario("on-two", terms, nodes, leak)


def _on_half(terms: Terms) -> Scenario:
    nodes = like_nodes(terms)
    half = (len(nodes) + 1) // 2
    nodes = tuple(replace(node, kernel="6.12") if place < half else node for place, node in enumerate(nodes))
    leak = Leak(tuple(node.name for node in nodes[:half]), _pick(terms, QUIET), _rate(terms, 0.5, 4), at=0.0)
    return _scenario("on-half", terms, nodes, leak)


def _stopped(terms: Terms) -> Scenario:
    nodes = like_nodes(terms)
    leak = Leak(
        (_victim(terms, nodes),),
        _pick(terms, QUIET),
        _rate(terms, 1, 6),
        at=terms.hours * 0.1,
        until=terms.hours * float(generator(terms.seed, "until").uniform(0.5, 0.8)),
    )
    return _scenario("stopped", terms, nodes, leak)


def _everywhere(terms: Terms) -> Scenario:
    nodes = like_nodes(terms)
    names = tuple(node.name for node in nodes)
    return _scenario("everywhere", terms, nodes, Leak(names, _pick(terms, QUIET), _rate(terms, 0.8, 4)), fleet=True)


def _of_size(family: str, count: int, terms: Terms) -> Scenario:
    return _plain(replace(terms, nodes=count), family=family, rate=(1.0, 5.0))


def _broken_clocks(nodes: Nodes, terms: Terms) -> Nodes:
    rng = generator(terms.seed, "broken")
    made = []
    for node in nodes:
        at = terms.hours * float(rng.uniform(0.2, 0.6))
        gap = Gap(at, at + terms.hours * float(rng.uniform(0.05, 0.2)), late=bool(rng.random() < 0.3))
        step = (terms.hours * float(rng.uniform(0.3, 0.8)), float(rng.choice([-40.0, 35.0, 90.0, 600.0])))
        made.append(replace(node, gaps=(gap,), dropped=0.08, jitter=terms.interval / 4, clock_steps=(step,)))
    return tuple(made)


def _other_kernels(nodes: Nodes, terms: Terms) -> Nodes:
    rng = generator(terms.seed, "kernels")
    return tuple(replace(node, kernel=str(rng.choice(["6.1", "6.12"]))) for node in nodes)


def _random_kmalloc(nodes: Nodes, _: Terms) -> Nodes:
    return tuple(replace(node, kernel="random") for node in nodes)


LEAKING: tuple[Family, ...] = (
    Family("plain", "one node loses objects of a quiet cache", True, False, partial(_plain, family="plain")),
    Family("slow", "the same, slow", True, False, partial(_plain, family="slow", rate=(0.12, 0.4)), least_hours=12),
    Family("busy-cache", "in a cache that load moves", True, True, partial(_plain, family="busy-cache", caches=BUSY)),
    Family("only-there", "in a cache that only this node lists", True, False, _only_there),
    Family("load", "in proportion to load", True, True, partial(_plain, family="load", shape="load")),
    Family("stairs", "only when some job runs", True, False, partial(_plain, family="stairs", shape="stairs")),
    Family("accelerating", "ever faster", True, False, partial(_plain, family="accelerating", shape="accelerating")),
    Family("two-hours-ago", "started two hours before the end", True, False, _two_hours_ago, least_hours=6),
    Family("over-reboot", "goes on after a reboot", True, False, _over_reboot),
    Family("restarted", "given back by a restart, and goes on", True, True, _restarted),
    Family("on-two", "on two nodes at once", True, False, _on_two),
    Family("on-half", "on the half of the nodes that runs a newer kernel", True, True, _on_half),
    Family("stopped", "ended by itself; the memory is still gone", True, True, _stopped),
    Family("merged", "in a cache merged into another", True, True, _merged),
    Family(
        "open-files",
        "descriptors never closed: many caches in lockstep",
        True,
        False,
        partial(_plain, family="open-files", caches=("sock_inode_cache",), also=OPEN_FILES),
    ),
    Family(
        "dentries",
        "dentries that no pressure takes back",
        True,
        True,
        partial(_plain, family="dentries", caches=("dentry",), rate=(2.0, 10.0)),
        least_hours=12,
    ),
    Family(
        "gaps",
        "with gaps, late data, clock steps and odd intervals",
        True,
        True,
        partial(_plain, family="gaps", adjust=_broken_clocks),
    ),
    Family(
        "kernels",
        "among kernels with other object sizes",
        True,
        True,
        partial(_plain, family="kernels", adjust=_other_kernels),
    ),
    Family(
        "kmalloc-rnd",
        "in one of kmalloc's random copies",
        True,
        True,
        partial(_plain, family="kmalloc-rnd", caches=("kmalloc-64", "kmalloc-256"), adjust=_random_kmalloc),
    ),
    Family("pair", "a fleet of two", True, True, partial(_of_size, "pair", 2)),
    Family("one-in-500", "one node of 500", True, True, partial(_of_size, "one-in-500", 500)),
    Family("everywhere", "all nodes at once", True, False, _everywhere),
)
