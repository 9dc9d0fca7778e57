"""Which storage engine a URL names."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from common.errors import ConfigError, StoreError
from server.storage.base import Store
from server.storage.retention import Retention

__all__ = ["open_store", "sqlite_path"]


def open_store(
    url: str,
    *,
    retention: Retention | None = None,
    clock: Callable[[], float] = time.time,
    max_nodes: int = 200_000,
) -> Store:
    """Opens, and makes where it is missing, the store at `sqlite:///relative` or `sqlite:////absolute`.

    Raises ConfigError for a URL that names none, StoreError when the file cannot be used.
    """
    scheme, _, _ = url.partition("://")
    if scheme == "clickhouse":
        raise ConfigError("store: clickhouse:// is not in this version yet: use sqlite:////absolute/path.db")
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
        raise ConfigError(f"store {url}: write sqlite:///relative/path.db or sqlite:////absolute/path.db")
    return Path(rest[1:])
