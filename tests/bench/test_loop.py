"""The event loop's lateness: what a row says, and that a heartbeat beats."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np

from bench.loop.lateness import HEAD, between, row
from bench.loop.watched import beat


def test_a_row_leaves_out_what_the_machine_kept_the_loop_waiting(tmp_path: Path) -> None:
    beats = np.zeros((101, 4))
    beats[:, 0] = np.arange(101)
    beats[7] = 7, 0.100, 0.060, 0.020  # 100 ms late, 60 of them its own work, 20 without a core
    beats[8] = 8, 0.090, 0.001, 0.089
    beats.tofile(tmp_path / "beats")
    found = between(tmp_path / "beats", 0, 99)
    assert len(found) == 100
    text = row("pushes", found, [0.001, 0.002, 0.003])
    assert text.startswith("| pushes | 0.0 | ")
    assert " | 80 | 60 | 1 of 100 | 2.0 | 3.0 | 3.0 |" in text
    assert text.count("|") == HEAD.partition("\n")[0].count("|")


def test_every_beat_is_written() -> None:
    async def main() -> bytes:
        into = io.BytesIO()
        beating = asyncio.create_task(beat(into))
        while not into.getvalue():  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.01)
        beating.cancel()
        return into.getvalue()

    rows = np.frombuffer(asyncio.run(main())).reshape(-1, 4)
    assert len(rows) == 100
    assert np.all(np.diff(rows[:, 0]) > 0)
    assert np.all(rows[:, 2:] >= 0)
