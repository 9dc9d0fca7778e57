"""The slab caches of one boot of one node at every instant: objects wanted, slabs held, counts as the kernel says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from server.simulator.catalogue import CacheModel, catalogue, objects_and_pages
from server.simulator.leaks import lost_objects
from server.simulator.load import NodeLoad
from server.simulator.node import Change, Leak, NodeSpec
from server.simulator.processes import HOUR, episodes, generator, hold, wander

__all__ = ["BootRecord", "Stretch", "record_boot"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A boot to record: T instants of one node."""

    time: Floats
    """[T] true epoch seconds."""
    booted: float
    kernel: str
    start: float
    """The fleet's start and end, epoch seconds."""
    end: float
    seed: int
    first: bool
    """The node was up before the fleet's start."""


@dataclass(frozen=True, slots=True)
class BootRecord:
    """One boot of one node. T instants, C rows."""

    boot_id: str
    kernel: str
    """A key of catalogue.KERNELS."""
    models: tuple[CacheModel, ...]
    objs_per_slab: tuple[int, ...]
    pages_per_slab: tuple[int, ...]
    time: Floats
    """[T] epoch seconds by the node's clock."""
    uptime: Floats
    memory: Floats
    """[T, 4] bytes, see server.buckets.MEMORY_COLUMNS."""
    active: Ints
    """[T, C] objects; num and slabs likewise."""
    num: Ints
    slabs: Ints


def record_boot(spec: NodeSpec, stretch: Stretch, load: NodeLoad, leaks: Sequence[Leak]) -> BootRecord:
    """Counts of every cache at the stretch's instants; `load` is that of the same instants."""
    models = catalogue(stretch.kernel)
    geometry = [objects_and_pages(model.size, spec.cpus) for model in models]
    per_slab = np.array([objects for objects, _ in geometry], dtype=np.float64)
    pages = np.array([count for _, count in geometry], dtype=np.float64)
    rng = generator(stretch.seed, spec.name, "boot", int(stretch.booted))
    boot_id = str(UUID(bytes=rng.bytes(16), version=4))
    wanted = _wanted(spec, stretch, models, load)
    for leak in leaks:
        for name, ratio in ((leak.cache, 1.0), *leak.also):
            row = _row_of(models, name, spec.name, stretch.seed)
            size = models[_row_of(models, leak.cache, spec.name, stretch.seed)].size
            part = replace(leak, cache=name, bytes_per_hour=leak.bytes_per_hour * ratio)
            wanted[:, row] += lost_objects(
                part,
                size,
                stretch.time,
                load.factors["net"],
                start=stretch.start,
                end=stretch.end,
                booted=stretch.booted,
                seed=stretch.seed,
                node=spec.name,
            )
    active, slabs = _counted(spec, stretch, models, load, np.floor(wanted), per_slab)
    memory = _memory(spec, stretch, load, slabs * pages * 4096, np.array([m.reclaimable for m in models]))
    return BootRecord(
        boot_id,
        stretch.kernel,
        models,
        tuple(objects for objects, _ in geometry),
        tuple(count for _, count in geometry),
        stretch.time,
        np.round(stretch.time - stretch.booted, 2),
        memory,
        active.astype(np.int64),
        (slabs * per_slab).astype(np.int64),
        slabs.astype(np.int64),
    )


def _row_of(models: Sequence[CacheModel], name: str, node: str, seed: int) -> int:
    """The row that holds a cache's objects: itself, the one it was merged into, or its random copy of this node."""
    copies = [i for i, m in enumerate(models) if name.startswith("kmalloc-") and m.name.startswith("kmalloc-rnd-")]
    copies = [i for i in copies if models[i].name.split("-", 3)[3] == name.removeprefix("kmalloc-")]
    if copies:
        return copies[int(generator(seed, node, "copy", name).integers(len(copies)))]
    for index, model in enumerate(models):
        if model.name == name or name in model.aliases:
            return index
    raise ValueError(f"no cache {name!r} in this simulated kernel")


