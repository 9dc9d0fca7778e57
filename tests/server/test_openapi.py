"""The interface described: every operation, every field with its unit, every problem."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from server.app import create_app
from server.settings import ServerSettings
from tests.server.fakes import MemoryStore
from tests.server.harness import NOW, Aggregator, run, wire

DOCUMENT: dict[str, Any] = create_app(ServerSettings(), store=MemoryStore()).openapi()
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
UNITS = ("bytes", "Bytes", "seconds", "Seconds", "count", "number", "Number", "an hour", "deviations", "0 to 1", "rank")


def test_every_call_of_the_contract_is_there() -> None:
    assert sorted(name for name, _ in OPERATIONS) == [
        "GET /api/v1/caches",
        "GET /api/v1/compare",
        "GET /api/v1/nodes",
        "GET /api/v1/nodes/{node}/diff",
        "GET /api/v1/nodes/{node}/snapshots",
        "GET /api/v1/nodes/{node}/snapshots/{at}",
        "GET /api/v1/outliers",
        "GET /healthz",
        "GET /metrics",
        "GET /readyz",
        "POST /api/v1/nodes/{node}/slabinfo",
        "POST /api/v1/snapshots",
    ]


def properties() -> Iterator[tuple[str, dict[str, Any]]]:
    for schema, described in SCHEMAS.items():
        for name, field in described.get("properties", {}).items():
            yield f"{schema}.{name}", field


@pytest.mark.parametrize(("name", "field"), list(properties()))
def test_every_field_says_what_it_is(name: str, field: dict[str, Any]) -> None:
    assert field.get("description", "").endswith("."), name
    kinds = {field.get("type")} | {one.get("type") for one in field.get("anyOf", [])}
    if kinds & {"integer", "number"}:
        assert any(unit in field["description"] for unit in (*UNITS, "RFC 3339", "from 1")), name


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_schema_says_what_it_is(schema: str) -> None:
    assert SCHEMAS[schema].get("description")


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_every_operation_is_described_with_its_problems(name: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"].endswith(".")
    for parameter in operation.get("parameters", []):
        assert parameter["description"].endswith("."), (name, parameter["name"])
    problems = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
    assert "500" in problems
    for answer in problems.values():
        assert list(answer["content"]) == ["application/problem+json"]
        assert answer["description"]
    if "/api/v1" in name:
        assert {"401", "403", "503"} <= set(problems)
        assert {"token": []} in operation["security"]
    success = next(answer for status, answer in operation["responses"].items() if status < "300")
    assert success["content"]


def test_every_reference_leads_somewhere() -> None:
    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if "$ref" in part:
                yield part["$ref"]
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    assert {r.removeprefix("#/components/schemas/") for r in references(DOCUMENT)} <= set(SCHEMAS)


def test_the_schema_takes_what_the_server_takes() -> None:
    schema = {"$ref": "#/components/schemas/WireSnapshot", "components": DOCUMENT["components"]}
    validator = Draft202012Validator(schema)
    assert validator.is_valid(wire(labels=None, memory={"total": 5}, taken_at=5))
    assert not validator.is_valid(wire(cpus=-1))


def test_answers_fit_their_schemas() -> None:
    async def test(a: Aggregator) -> None:
        full = {"boot_id": "b", "uptime_seconds": 5.5, "memory": {"total": 10**9}, "labels": {"rack": "r4"}}
        for node in ("n1", "n2"):
            await a.post([wire(node, taken_at=NOW - 3600 + 60 * i, **full) for i in range(60)])
        paths = {
            "/nodes": "/nodes",
            "/nodes/{node}/snapshots": "/nodes/n1/snapshots",
            "/nodes/{node}/snapshots/{at}": "/nodes/n1/snapshots/latest",
            "/nodes/{node}/diff": "/nodes/n1/diff",
            "/caches": "/caches",
            "/compare": "/compare?cache=dentry&window=1h",
            "/outliers": "/outliers?window=1h",
        }
        for path, asked in paths.items():
            answer = DOCUMENT["paths"][f"/api/v1{path}"]["get"]["responses"]["200"]
            schema = answer["content"]["application/json"]["schema"] | {"components": DOCUMENT["components"]}
            got = await a.client.get(f"/api/v1{asked}")
            assert got.status_code == 200
            assert [e.message for e in Draft202012Validator(schema).iter_errors(got.json())] == []
        problem = await a.client.get("/api/v1/nodes?limit=0")
        schema = {"$ref": "#/components/schemas/ProblemDocument", "components": DOCUMENT["components"]}
        assert Draft202012Validator(schema).is_valid(problem.json())

    run(test)


def test_the_page_of_the_interface_needs_no_network() -> None:
    async def test(a: Aggregator) -> None:
        assert (await a.client.get("/openapi.json")).json() == DOCUMENT
        page = (await a.client.get("/docs")).text
        assert "//" not in page
        assert "<script" not in page
        for name, _ in OPERATIONS:
            assert name in page

    run(test)
