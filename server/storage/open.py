"""Which storage engine a URL names."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from common.errors import ConfigError, StoreError
from server.storage.base import MAX_NODES, Store
from server.storage.retention import Retention

__all__ = ["init_store", "open_store", "sqlite_path"]


def open_store(
    url: str,
    *,
    retention: Retention | None = None,
    clock: Callable[[], float] = time.time,
    max_nodes: int = MAX_NODES,
    password_file: Path | None = None,
) -> Store:
    """Opens the store at `sqlite:///relative` or `sqlite:////absolute` (made where it is missing) or `clickhouse://...`.

    Without `retention`, a ClickHouse store that keeps its tiers for whatever time will do. Raises ConfigError for a URL
    that names none, StoreError when the store cannot be used.
    """
    if url.startswith("clickhouse://"):
        from server.storage.clickhouse import ClickHouseStore, Target  # noqa: PLC0415 - SQLite's users need none of it

        target = Target.parse(url, password_file=password_file)
        return ClickHouseStore(target, retention=retention, max_nodes=max_nodes)
    path = sqlite_path(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"store {path}: {error.strerror}: make the folder writable or name another") from error
    from server.storage.sqlite import SqliteStore  # noqa: PLC0415 - another engine's users need none of it

    return SqliteStore(path, retention=retention, clock=clock, max_nodes=max_nodes)


def sqlite_path(url: str) -> Path:
    """The file of a `sqlite:///` URL. Raises ConfigError for any other."""
    scheme, found, rest = url.partition("://")
    if scheme != "sqlite" or not found or not rest.startswith("/") or rest.endswith("/"):
        raise ConfigError(
            f"store {url}: write sqlite:///relative/path.db, sqlite:////absolute/path.db "
            "or clickhouse://USER@HOST:8123/DATABASE"
        )
    return Path(rest[1:])


def init_store(url: str, *, retention: Retention, password_file: Path | None = None) -> list[str]:
    """Makes the store's schema or brings it to this version; gives what was done, by name.

    Raises ConfigError, StoreError.
    """
    if url.startswith("clickhouse://"):
        from server.storage.clickhouse import Target, init  # noqa: PLC0415 - SQLite's users need none of it

        return init(Target.parse(url, password_file=password_file), retention)
    from server.storage.migrations import applied  # noqa: PLC0415 - ClickHouse's users need none of it

    before = applied(sqlite_path(url))
    open_store(url, retention=retention).close()  # which does all of it
    return [name for name in applied(sqlite_path(url)) if name not in before]
