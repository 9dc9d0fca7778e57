"""The schema of the SQLite store: named migrations, append-only, each in a transaction with its own record."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from common.errors import StoreError
from server.storage.connections import connect

__all__ = ["APPLICATION_ID", "MIGRATIONS", "applied", "check", "migrate"]

APPLICATION_ID = 0x536C6162
"""`Slab`, in the file's header: what tells a store from any other SQLite file."""

_FIRST = (
    """CREATE TABLE nodes (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        boot TEXT NOT NULL, taken INTEGER NOT NULL, first INTEGER NOT NULL, seen INTEGER NOT NULL,
        uptime REAL, offset REAL, allocated INTEGER NOT NULL, active INTEGER NOT NULL, read_seconds REAL,
        memory_total INTEGER, memory_available INTEGER, usual_gap REAL, facts TEXT NOT NULL
    )""",
    "CREATE TABLE boots (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, label TEXT NOT NULL, UNIQUE (node, label))",
    "CREATE TABLE layouts (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, width INTEGER NOT NULL, columns BLOB)",
    # Snapshots whose hour is not sealed yet, one row each; times in milliseconds.
    """CREATE TABLE recent (
        id INTEGER PRIMARY KEY, node INTEGER NOT NULL, taken INTEGER NOT NULL, boot INTEGER NOT NULL,
        layout INTEGER NOT NULL, received INTEGER NOT NULL, offset REAL, uptime REAL, read_seconds REAL,
        total INTEGER, available INTEGER, slab_reclaimable INTEGER, slab_unreclaimable INTEGER,
        facts TEXT NOT NULL, counts BLOB NOT NULL
    )""",
    "CREATE INDEX recent_time ON recent (node, taken, boot, received)",
    # An hour of one node, boot and layout: every snapshot, exactly. `start` is that hour, in hours of the node's clock.
    """CREATE TABLE sealed (
        id INTEGER PRIMARY KEY, node INTEGER NOT NULL, start INTEGER NOT NULL, boot INTEGER NOT NULL,
        layout INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, received INTEGER NOT NULL,
        snapshots INTEGER NOT NULL, samples BLOB NOT NULL, counts BLOB NOT NULL
    )""",
    "CREATE UNIQUE INDEX sealed_hour ON sealed (node, start, boot, layout)",
    "CREATE INDEX sealed_age ON sealed (received)",
    # Buckets of `width` seconds; `start` counts spans (server.storage.rollups.SPANS).
    """CREATE TABLE rollups (
        id INTEGER PRIMARY KEY, node INTEGER NOT NULL, width INTEGER NOT NULL, start INTEGER NOT NULL,
        boot INTEGER NOT NULL, layout INTEGER NOT NULL, received INTEGER NOT NULL, buckets BLOB NOT NULL
    )""",
    "CREATE UNIQUE INDEX rollups_span ON rollups (node, width, start, boot, layout)",
    "CREATE INDEX rollups_age ON rollups (width, received)",
    # Up to which instant of the nodes' clocks something was forgotten, by tier (0 is snapshots); and running totals.
    "CREATE TABLE forgotten (tier INTEGER PRIMARY KEY, until INTEGER NOT NULL)",
    "CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    "INSERT INTO totals VALUES ('sealed', 0)",
)

Migrations = Sequence[tuple[str, Sequence[str]]]

MIGRATIONS: Migrations = (
    ("2026-11-first", _FIRST),
    # Chunks and roll-ups written from now on are packed by server.storage.grids; tells older versions to keep off.
    ("2026-11-grids", ()),
    # Roll-ups written from now on keep the least counts alone; likewise.
    ("2026-11-least", ()),
    # By node, too: one clock that runs ahead would have all the others' future count as forgotten. A node has nothing
    # past its newest snapshot's day, and a day is whole rows of each tier.
    (
        "2026-11-node-forgotten",
        (
            """CREATE TABLE node_forgotten (
                node INTEGER NOT NULL, tier INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (node, tier)
            ) WITHOUT ROWID""",
            """INSERT INTO node_forgotten SELECT id, tier, min(until, (taken / 86400000 + 1) * 86400000)
            FROM nodes, forgotten WHERE first < until""",
            "DROP TABLE forgotten",
            "ALTER TABLE node_forgotten RENAME TO forgotten",
        ),
    ),
    # A node's row tells its latest snapshot; what a clock that ran ahead sent may have been taken past it.
    (
        "2026-11-reach",
        ("ALTER TABLE nodes ADD COLUMN reach INTEGER NOT NULL DEFAULT 0", "UPDATE nodes SET reach = taken"),
    ),
)
"""(name, statements), oldest first. Never change one that was released: append another."""


def check(db: sqlite3.Connection, path: Path, migrations: Migrations = MIGRATIONS) -> None:
    """Changes nothing. Raises StoreError when the file at `path` is no store, or a newer version's."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if tables and application != APPLICATION_ID:
        raise StoreError(f"{path} is another program's SQLite file: name a file of its own for the store")
    if "migrations" not in tables:
        return
    unknown = {name for (name,) in db.execute("SELECT name FROM migrations")} - {name for name, _ in migrations}
    if unknown:
        raise StoreError(f"{path} was written by a newer slabhound ({max(unknown)}): upgrade this one")


def applied(path: Path) -> list[str]:
    """The migrations of the store at `path`, oldest first; none where there is no store yet."""
    if not path.exists():
        return []
    db = connect(path, readonly=True)
    try:
        return [name for (name,) in db.execute("SELECT name FROM migrations ORDER BY applied_at, rowid")]
    except sqlite3.Error:  # opening it says what is wrong
        return []
    finally:
        db.close()


def migrate(db: sqlite3.Connection, now: float, migrations: Migrations = MIGRATIONS) -> None:
    """Brings a store to this version's schema."""
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at REAL NOT NULL)")
    applied = {name for (name,) in db.execute("SELECT name FROM migrations")}
    for name, statements in migrations:
        if name in applied:
            continue
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                db.execute(statement)
            db.execute("INSERT INTO migrations VALUES (?, ?)", (name, now))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
