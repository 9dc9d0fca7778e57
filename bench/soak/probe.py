"""Asks /healthz 20 times a second, from a process of its own: how long the event loop keeps one waiting.

`python -m bench.soak.probe ADDRESS` prints the seconds of each answer, a line each, until its standard input ends.
"""

from __future__ import annotations

import http.client
import select
import sys
import time

from bench.performance.asking import Client

_EVERY = 0.05


def main() -> None:
    address = sys.argv[1]
    client = Client(address, timeout=30)
    while not select.select([sys.stdin], [], [], _EVERY)[0]:
        began = time.monotonic()
        try:
            client.send("GET", "/healthz")
        except (OSError, http.client.HTTPException):
            client.close()
            client = Client(address, timeout=30)
            continue
        print(f"{time.monotonic() - began:.6f}", flush=False)


if __name__ == "__main__":
    main()
