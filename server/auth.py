"""Who may come in: bearer tokens from a file that is read again when it changes."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path

from common.errors import ConfigError
from server.problems import Problem

__all__ = ["Tokens"]

_log = logging.getLogger("slabhound.auth")


class Tokens:
    """The tokens of one file. Without a file everybody may come in."""

    def __init__(self, path: Path | None) -> None:
        """Raises ConfigError when the file cannot be read or holds no token."""
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._tokens: tuple[bytes, ...] = ()
        if path is not None:
            try:
                self._stamp = _stamp(path)
                self._tokens = _read(path)
            except OSError as error:
                raise ConfigError(f"{path}: cannot read the tokens: {error.strerror}") from None
            if not self._tokens:
                raise ConfigError(f"{path}: holds no token: write one a line")

    @property
    def required(self) -> bool:
        return self._path is not None

    def check(self, authorization: str | None) -> None:
        """Raises Problem: 401 without a bearer token, 403 with one that is not in the file."""
        if self._path is None:
            return
        self._refresh(self._path)
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Problem(
                "unauthenticated",
                "send the header Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": 'Bearer realm="slabhound"'},
            )
        given = token.strip().encode("utf-8", "surrogateescape")
        # All are compared, so that the time taken tells nothing of which one is near.
        if sum(hmac.compare_digest(given, known) for known in self._tokens) == 0:
            raise Problem("forbidden", "this token is not known here: ask for one of the server's --token-file")

    def _refresh(self, path: Path) -> None:
        """Reads the file again when it changed. One that cannot be read leaves the tokens as they were."""
        try:
            stamp = _stamp(path)
            if stamp == self._stamp:
                return
            tokens = _read(path)
        except OSError as error:
            if self._stamp is not None:
                _log.error("%s: cannot read the tokens again (%s): the old ones stay", path, error.strerror)
                self._stamp = None
            return
        self._stamp, self._tokens = stamp, tokens
        _log.warning("%s: read again, %d tokens", path, len(tokens))


def _stamp(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read(path: Path) -> tuple[bytes, ...]:
    lines = (line.strip() for line in path.read_bytes().splitlines())
    return tuple(line for line in lines if line and not line.startswith(b"#"))
