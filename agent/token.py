"""The bearer token from a file, read again when the file changes, so that tokens rotate without a restart."""

from __future__ import annotations

import os
import re
from pathlib import Path

from common.errors import ConfigError

__all__ = ["TokenFile"]

_USABLE = re.compile(r"[\x21-\x7e]+")


class TokenFile:
    """The token in `path`."""

    def __init__(self, path: str) -> None:
        """Raises ConfigError when the file cannot be read or holds no token."""
        self._path = Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._value = self._read()

    def value(self) -> str:
        """The token as the file now has it; the last good one while the file is away or being written."""
        try:
            status = self._path.stat()
            if (status.st_ino, status.st_mtime_ns, status.st_size) != self._seen:
                self._value = self._read()
        except (OSError, ConfigError):
            pass
        return self._value

    def _read(self) -> str:
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                status = os.fstat(file.fileno())
                text = file.read(10_000).strip()
        except OSError as error:
            raise ConfigError(f"--token-file {self._path}: cannot be read: {error.strerror}") from None
        if not _USABLE.fullmatch(text):
            raise ConfigError(f"--token-file {self._path}: holds no token (one line of printable ASCII without blanks)")
        self._seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        return text
