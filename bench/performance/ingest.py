"""Ingest: what `bench.bench_ingest` prints, which has a page's section to itself."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

__all__ = ["COMMAND", "ingest_output"]

COMMAND = [sys.executable, "-m", "bench.bench_ingest"]


def ingest_output(arguments: list[str]) -> str | None:
    """The benchmark's output, None where there is no such benchmark. Raises RuntimeError when it fails."""
    if importlib.util.find_spec("bench.bench_ingest") is None:
        return None
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"bench.bench_ingest ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout
