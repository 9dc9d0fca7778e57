"""Sizes as people write them in options."""

from __future__ import annotations

import pytest

from common.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("512k", 512 << 10), ("2kb", 2 << 10), ("1MiB", 1 << 20), (" 64M ", 64 << 20), ("1G", 1 << 30)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "M", "-1M", "1T", "1.5M", "1 M", "16MBi", "1ib5"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="is no size: write bytes, or 512k"):
        parse_size(text)
