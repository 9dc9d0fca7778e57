"""What must be true at the end of a soak."""

from __future__ import annotations

import json
import random
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from bench.performance.asking import Client
from bench.performance.pushes import Template
from bench.soak.ledger import Ledger
from common.times import parse_time

__all__ = ["Check", "errors_in", "flat", "stored_instants", "unlike"]

_ERROR = re.compile(r" (ERROR|CRITICAL) |Traceback")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    what: str
    held: bool
    figures: str


def flat(samples: Sequence[int]) -> Check:
    """Whether memory (KiB, one sample a second) grew: the last sixth against what came after the first quarter.

    Up to 15 % and 20 MiB more is none. Not judged below four minutes: until every question was asked a few times, what
    is kept for them still grows.
    """
    if len(samples) < 240:
        most = max(samples, default=0) / 1024
        return Check("memory is flat", True, f"not judged: {len(samples)} s are too short, most {most:.1f} MB")
    early = statistics.median(samples[len(samples) // 4 : len(samples) // 4 + len(samples) // 6])
    late = statistics.median(samples[-(len(samples) // 6) :])
    bound = early * 1.15 + 20 * 1024
    figures = f"{early / 1024:.1f} MB early, {late / 1024:.1f} MB late, bound {bound / 1024:.1f} MB"
    return Check("memory is flat", late <= bound, f"{figures}, most {max(samples) / 1024:.1f} MB")


def errors_in(log: str) -> list[str]:
    """Lines of a server's log that tell of an error."""
    return [line for line in log.splitlines() if _ERROR.search(line)]


def stored_instants(client: Client, node: str) -> set[int]:
    """Milliseconds of all snapshots that the server has of a node."""
    found: set[int] = set()
    cursor = ""
    while True:
        path = f"/api/v1/nodes/{node}/snapshots?limit=1000"
        page = json.loads(client.get(path + (f"&cursor={quote(cursor)}" if cursor else "")))
        found.update(round(parse_time(item["taken_at"]) * 1000) for item in page["items"])
        cursor = page["next"]
        if not cursor:
            return found


def unlike(client: Client, ledger: Ledger, templates: Mapping[str, Template], count: int) -> int:
    """How many of some acknowledged snapshots are not given back as they were sent."""
    rng, wrong = random.Random(1), 0
    for _ in range(count):
        node = rng.choice(sorted(ledger.acknowledged))
        instant = rng.choice(sorted(ledger.acknowledged[node]))
        found = json.loads(client.get(f"/api/v1/nodes/{node}/snapshots/{instant / 1000:.3f}"))
        sent = templates[node].snapshot.caches
        same = found["caches"]["name"] == sent.name and found["caches"]["num_objs"] == sent.num_objs
        wrong += not (same and round(parse_time(found["taken_at"]) * 1000) == instant)
    return wrong
