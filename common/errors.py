"""Every error Slabhound raises on purpose; each message is one line that says what is wrong, where, and what to do.

SlabhoundError
├── ConfigError          an option, environment variable or configuration file
├── InputError           a file, folder or archive somebody named
│   └── SlabinfoError    a dump that cannot be read with certainty
├── ReadError            the kernel's own files
│   ├── DeniedError      they exist and may not be read
│   ├── MissingError     they do not exist
│   └── EmptyError       they exist and say nothing
├── ServerError          the aggregator, as a client sees it
├── SnapshotError        a snapshot that breaks the wire format
│   ├── MalformedError   it is not even JSON
│   └── UnknownLayoutError  it refers to a layout that was never seen in full
└── StoreError           the storage engine
    ├── StoreFullError   it can take nothing more for now
    ├── StoreDamagedError   its file is not what it was
    └── TooManyNodesError   it takes no further node
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DeniedError",
    "EmptyError",
    "InputError",
    "MalformedError",
    "MissingError",
    "ReadError",
    "ServerError",
    "SlabhoundError",
    "SlabinfoError",
    "SnapshotError",
    "StoreDamagedError",
    "StoreError",
    "StoreFullError",
    "TooManyNodesError",
    "UnknownLayoutError",
]


class SlabhoundError(Exception):
    """Base of all errors here; `str()` is what a user sees, on one line."""


class ConfigError(SlabhoundError):
    """An option, environment variable or configuration file is wrong."""


class InputError(SlabhoundError):
    """A file, folder or archive somebody named cannot be used."""


class SlabinfoError(InputError):
    """A line of a dump cannot be read with certainty.

    `line` counts from 1; `field` is the column's name, `expected` and `found` are shown as they stand.
    """

    def __init__(self, line: int, field: str, expected: str, found: str) -> None:
        self.line = line
        self.field = field
        self.expected = expected
        self.found = found
        super().__init__(line, field, expected, found)

    def __str__(self) -> str:
        found = self.found if len(self.found) <= 60 else self.found[:57] + "..."
        return f"line {self.line}: {self.field}: expected {self.expected}, found {found!r}"


class ReadError(SlabhoundError):
    """One of the kernel's own files gives nothing."""


class DeniedError(ReadError):
    """The file exists and may not be read."""


class MissingError(ReadError):
    """The file does not exist."""


class EmptyError(ReadError):
    """The file exists and says nothing."""


class ServerError(SlabhoundError):
    """The aggregator cannot be reached, or refuses."""


class SnapshotError(SlabhoundError):
    """A snapshot breaks the wire format. `errors` lists (JSON pointer, what is wrong) pairs."""

    def __init__(self, message: str, errors: tuple[tuple[str, str], ...] = ()) -> None:
        self.errors = errors
        super().__init__(message)


class MalformedError(SnapshotError):
    """What should be snapshots is not even JSON."""


class UnknownLayoutError(SnapshotError):
    """Snapshots refer to layouts (hashes, see common.snapshot.layout_hash) that were never seen in full."""

    def __init__(self, layouts: tuple[str, ...]) -> None:
        self.layouts = layouts
        super().__init__(f"unknown layout {', '.join(layouts)}: send these snapshots with caches in full")


class StoreError(SlabhoundError):
    """The storage engine cannot do what was asked."""


class StoreFullError(StoreError):
    """The store can take nothing more for now (disk full, read-only): senders keep what they have and come again."""


class StoreDamagedError(StoreError):
    """The store's file is not whole: no try is to mend it, its line says all, and a backup may be needed."""


class TooManyNodesError(StoreError):
    """The store takes the nodes it has and no further one: senders keep what they have until the bound is raised."""
