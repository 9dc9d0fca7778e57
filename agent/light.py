"""Keeps the agent small: httpx without OpenSSL when no TLS is spoken.

Merely importing `ssl` and `_hashlib` maps libssl and libcrypto: 5 MB of the agent's memory that a plain-http URL has no
use for (figures in docs/decisions/agent-transport.md). Both imports are optional in the standard library.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import cast

__all__ = ["load_httpx", "without_openssl"]

_OPENSSL = ("ssl", "_ssl", "_hashlib")


@contextmanager
def without_openssl(modules: MutableMapping[str, ModuleType | None]) -> Iterator[None]:
    """Imports inside see no OpenSSL (None in sys.modules makes an import fail); what was loaded before stays."""
    hidden = [name for name in _OPENSSL if name not in modules]
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]


def load_httpx(*, tls: bool) -> None:
    """Imports httpx; without OpenSSL unless `tls`, or unless this Python cannot do so (FIPS builds lack own hashes)."""
    modules = cast("MutableMapping[str, ModuleType | None]", sys.modules)
    if not tls and "httpx" not in modules:
        with suppress(ImportError), without_openssl(modules):
            import httpx  # noqa: PLC0415 - http.client comes with it, and only the place of loading matters
    import httpx  # noqa: F401, PLC0415 - as above, only when used
