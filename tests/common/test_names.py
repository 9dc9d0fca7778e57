"""Which names a node may have."""

from __future__ import annotations

import pytest

from common.names import is_node_name


@pytest.mark.parametrize("name", ["lvs1", "0", "a.b-c_d:1", "x" * 253])
def test_names_of_nodes(name: str) -> None:
    assert is_node_name(name)


@pytest.mark.parametrize("name", ["", "-a", ".", "a/b", "a b", "é", "a\n", "x" * 254, None, 5])
def test_no_names_of_nodes(name: object) -> None:
    assert not is_node_name(name)