def _wanted(spec: NodeSpec, stretch: Stretch, models: Sequence[CacheModel], load: NodeLoad) -> Floats:
    """[T, C] objects in use, before leaks, as real numbers."""
    time, up = stretch.time, stretch.time - stretch.booted
    lively = [i for i, m in enumerate(models) if m.kind != "constant" and (m.base or m.swing)]
    noise = np.empty((len(time), len(lively), 2))
    tau, spread, level = np.empty((2, len(lively))), np.empty((2, len(lively))), np.empty(len(lively))
    tenants = np.zeros((len(time), len(lively)))
    for at, index in enumerate(lively):
        model = models[index]
        rng = generator(stretch.seed, spec.name, model.name, model.ordinal, int(stretch.booted))
        tau[:, at] = 900 * rng.lognormal(0, 0.5), 5 * HOUR * rng.lognormal(0, 0.4)
        wide = model.swing / 100 if model.kind == "wander" else {"load": 0.10, "fill": 0.02, "boot": 0.0}[model.kind]
        spread[:, at] = np.array([0.6, 0.7]) * wide * spec.restless
        level[at] = generator(stretch.seed, spec.name, model.name, model.ordinal).lognormal(0, 0.12)
        noise[:, at] = rng.standard_normal((len(time), 2))
        if model.kind in ("wander", "load"):
            tenants[:, at] = episodes(rng, time, per_day=0.5, hours=4, size=0.6 * wide) * spec.restless
    swing = np.exp(spread[0] * wander(noise[..., 0], time, tau[0]) + spread[1] * wander(noise[..., 1], time, tau[1]))
    ramp = 1 - 0.45 * np.exp(-up / 90.0)
    settled = 1 - 0.35 * np.exp(-up / (0.6 * HOUR))
    wanted = np.round(np.outer(ramp, [model.base for model in models]))
    for at, index in enumerate(lively):
        model = models[index]
        if model.kind == "fill":
            rest = _filled(spec, stretch, model, level[at], load)
        elif model.kind == "boot":
            rest = model.base * (0.6 + 0.4 * spec.size) * ramp
        else:
            rest = spec.size * level[at] * settled * _followed(model, load)
        wanted[:, index] = rest * swing[:, at] * (1 + tenants[:, at])
    for change in spec.changes:
        moved = _moved(change, time, stretch.start, load.factors["net"])
        for index in [i for i, m in enumerate(models) if m.name in change.caches]:
            wanted[:, index] = wanted[:, index] * (1 + (change.ratio - 1) * moved) + change.objects * moved
    return wanted


def _followed(model: CacheModel, load: NodeLoad) -> Floats:
    """Objects by what the node does: `load` in proportion, `wander` hardly but for processes."""
    factor = load.factors[model.factor]
    if model.kind == "load":
        return model.base + model.swing * factor
    return model.base * (factor if model.factor == "proc" else factor**0.25)


def _filled(spec: NodeSpec, stretch: Stretch, model: CacheModel, level: float, load: NodeLoad) -> Floats:
    """A reclaimable cache: fills with work towards its limit, loses a share whenever memory gets short."""
    time = stretch.time
    rng = generator(stretch.seed, spec.name, model.name, "fill", int(stretch.booted))
    base, limit = model.base * level, model.swing * level * spec.size
    tau = 14 * HOUR * rng.lognormal(0, 0.3)
    gaps = np.diff(time, prepend=time[0] - min(time[0] - stretch.booted, 1.0))
    work = np.cumsum(load.factors[model.factor] * gaps) / tau
    stage = generator(stretch.seed, spec.name, "stage").beta(2, 2) * rng.uniform(0.7, 1.2) if stretch.first else 0.0
    held = base + (limit - base) * min(stage, 0.98)
    path = np.empty_like(time)
    done, work_done = 0, 0.0
    for at, share in (*load.pressure, (np.inf, 0.0)):
        until = int(np.searchsorted(time, at))
        if until > done:
            path[done:until] = limit - (limit - held) * np.exp(-(work[done:until] - work_done))
            held, work_done, done = float(path[until - 1]), float(work[until - 1]), until
        held = base + max(held - base, 0.0) * (1 - share * rng.uniform(0.5, 1.0))
    return path


