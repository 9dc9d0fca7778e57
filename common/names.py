"""How nodes and groups may be named, for those who cannot load the wire format's models."""

from __future__ import annotations

import re

__all__ = ["MAX_GROUP", "MAX_TEXT", "NODE_PATTERN", "NODE_RULE", "is_node_name"]

MAX_TEXT = 256
"""Characters of a cache's name, a label, a kernel release, a boot_id."""
MAX_GROUP = 128
NODE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$"
NODE_RULE = "a node's name is a letter or digit, then at most 252 letters, digits and `._:-`"


def is_node_name(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(NODE_PATTERN, name) is not None
