"""httpx without OpenSSL: what is hidden while it is loaded is found again afterwards."""

from __future__ import annotations

from types import ModuleType

from agent.light import without_openssl


def test_only_what_was_not_loaded_is_hidden_and_only_for_so_long() -> None:
    loaded = ModuleType("ssl")
    modules: dict[str, ModuleType | None] = {"ssl": loaded}
    with without_openssl(modules):
        assert modules == {"ssl": loaded, "_ssl": None, "_hashlib": None}
    assert modules == {"ssl": loaded}
