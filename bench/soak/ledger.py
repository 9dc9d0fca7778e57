"""What the agents sent and what the server acknowledged, to be held against what it has in the end."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict

__all__ = ["Ledger"]


class Ledger:
    """Instants in milliseconds by node; several threads write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent: defaultdict[str, set[int]] = defaultdict(set)
        self.acknowledged: defaultdict[str, set[int]] = defaultdict(set)
        self.counts: Counter[str] = Counter()
        self.unexpected: list[str] = []
        """Answers that should not have been, one line each; the first hundred."""

    def sending(self, node: str, instants: list[float]) -> None:
        with self._lock:
            self.sent[node].update(round(at * 1000) for at in instants)

    def took(self, node: str, instants: list[float]) -> None:
        """The server has answered 201."""
        with self._lock:
            self.acknowledged[node].update(round(at * 1000) for at in instants)
            self.counts["acknowledged"] += len(instants)

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def wrong(self, what: str) -> None:
        """Something that no server may do."""
        with self._lock:
            self.counts["unexpected answers"] += 1
            if len(self.unexpected) < 100:
                self.unexpected.append(what)
