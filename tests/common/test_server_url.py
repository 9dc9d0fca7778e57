"""What is taken as an aggregator's address."""

from __future__ import annotations

import pytest

from common.server_url import server_url


@pytest.mark.parametrize(
    "text", ["http://h", "https://h.example:8443", "http://[::1]:8080/", "http://h/slabs/", "http://192.0.2.7:8080/"]
)
def test_servers(text: str) -> None:
    assert server_url(text) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h:8080",
        "ftp://h",
        "http://",
        "http://a b",
        "http://u:p@h",
        "http://h/?a=1",
        "http://[::1",
        "http://h:port",
        "http://h:0",
        "http://h:99999",
    ],
)
def test_no_servers(text: str) -> None:
    with pytest.raises(ValueError, match="is no server: write http://HOST:8080"):
        server_url(text)
