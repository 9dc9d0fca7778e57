"""Holds what Dockerfile and docker-compose.yml promise, without a container engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]

HARDENED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "read_only": {"const": True},
        "cap_drop": {"const": ["ALL"]},
        "security_opt": {"const": ["no-new-privileges:true"]},
        "volumes": {"type": "array", "items": {"type": "string"}},
        "healthcheck": {
            "type": "object",
            "required": ["test", "interval", "timeout", "retries"],
            "properties": {"test": {"type": "array", "minItems": 2}},
        },
        "build": {"type": "object", "required": ["context", "target"], "maxProperties": 2},
    },
    "required": ["image", "read_only", "cap_drop", "security_opt", "restart"],
    "not": {"anyOf": [{"required": [key]} for key in ("privileged", "cap_add", "devices", "network_mode", "pid")]},
}

COMPOSE: dict[str, Any] = {
    "type": "object",
    "required": ["name", "services", "volumes"],
    "properties": {
        "services": {
            "type": "object",
            "required": ["server", "agent", "demo"],
            "patternProperties": {"": HARDENED},
            "properties": {
                "server": {
                    "required": ["build", "healthcheck", "ports", "volumes"],
                    "not": {"required": ["user"]},
                    "properties": {
                        "volumes": {"const": ["data:/var/lib/slabhound"]},
                        "ports": {"items": {"type": "string", "pattern": r"^127\.0\.0\.1:"}},
                    },
                },
                "agent": {
                    "required": ["build", "healthcheck", "user", "uts", "environment", "volumes"],
                    "properties": {
                        "user": {"const": "0:0"},
                        "uts": {"const": "host"},
                        "volumes": {
                            "allOf": [
                                {"contains": {"const": "/proc:/host/proc:ro"}},
                                {"contains": {"const": "/sys:/host/sys:ro"}},
                                {"contains": {"const": "spool:/var/lib/slabhound"}},
                            ],
                            "maxItems": 3,
                        },
                    },
                },
                "demo": {"required": ["profiles"], "properties": {"profiles": {"const": ["demo"]}}},
            },
        },
    },
}


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


@pytest.fixture
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def stages(dockerfile: str) -> dict[str, str]:
    """Each named stage of a Dockerfile with its instructions."""
    parts = re.split(r"^FROM \S+ AS (\S+)\n", dockerfile, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_compose_keeps_its_promises(compose: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(COMPOSE)
    jsonschema.validate(compose, COMPOSE)


def test_compose_names_only_volumes_and_stages_that_exist(compose: Any, dockerfile: str) -> None:
    for service in compose["services"].values():
        assert service.get("build", {"target": "server"})["target"] in stages(dockerfile)
        named = {v.split(":")[0] for v in service.get("volumes", ()) if not v.startswith("/")}
        assert named <= set(compose["volumes"])


def test_a_privileged_service_breaks_the_promise(compose: Any) -> None:
    compose["services"]["agent"]["privileged"] = True
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose, COMPOSE)


def test_images_are_built_from_the_locks(dockerfile: str) -> None:
    built = stages(dockerfile)
    assert "install --require-hashes -r requirements/base.txt" in built["build-agent"]
    assert "install --require-hashes -r requirements/server.txt" in built["build-server"]
    for install in re.findall(r"(?<!un)install (?!-d)[^&\n\\]*", dockerfile):
        assert "--require-hashes" in install or "--no-deps --no-build-isolation" in install


def test_the_aggregator_is_not_root_and_the_agent_is(dockerfile: str) -> None:
    built = stages(dockerfile)
    assert "USER 10001:10001" in built["server"]
    assert "USER 0:0" in built["agent"]
    assert list(built)[-1] == "server"


def test_every_image_has_one_base_that_can_be_named(dockerfile: str) -> None:
    assert re.findall(r"^ARG (\w+)=python:3\.\d+-slim-\w+$", dockerfile, re.MULTILINE) == ["PYTHON"]
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON}", "build"}


def test_the_build_context_has_what_the_build_needs_and_no_more() -> None:
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    kept = {line[1:] for line in text.splitlines() if line.startswith("!")}
    assert kept == {"LICENSE", "README.md", "agent", "common", "pyproject.toml", "requirements", "server"}
    assert all((ROOT / name).exists() for name in kept)
