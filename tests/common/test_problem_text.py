"""Problem documents, and whatever else a server or a proxy answers in their place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.problem_text import problem_text

SHORT = {"pointer": "/caches/name", "detail": "short"}


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ({"title": "Bad", "detail": "breaks\nthe format", "errors": [SHORT]}, "breaks the format; /caches/name: short"),
        ({"title": "Bad", "errors": [{**SHORT, "detail": "Bad"}]}, "Bad"),
        ({"detail": "/caches/name: short (and 1 more)", "errors": [SHORT]}, "/caches/name: short (and 1 more)"),
        ({"detail": "no", "errors": [SHORT] * 5}, "no" + "; /caches/name: short" * 3 + "; and 2 more"),
        ({"detail": "no", "errors": 3}, "no"),
        ({"detail": "no", "errors": {"a": 1}}, "no"),
        ({"detail": 7, "errors": [3, None]}, "7"),
        ({}, "Gone"),
        ([], "Gone"),
    ],
)
def test_it_is_one_line(problem: Any, said: str) -> None:
    assert problem_text(json.dumps(problem).encode(), "Gone") == said


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 60_000])
def test_what_is_none_is_told_by_its_status(body: bytes) -> None:
    assert problem_text(body, "Gone") == "Gone"
