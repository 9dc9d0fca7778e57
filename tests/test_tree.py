"""Holds the shape of the tree: short files, a first line that says what each is for, nothing tied to one machine."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 400
MEDIAN = 150

MACHINE = re.compile(r"(?<![\w.-])/(?:home|root|Users|work|opt)/[\w.]+")
"""A path that exists on one machine only; /opt/slabhound is where the container keeps the program."""
REGISTRY = re.compile(r"py(?:pi|thonhosted)\.org|\b(?:docker|quay|ghcr)\.io\b|registry\.\w+\.\w+")

MADE = {".git", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv", "build", "dist"}
"""Folders that tools make, where there is no git to say so."""


def tracked() -> list[Path]:
    """The files of the repository; of the folder, where it is no clone."""
    try:
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.relative_to(ROOT).parts[0] not in MADE]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


FILES = tracked()
SOURCES = [path for path in FILES if path.suffix == ".py"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_of_code_is_long() -> None:
    assert [f"{name(p)}: {lines(p)}" for p in SOURCES if lines(p) > LONGEST] == []


def test_the_median_file_of_code_is_short() -> None:
    assert statistics.median(lines(p) for p in SOURCES if p.name != "__init__.py") <= MEDIAN


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_module_says_first_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name == "__init__.py" and not text.strip():
        return
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring
    assert len(docstring.splitlines()[0]) > 15


def test_nothing_is_tied_to_one_machine() -> None:
    found = []
    for path in FILES:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for pattern in (MACHINE, REGISTRY):
            hits = {hit for hit in pattern.findall(text) if not hit.startswith("/opt/slabhound")}
            found += [f"{name(path)}: {hit}" for hit in sorted(hits)]
    assert found == []


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda p: p.name)
def test_a_lock_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash)", text, re.MULTILINE)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert [entry for entry in entries if not re.match(r"[\w.-]+==\S+[^\n]*\\\n +--hash=sha256:", entry)] == []


def test_every_suppressed_check_gives_its_reason() -> None:
    bare = re.compile(r"#\s*(?:noqa(?!: [A-Z]+\d+(?:, ?[A-Z]+\d+)* - \w)|type: ignore(?!\[[\w-]+\]\s+# \w))")
    found = [
        f"{name(path)}:{number}"
        for path in SOURCES
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []
