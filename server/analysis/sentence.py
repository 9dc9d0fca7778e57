"""The one plain sentence of a finding."""

from __future__ import annotations

from common.terminal.units import span as span_text
from common.times import format_time

__all__ = ["describe", "size", "span_text"]


def size(count: float) -> str:
    """Bytes for people, three significant digits: `53.4 MiB`."""
    value = abs(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    digits = 0 if unit == "B" or value >= 100 else 1
    return f"{'-' if count < 0 else ''}{value:.{digits}f} {unit}"


def describe(  # noqa: PLR0913 - the parts of one sentence, all named
    *,
    where: str,
    cache: str,
    growth: float,
    seconds: float,
    bytes_per_hour: float,
    peers: int,
    peer_bytes_per_hour: float | None,
    also: int,
    reboots: int,
    stopped: bool,
    exhausts_at: float | None,
) -> str:
    """What grew where, how much in how long, what the peers did, and when memory runs out."""
    text = f"{where}: {cache} has grown by {size(growth)} in {span_text(seconds)} ({size(bytes_per_hour)}/h"
    if also:
        text += f", with {also} other cache{'s' if also > 1 else ''} in lockstep"
    if reboots:
        text += ", again after a reboot" if reboots == 1 else f", again after {reboots} reboots"
    text += ")"
    if peer_bytes_per_hour is not None:
        who = "its peer" if peers == 1 else f"its {peers} peers"
        shrank = "shrank " if round(peer_bytes_per_hour) < 0 else ""
        text += f", {who} {shrank}by {size(abs(peer_bytes_per_hour))}/h"
    if stopped:
        return text + "; it has stopped growing, but the memory is not given back."
    if exhausts_at is not None:
        return text + f"; memory will run out on {format_time(exhausts_at)[:10]}."
    return text + "."
