"""The schema: shipped as SQL, made and brought up to date by `--init`, checked whenever a store is opened."""

from __future__ import annotations

import re
import time
from importlib.resources import files

from common.errors import StoreError
from common.times import format_duration
from server.storage.clickhouse.client import Client
from server.storage.clickhouse.native import quote
from server.storage.clickhouse.target import Target
from server.storage.retention import Retention

__all__ = ["MIGRATIONS", "check", "disk_query", "init", "statements"]

MIGRATIONS = ("first",)
"""Names of the .sql files beside this one, oldest first. Never change one that was released: append another."""
_TABLES = ("snapshots", "rollup_300", "rollup_3600", "nodes", "layouts", "forgotten")
_BY_HASH = {"layouts": "hash", "forgotten": "tier"}
_MARGIN = 86400
"""Seconds that data stays on disk after readers stop seeing it."""
_KEPT = "retention"


def _engine(target: Target, kind: str, table: str, version: str | None) -> str:
    if not target.replicated:
        return f"{kind}MergeTree({version or ''})"
    path = f"'/clickhouse/tables/{{shard}}/{target.database}/{table}', '{{replica}}'"
    return f"Replicated{kind}MergeTree({path}{f', {version}' if version else ''})"


def statements(name: str, target: Target) -> list[str]:
    """The statements of one migration, for that server."""
    text = files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    text = re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\{(Replacing|Aggregating):(\w+)(?::(\w+))?\}", lambda m: _engine(target, m[1], m[2], m[3]), text)
    disk = ", non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1"
    text = text.replace("{disk}", "" if target.replicated else disk)
    text = text.replace("{local}", "_local" if target.cluster else "")
    return [statement for part in re.split(r";\s*\n", text + "\n") if (statement := part.strip())]


def _distributed(target: Target) -> list[str]:
    """The tables that stand for all shards' tables; every row of a node lies on one shard."""
    return [
        f"CREATE TABLE IF NOT EXISTS {table} AS {table}_local "
        f"ENGINE = Distributed({quote(target.cluster or '')}, currentDatabase(), {table}_local, "
        f"cityHash64({_BY_HASH.get(table, 'node')}))"
        for table in _TABLES
    ]


def init(target: Target, retention: Retention, *, forget: bool = True) -> list[str]:
    """Makes the database and its tables, or brings them to this version; gives the names of what was done.

    On a cluster it does so on the one server named: to be run once for each. `forget` False leaves old data on disk.
    Raises StoreError, ConfigError.
    """
    door = Client(target, use_database=False)
    try:
        door.command(f"CREATE DATABASE IF NOT EXISTS {target.database}")
    finally:
        door.close()
    client = Client(target)
    try:
        client.command(
            "CREATE TABLE IF NOT EXISTS migrations (name String, applied_at Float64, detail String) "
            "ENGINE = MergeTree ORDER BY (name, applied_at)"
        )
        applied = _applied(client)
        _refuse_newer(target, applied)
        done = []
        for name in MIGRATIONS:
            if name not in applied:
                for statement in statements(name, target):
                    client.command(statement)
                _note(client, name, "")
                done.append(name)
        if target.cluster:
            for statement in _distributed(target):
                client.command(statement)
        if applied.get(_KEPT) != _detail(retention):
            if forget:
                _set_ttl(client, target, retention)
            _note(client, _KEPT, _detail(retention))
            done.append(_KEPT)
        return done
    finally:
        client.close()


def disk_query(target: Target) -> str:
    """What all servers hold on disk, as n."""
    parts = f"clusterAllReplicas({quote(target.cluster)}, system.parts)" if target.cluster else "system.parts"
    database = quote(target.database)
    return f"SELECT sum(bytes_on_disk) AS n FROM {parts} WHERE database = {database}"  # noqa: S608 - quote() above


def _note(client: Client, name: str, detail: str) -> None:
    row = f"({quote(name)}, {time.time()}, {quote(detail)})"
    client.command(f"INSERT INTO migrations VALUES {row}")  # noqa: S608 - every text in the row went through quote()


def _detail(retention: Retention) -> str:
    return " ".join(format_duration(s) for s in (retention.snapshots, retention.five_minutes, retention.hourly))


def _set_ttl(client: Client, target: Target, retention: Retention) -> None:
    local = "_local" if target.cluster else ""
    for table, column, seconds in (
        ("snapshots", "received", retention.snapshots),
        ("rollup_300", "received", retention.five_minutes),
        ("rollup_3600", "received", retention.hourly),
        ("nodes", "seen", retention.hourly),
        ("layouts", "seen", retention.hourly + _MARGIN),
    ):
        age = f"toDateTime(intDiv({column}, 1000), 'UTC') + INTERVAL {round(seconds) + _MARGIN} SECOND"
        client.command(f"ALTER TABLE {table}{local} MODIFY TTL {age}")


def _applied(client: Client) -> dict[str, str]:
    found = client.ask("SELECT name, argMax(detail, applied_at) AS detail FROM migrations GROUP BY name")
    return dict(zip(found.get("name", ()), found.get("detail", ()), strict=True))


def _refuse_newer(target: Target, applied: dict[str, str]) -> None:
    if unknown := applied.keys() - {*MIGRATIONS, _KEPT}:
        raise StoreError(f"store {target} was written by a newer slabhound ({max(unknown)}): upgrade this one")


def check(client: Client, retention: Retention | None) -> None:
    """Raises StoreError unless the schema is this version's and keeps what `retention` promises, where it is given."""
    target = client.target
    found = client.ask(
        "SELECT count() AS n FROM system.tables WHERE database = currentDatabase() AND name = 'migrations'"
    )
    applied = _applied(client) if found["n"][0] else {}
    _refuse_newer(target, applied)
    if missing := [name for name in (*MIGRATIONS, _KEPT) if name not in applied]:
        raise StoreError(
            f"store {target} lacks the schema ({missing[0]}): run slabhound server --store URL --init on each server"
        )
    if retention is not None and applied[_KEPT] != _detail(retention):
        raise StoreError(
            f"store {target} keeps its tiers for {applied[_KEPT]}, not {_detail(retention)}: "
            "give the same --retention-raw, -5m and -1h, or run --init once with the new ones"
        )
