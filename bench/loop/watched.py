"""`slabhound server` with a heartbeat in its event loop: `python -m bench.loop.watched server ...`.

Every beat goes to the file that BEATS names, as four float64s: when (monotonic seconds); seconds late; seconds of CPU
the loop's thread used since the beat before; seconds it waited for a core. A beat that is late with little CPU used and
no wait for a core waited for the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from array import array
from pathlib import Path
from typing import BinaryIO

from common import cli
from server import cli as server_cli

__all__ = ["EVERY", "beat"]

EVERY = 0.005
"""Seconds between two beats."""
_WRITTEN_AT = 400
"""Numbers: half a second of them."""


async def beat(into: BinaryIO) -> None:
    """Beats for as long as the loop runs."""
    rows = array("d")
    while True:
        before, used, queued = time.monotonic(), time.thread_time(), _queued()
        await asyncio.sleep(EVERY)
        now = time.monotonic()
        rows.extend((now, now - before - EVERY, time.thread_time() - used, _queued() - queued))
        if len(rows) >= _WRITTEN_AT:
            into.write(rows.tobytes())
            del rows[:]


_SCHEDSTAT = Path("/proc/thread-self/schedstat")
_IS_KEPT = _SCHEDSTAT.exists()


def _queued() -> float:
    """Seconds that this thread could have run while no core was free; 0 where the kernel does not say."""
    return int(_SCHEDSTAT.read_bytes().split()[1]) / 1e9 if _IS_KEPT else 0.0


class _Watched(server_cli._Server):  # noqa: SLF001 - it alone has the loop at hand when the server is up
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._beats = Path(os.environ["BEATS"]).open("ab", buffering=0)  # noqa: ASYNC230, SIM115 - once, until the end
        self._beat = asyncio.create_task(beat(self._beats))


if __name__ == "__main__":
    server_cli._Server = _Watched  # type: ignore[misc] # see there  # noqa: SLF001 - as above
    sys.exit(cli.main())
