"""What a problem document (RFC 9457) says, on one line, whoever sent it: it need not be one."""

from __future__ import annotations

import json

__all__ = ["problem_text"]

_MOST = 3
"""Errors that are named; the rest is counted."""


def problem_text(body: bytes, phrase: str) -> str:
    """Its sentence and the errors that this does not name; `phrase`, the status's own, for any other body."""
    try:
        problem = json.loads(body)
        text = str(problem.get("detail") or problem.get("title") or phrase)
        errors = problem.get("errors")
    except (ValueError, AttributeError, RecursionError):
        text, errors = phrase, None
    listed = [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []
    told = [
        f"{e.get('pointer', '')}: {e.get('detail', '')}"
        for e in listed[:_MOST]
        if str(e.get("detail")) not in text  # most often the sentence names the first
    ]
    more = [f"and {len(listed) - _MOST} more"] if len(listed) > _MOST else []
    return " ".join("; ".join([text, *told, *more]).split())
