"""What an operator may set on the aggregator, in one immutable object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from server.analysis.types import AnalysisSettings
from server.storage import Retention
from server.storage.base import MAX_NODES

__all__ = ["ServerSettings", "default_store"]

_SYSTEM = Path("/var/lib/slabhound")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Everything create_app needs to know. The defaults stand in docs/cli.md."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0: any free port."""
    store: str = "sqlite:///slabhound.db"
    store_password_file: Path | None = None
    """Its first line is the password for a clickhouse:// store."""
    token_file: Path | None = None
    """One token a line; blank lines and lines that begin with # are skipped."""
    retention: Retention = field(default_factory=Retention)
    max_nodes: int = MAX_NODES
    max_body: int = 16 * 2**20
    """Bytes of one request's body, as sent and once inflated."""
    max_pending: int = 64 * 2**20
    """Bytes of bodies being taken in at once; past it senders get 503 and come again."""
    body_seconds: float = 30.0
    """A body must have come in by then."""
    question_seconds: float = 300.0
    """An analysis is waited for so long; it goes on, but who asked is told to come again."""
    maintenance_seconds: float = 60.0
    log_level: str = "warning"
    access_log: bool = False
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)


def default_store(environ: Mapping[str, str], *, system: Path = _SYSTEM) -> str:
    """`/var/lib/slabhound` where it can be written (or made), else the user's data folder (XDG)."""
    nearest = next(folder for folder in (system, *system.parents) if folder.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        folder = system
    else:
        data = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", ".")) / ".local" / "share")
        folder = Path(data).absolute() / "slabhound"
    return f"sqlite:///{folder / 'slabhound.db'}"
