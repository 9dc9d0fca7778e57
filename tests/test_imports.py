"""Holds the direction of imports: who may use whom, lazily or not, and what the fast commands load at start."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agent", "common", "server")

ALLOWED: dict[str, frozenset[str]] = {
    "common": frozenset({"common"}),
    "common.commands": frozenset({"common", "httpx"}),
    "common.wire": frozenset({"common", "pydantic", "pydantic_core"}),
    "common.wire_quick": frozenset({"common", "pydantic_core"}),
    "common.zstd": frozenset({"backports", "compression"}),
    "agent": frozenset({"agent", "common", "httpx"}),
    "server": frozenset(
        {"common", "fastapi", "httpx", "numpy", "prometheus_client", "pydantic", "server", "starlette"} | {"uvicorn"}
    ),
    "server.buckets": frozenset({"common", "numpy"}),
    "server.coarsen": frozenset({"numpy", "server.buckets"}),
    "server.assemble": frozenset({"common", "numpy", "server.buckets", "server.coarsen"}),
    "server.analysis": frozenset({"common", "numpy", "server.analysis", "server.buckets"}),
    "server.storage": frozenset(
        {"common", "numpy", "server.assemble", "server.buckets", "server.coarsen", "server.storage"}
    ),
    "server.storage.clickhouse": frozenset(
        {"clickhouse_connect", "common", "numpy", "server.assemble", "server.buckets", "server.storage"}
    ),
    "server.reports": frozenset(
        {"common", "pydantic", "server.analysis", "server.buckets", "server.reports", "server.storage.base"}
    ),
    "server.routes": frozenset(
        {"common", "fastapi", "pydantic", "server.deps", "server.reports", "server.routes", "starlette"}
    ),
}
"""What a module may import besides the standard library; the longest name that fits a module rules it."""

OUTSIDE_THE_STUDY = frozenset(
    {"asyncio", "datetime", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "shutil", "socket"}
    | {"sqlite3", "subprocess", "tempfile", "threading", "time", "urllib"}
)
"""server.analysis computes: no I/O, no clock, no dice."""

LOADERS = frozenset({"import_module", "__import__", "resolve_name", "find_spec", "run_module"})
"""Ways to load a module by its name as text, which only the command line may use."""


def modules() -> list[tuple[str, Path]]:
    """Every module of the packages with its dotted name."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append((".".join(parts).removesuffix(".__init__"), path))
    return found


MODULES = modules()
NAMES = frozenset(name for name, _ in MODULES)


def imported(module: str, path: Path) -> Iterator[str]:
    """The dotted names a module imports, wherever in it the statement stands."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in NAMES else base


def rule(module: str) -> frozenset[str]:
    parts = module.split(".")
    return next(ALLOWED[name] for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in ALLOWED)


def within(name: str, allowed: frozenset[str]) -> bool:
    return any(name == entry or name.startswith(entry + ".") for entry in allowed)


@pytest.mark.parametrize(("module", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_a_module_imports_only_what_its_place_allows(module: str, path: Path) -> None:
    names = set(imported(module, path))
    foreign = {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}
    assert sorted(name for name in foreign if not within(name, rule(module))) == []


@pytest.mark.parametrize("module", [m for m in MODULES if m[0].startswith("server.analysis")], ids=lambda m: m[0])
def test_the_analysis_does_no_io_and_reads_no_clock(module: tuple[str, Path]) -> None:
    roots = {name.partition(".")[0] for name in imported(*module)}
    assert sorted(roots & OUTSIDE_THE_STUDY) == []
    calls = {n.func.id for n in ast.walk(_tree(module[1])) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert sorted(calls & {"open", "print", "input"}) == []


@pytest.mark.parametrize(("module", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_only_the_command_line_loads_modules_by_name(module: str, path: Path) -> None:
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert module == "common.cli" or not used & LOADERS


def test_the_walk_sees_lazy_and_relative_imports(tmp_path: Path) -> None:
    source = tmp_path / "x.py"
    source.write_text("def f():\n    import httpx\n    from . import errors\n    from server.app import create_app\n")
    assert set(imported("common.x", source)) == {"httpx", "common.errors", "server.app"}


HEAVY = "asyncio|fastapi|httpx|json|numpy|pydantic|ssl|uvicorn"


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("common.slabdiff", f"{HEAVY}|argparse|backports|logging"),
        ("common.cli", HEAVY.replace("|json", "")),
        ("agent.cli", "asyncio|click|fastapi|numpy|pydantic|rich|server|backports|uvicorn"),
        ("server.analyze", "asyncio|fastapi|httpx|starlette|uvicorn"),
    ],
)
def test_a_fast_command_loads_nothing_it_does_not_use(module: str, unwanted: str) -> None:
    if module not in NAMES:
        pytest.fail(f"{module} is gone: rename it here too")
    code = f"import {module}, sys; print(*{{m.partition('.')[0] for m in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert sorted(set(loaded.stdout.split()) & set(unwanted.split("|"))) == []


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
