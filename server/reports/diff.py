"""What changed between two snapshots of a node, cache by cache, and the reboot between them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from common.slabdiff import CacheDiff, diff, format_diff
from server.reports.fields import Instant, WireReport
from server.storage.base import Stored

__all__ = ["DiffReport", "Metric", "build_diff", "slabdiff_text"]

Metric = Literal["active", "allocated"]


class DiffSide(WireReport):
    """One of the two snapshots compared."""

    taken_at: Instant = Field(description="When the dump was read, RFC 3339 in UTC by the node's clock.")
    boot: str = Field(description="What tells boots apart: boot_id, else `booted TIME`; empty when unknown.")
    uptime_seconds: float | None = Field(description="Seconds since boot; null when unknown.")
    kernel: str | None = Field(description="Kernel release; null when unknown.")


class DiffReboot(WireReport):
    """The snapshots belong to different boots: their difference is no growth. Nothing is said of unknown boots."""

    booted_at: Instant | None = Field(
        description="When the later boot began (taken_at minus uptime), RFC 3339 in UTC; null when unknown."
    )
    kernel_changed: bool = Field(description="Whether the kernel release is another one, true or false.")


class DiffItem(WireReport):
    """One cache; rows of one name are summed."""

    cache: str = Field(description="Name of the cache, as the kernel gives it.")
    bytes: int = Field(description="Bytes gained (negative: lost), objects x obj_size of each side.")
    objects: int = Field(description="Objects gained (negative: lost), a count.")


class DiffReport(WireReport):
    """Every cache whose bytes differ, ascending by bytes as slabdiff has them."""

    node: str = Field(description="Name of the node.")
    metric: Metric = Field(description="`active`: active_objs x obj_size; `allocated`: num_objs x obj_size.")
    old: DiffSide = Field(serialization_alias="from", description="The older snapshot.")
    new: DiffSide = Field(serialization_alias="to", description="The newer snapshot.")
    reboot: DiffReboot | None = Field(description="The reboot between them; null when there was none.")
    items: list[DiffItem] = Field(description="The caches whose bytes differ.")
    next: str | None = Field(description="Always null: the list is whole.")


def build_diff(old: Stored, new: Stored, metric: Metric) -> DiffReport:
    return DiffReport(
        node=new.snapshot.node,
        metric=metric,
        old=_side(old),
        new=_side(new),
        reboot=_reboot(old, new),
        items=[
            DiffItem(cache=d.name, bytes=d.bytes, objects=d.objects)
            for d in diff(old.snapshot.caches, new.snapshot.caches, metric)
        ],
        next=None,
    )


def slabdiff_text(report: DiffReport) -> str:
    """The same as slabdiff prints it."""
    return format_diff([CacheDiff(item.cache, item.bytes, item.objects) for item in report.items])


def _side(stored: Stored) -> DiffSide:
    snapshot = stored.snapshot
    return DiffSide(
        taken_at=snapshot.taken_at, boot=stored.boot, uptime_seconds=snapshot.uptime_seconds, kernel=snapshot.kernel
    )


def _reboot(old: Stored, new: Stored) -> DiffReboot | None:
    if old.boot == new.boot or not (old.boot and new.boot):
        return None
    up = new.snapshot.uptime_seconds
    return DiffReboot(
        booted_at=None if up is None else max(0.0, new.snapshot.taken_at - up),
        kernel_changed=old.snapshot.kernel != new.snapshot.kernel,
    )
