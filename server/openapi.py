"""The interface described: FastAPI's OpenAPI document completed, and a page of it that needs no network."""

from __future__ import annotations

from html import escape
from typing import Any

from pydantic.json_schema import models_json_schema

from common.wire import WireSnapshot
from server.problems import ProblemDocument

__all__ = ["complete", "docs_page"]

_REF = "#/components/schemas/{model}"
_OPEN = ("/healthz", "/readyz", "/openapi.json", "/docs")

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, h2 { font-family: ui-monospace, monospace }
h2 { font-size: 1rem; margin-top: 2rem; border-top: 1px solid #ccc; padding-top: 1rem }
td, th { text-align: left; vertical-align: top; padding: 0 1rem .2rem 0 }
"""


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Adds what FastAPI cannot know: bodies read by hand, problem documents, tokens."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    wanted = [(WireSnapshot, "validation"), (ProblemDocument, "serialization")]
    _, found = models_json_schema(wanted, ref_template=_REF)  # type: ignore[arg-type]  # literals in a list
    for name, schema in found["$defs"].items():
        schemas.setdefault(name, schema)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    document["components"]["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "Only where the server was started with --token-file.",
        }
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path not in _OPEN:
                operation["security"] = [{}, {"token": []}]
    return document


def docs_page(document: dict[str, Any]) -> str:
    """Every operation with its parameters and answers, as plain HTML."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Slabhound HTTP interface</title>",
        "<meta name=viewport content='width=device-width'>",
        f"<style>{_STYLE}</style>",
        f"<h1>Slabhound {escape(document['info']['version'])}: HTTP interface</h1>",
        "<p>The same for programs: <a href=openapi.json>openapi.json</a>.</p>",
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts += _operation(method.upper(), path, operation)
    return "\n".join(parts) + "\n</html>\n"


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    parts = [f"<h2>{method} {escape(path)}</h2>", f"<p>{escape(operation.get('description', ''))}</p>"]
    rows = [
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}<td>{escape(p.get('description', ''))}"
        for p in operation.get("parameters", [])
    ]
    rows += [
        f"<tr><td><code>{status}</code><td>answer<td>{escape(answer['description'])}"
        for status, answer in sorted(operation["responses"].items())
    ]
    return [*parts, "<table>", *rows, "</table>"]
