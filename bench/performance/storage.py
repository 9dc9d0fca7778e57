"""What a stored snapshot takes on disk, tier by tier."""

from __future__ import annotations

import sqlite3

from bench.performance.fleets import Stock

__all__ = ["TIERS", "sizes"]

TIERS = {
    "exact, four counts": "SELECT sum(length(counts)) FROM sealed",
    "exact, times and memory": "SELECT sum(length(samples)) FROM sealed",
    "5-minute roll-ups": "SELECT sum(length(buckets)) FROM rollups WHERE width = 300",
    "hourly roll-ups": "SELECT sum(length(buckets)) FROM rollups WHERE width = 3600",
    "free pages": "SELECT p.page_size * f.freelist_count FROM pragma_page_size() p, pragma_freelist_count() f",
}


def sizes(stock: Stock) -> dict[str, float]:
    """Bytes per cache-sample of each tier, of what SQLite adds, and of the whole file."""
    db = sqlite3.connect(stock.path)
    try:
        found = {what: (db.execute(query).fetchone()[0] or 0) / stock.cells for what, query in TIERS.items()}
    finally:
        db.close()
    whole = stock.path.stat().st_size / stock.cells
    return {**found, "pages, indexes, the rest": whole - sum(found.values()), "the whole file": whole}
