"""Holds what an installation brings: the wheel's files, and a base install that works without the server's packages."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from common.cli import COMMANDS

ROOT = Path(__file__).parents[1]
SERVER = sorted(name for name, command in COMMANDS.items() if command.server)
BASE = sorted(set(COMMANDS) - set(SERVER))


def locked(name: str) -> set[str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))


def run_base(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`slabhound ARGUMENTS` where nothing of the server's requirements can be imported."""
    absent = {name.replace("-", "_") for name in locked("server.txt") - locked("base.txt")}
    block = f"import sys; sys.modules.update(dict.fromkeys({sorted(absent)!r}))"
    code = f"{block}; from common.cli import main; sys.exit(main({list(arguments)!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("command", BASE)
def test_the_base_install_has_the_agent_the_file_tools_and_the_clients(command: str) -> None:
    done = run_base(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: slabhound {command}")


@pytest.mark.parametrize("command", SERVER)
def test_the_base_install_says_what_the_server_parts_need(command: str) -> None:
    done = run_base(command, ".")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"slabhound: {command} needs the server parts: pip install 'slabhound[server]'\n"


def test_the_wheel_has_every_module_the_types_the_schemas_and_the_licence(tmp_path: Path) -> None:
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})"
    # A copy, as the build leaves folders behind.
    source = tmp_path / "source"
    source.mkdir()
    for name in ("agent", "common", "server", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = ("agent", "common", "server")
    due = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".sql", ".typed"}
    }
    assert due - names == set()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == set(packages)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    (scripts,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "slabhound = common.start:main" in zipfile.ZipFile(wheel).read(scripts).decode()
