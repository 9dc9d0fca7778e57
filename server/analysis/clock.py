"""A clock that is set while a boot lasts says nothing of how long that took: its uptime does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from server.buckets import ARRAYS, BootSeries

__all__ = ["SET", "by_uptime"]

SET = 60.0
"""Seconds that a clock moves against the boot's uptime, from which on it was set: less is delivery."""


def by_uptime(boot: BootSeries) -> BootSeries:
    """The boot with times (epoch seconds) as far apart as its uptimes, by the clock as it is now; in their order.

    Left as it is where the uptime is not known, where the clock was not set, and where the newest bucket is not the one
    that has been up for longest: then the clock was put back so lately that what is newest is not known, or the
    uptime is not this boot's (a container's own, which begins anew).
    """
    known = np.isfinite(boot.uptime)
    if not known.all() or len(known) < 2:
        return boot
    booted = boot.time - boot.uptime
    if np.abs(booted - booted[-1]).max() <= SET or boot.uptime.max() > boot.uptime[-1]:
        return boot
    order = np.argsort(boot.uptime, kind="stable")
    arrays = {name: getattr(boot, name)[order] for name in ARRAYS if name != "time"}
    return replace(boot, time=boot.uptime[order] + booted[-1], **arrays)
