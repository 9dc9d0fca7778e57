"""The archive: snapshots exactly as they were sent, and their roll-ups, behind one protocol (server.storage.base)."""

from server.storage.open import open_store
from server.storage.retention import Retention

__all__ = ["Retention", "open_store"]
