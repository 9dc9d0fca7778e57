"""Where a ClickHouse is: `clickhouse://USER[:PASSWORD]@HOST[:8123]/DATABASE[?secure=1&cluster=NAME&replicated=1]`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from common.errors import ConfigError

__all__ = ["Target"]

_FORM = "write clickhouse://USER@HOST:8123/DATABASE"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Target:
    """One server, which may be a door to a cluster."""

    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)
    secure: bool = False
    """HTTPS."""
    cluster: str | None = None
    """The cluster's name in the servers' `remote_servers`: tables are sharded by node over it."""
    replicated: bool = False
    """ReplicatedMergeTree, with the servers' macros {shard} and {replica}."""

    @classmethod
    def parse(cls, url: str, *, password_file: Path | None = None) -> Target:
        """The password is the file's first line where one is given, else the URL's. Raises ConfigError."""
        shown = re.sub(r"(//[^/@]*?):[^/@]*@", r"\1:***@", url)
        parts = urlsplit(url)
        database = unquote(parts.path.removeprefix("/"))
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        try:
            secure = options.pop("secure", "0") not in {"0", "", "false"}
            port = parts.port or (8443 if secure else 8123)
        except ValueError:
            raise ConfigError(f"store {shown}: the port is no number: {_FORM}") from None
        if not parts.hostname or not _NAME.fullmatch(database):
            raise ConfigError(f"store {shown}: {_FORM} (letters, digits and _ in the database's name)")
        cluster = options.pop("cluster", "") or None
        replicated = options.pop("replicated", "0") not in {"0", "", "false"}
        if options or (cluster and not re.fullmatch(r"[A-Za-z0-9_.-]+", cluster)):
            raise ConfigError(f"store {shown}: after ? may stand secure=1, cluster=NAME and replicated=1")
        user, password = unquote(parts.username or "default"), unquote(parts.password or "")
        target = cls(parts.hostname, port, user, database, password, secure, cluster, replicated)
        return target if password_file is None else replace(target, password=_read(password_file))

    def __str__(self) -> str:
        """Without the password."""
        return f"clickhouse://{self.user}@{self.host}:{self.port}/{self.database}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"store password file {path}: {reason}: see --store-password-file") from None