def _moved(change: Change, time: Floats, start: float, work: Floats) -> Floats:
    """[T] from 0 before a change to 1 after it; `work` [T] is the node's load."""
    begun = start + change.at * HOUR
    since = time - begun
    if change.with_load:
        since = np.cumsum(work * np.diff(np.maximum(time, begun), prepend=begun))
    done = since / (max(change.over, 1e-3) * HOUR)
    if change.saturating:
        moved = np.where(done > 0, 1 - np.exp(-3 * np.maximum(done, 0.0)), 0.0)
    else:
        moved = np.clip(done, 0.0, 1.0)
    if change.until is not None:
        moved = np.where(time < start + change.until * HOUR, moved, 0.0)
    return moved


def _counted(
    spec: NodeSpec,
    stretch: Stretch,
    models: Sequence[CacheModel],
    load: NodeLoad,
    wanted: Floats,
    per_slab: Floats,
) -> tuple[Floats, Floats]:
    """(active_objs, slabs) [T, C]: slabs go late and by the slab; per-CPU slabs count as active in full."""
    time = stretch.time
    rng = generator(stretch.seed, spec.name, "slabs", int(stretch.booted))
    count = len(models)
    lively = np.array([m.kind in ("wander", "load") for m in models])
    spare = np.where(lively, spec.cpus * rng.uniform(0.1, 1.2, count), 0.0)
    sway = np.repeat(rng.normal(0, 0.25, (len(time) // 8 + 1, count)), 8, axis=0)[: len(time)]
    need = np.ceil(wanted / per_slab)
    need = np.where(need > 0, np.ceil(need + np.maximum(spare * (1 + sway), 0.0)), 0.0)
    tau = 2.5 * HOUR * rng.lognormal(0, 0.6, count)
    pinned = rng.uniform(0.05, 0.4, count)
    held = np.empty_like(need)
    cuts = [0, *(int(np.searchsorted(time, at)) for at, _ in load.pressure), len(time)]
    for begin, end in pairwise(cuts):
        if end > begin:
            if begin:  # objects that survive a reclaim pin slabs here and there
                need[begin] = np.ceil(need[begin] + pinned * np.maximum(held[begin - 1] - need[begin], 0.0))
            held[begin:end] = hold(need[begin:end], time[begin:end], tau)
    slabs = np.ceil(np.nan_to_num(held, neginf=0.0) - 1e-9)
    shown = rng.uniform(0.6, 1.6, count) * spec.cpus + 1
    inflation = np.floor(shown * per_slab * rng.uniform(0.7, 1.0, (len(time), 1)))
    return np.minimum(slabs * per_slab, wanted + inflation), slabs


def _memory(spec: NodeSpec, stretch: Stretch, load: NodeLoad, held: Floats, reclaimable: NDArray[np.bool_]) -> Floats:
    """[T, 4] bytes: total, available, slab_reclaimable, slab_unreclaimable."""
    soft, hard = held[:, reclaimable].sum(axis=1), held[:, ~reclaimable].sum(axis=1)
    total = np.full(len(held), float(spec.memory))
    used = total * 0.28 * load.factors["proc"] + total * 0.04
    for leak in spec.page_leaks:
        begun = max(stretch.start + leak.at * HOUR, stretch.booted)
        lost = np.maximum(stretch.time - begun, 0.0) / HOUR * leak.bytes_per_hour
        hard, used = (hard + lost, used) if leak.in_slab else (hard, used + lost)
    available = np.maximum(total - used - hard - 0.4 * soft, total * 0.005)
    return np.round(np.column_stack([total, available, soft, hard]) / 4096) * 4096
