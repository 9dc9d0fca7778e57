"""The archive: snapshots exactly as they were sent, and their roll-ups, behind one protocol (server.storage.base)."""

from server.storage.open import init_store, open_store
from server.storage.retention import Retention

__all__ = ["Retention", "init_store", "open_store"]
