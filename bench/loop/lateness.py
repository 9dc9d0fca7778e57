"""From a server's heartbeats and its clients' notes to a row of the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["HEAD", "between", "row"]

HEAD = (
    "| while | late ms: p50 | p99 | most | of which its own CPU | beats over 50 ms | push ms: p50 | p99 | most |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def row(name: str, beats: NDArray[np.float64], took: Sequence[float]) -> str:
    """`beats`: [N, 4] as bench.loop.watched writes them; `took`: seconds of the pushes meanwhile.

    Time in which no core was free for the loop is left out: it is the machine's.
    """
    _, late, cpu, queued = beats.T * 1000
    late = np.maximum(late - queued, 0)
    p50, p99, most = np.percentile(late, (50, 99, 100))
    pushes = np.percentile(np.array(took) * 1000, (50, 99, 100))
    own = cpu[late.argmax()]
    cells = [f"{p50:.1f}", f"{p99:.1f}", f"{most:.0f}", f"{own:.0f}", f"{(late > 50).sum()} of {len(late):,}"]
    return f"| {' | '.join([name, *cells, *(f'{ms:.1f}' for ms in pushes)])} |"


def between(path: Path, began: float, ended: float) -> NDArray[np.float64]:
    """The beats of that time, monotonic seconds."""
    rows = np.fromfile(path).reshape(-1, 4)
    inside: NDArray[np.float64] = rows[(rows[:, 0] >= began) & (rows[:, 0] <= ended)]
    return inside
