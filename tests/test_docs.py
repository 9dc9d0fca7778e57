"""Fails when a command, option, endpoint, metric or dependency is not documented, or a documented one is gone."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from common.cli import COMMANDS, build_parser
from common.config import Option, variable
from common.names import MAX_GROUP, MAX_TEXT
from common.wire import MAX_ALIASES, MAX_BATCH, MAX_CACHES, MAX_LABELS
from server.app import create_app
from server.metrics import Metrics
from server.problems import KINDS, ProblemDocument
from server.reports.outliers import ReportFinding
from server.settings import ServerSettings
from server.storage.base import StoreStatus

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(DOCS.rglob("*.md"))


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """The second-level headings of a document, without marks, and what stands below each."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return dict(zip((title.replace("`", "") for title in parts[1::2]), parts[2::2], strict=True))


def rows(text: str) -> dict[str, str]:
    """First cell (what stands in its first code span) and the rest of every row of a text's tables."""
    found = re.findall(r"^\| `([^`]+)`[^|]*\|(.*)\|$", text, re.MULTILINE)
    assert len({name for name, _ in found}) == len(found), "a table lists something twice"
    return dict(found)


def options(command: str) -> tuple[Option, ...]:
    return tuple(getattr(import_module(COMMANDS[command].module), "OPTIONS", ()))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_and_its_options_are_documented(command: str) -> None:
    section = sections(read("cli.md"))[f"slabhound {command}"]
    documented = {name.split()[0]: rest for name, rest in rows(section).items() if name.startswith("--")}
    assert sorted(documented) == sorted(f"--{option.name}" for option in options(command))
    for option in options(command):
        if option.default is not None and not option.flag and not option.repeat:
            shown = {f"`{option.default}`", f"`{option.metavar}`"}
            assert any(text in documented[f"--{option.name}"] for text in shown), option.name


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_s_arguments_are_documented(command: str) -> None:
    section = sections(read("cli.md"))[f"slabhound {command}"]
    parser = build_parser(command, import_module(COMMANDS[command].module))
    for action in parser._get_positional_actions():
        names = action.choices or [action.metavar or action.dest]
        assert [name for name in names if str(name).strip("[]") not in section] == []


def test_no_command_is_documented_that_does_not_exist() -> None:
    titles = {title for title in sections(read("cli.md")) if title.startswith("slabhound ")}
    assert titles == {f"slabhound {command}" for command in COMMANDS}


def test_documents_name_only_options_and_variables_that_exist() -> None:
    every = {option.name: option for command in COMMANDS for option in options(command)}
    known = {f"--{name}" for name in every} | {"--config", "--help", "--version"}
    variables = {variable(option) for option in every.values()} | {"SLABHOUND_CONFIG", "SLABHOUND_DEBUG"}
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        lines = [
            line for line in text.splitlines() if re.search(r"\bslabhound (?:" + "|".join(COMMANDS) + r")\b", line)
        ]
        named = {flag for line in lines for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)}
        assert sorted(named - known - FOREIGN) == [], path.name
        assert sorted(set(re.findall(r"\bSLABHOUND_[A-Z_]+\b", text)) - variables) == [], path.name


FOREIGN = {"--user", "--restart"}
"""Options of other programs that stand in one line with a command of ours."""


STATUS = StoreStatus(nodes=0, snapshots=0, bytes_on_disk=0, writable=True)


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("store")
    app = create_app(ServerSettings(store=f"sqlite:///{folder}/slabhound.db"))
    try:
        return app.openapi()
    finally:
        app.state.parts.close()


def endpoints(text: str) -> set[str]:
    found = re.findall(r"^### `(GET|POST|PUT|DELETE) ([^`?]+)[^`]*`", text, re.MULTILINE)
    return {f"{method} {path}" for method, path in found}


def test_every_endpoint_and_its_parameters_are_documented(openapi: Any) -> None:
    text = read("api.md")
    offered = {f"{method.upper()} {path}" for path, item in openapi["paths"].items() for method in item}
    assert endpoints(text) >= offered
    assert endpoints(text) - offered <= {"GET /openapi.json", "GET /docs", "GET /"}
    parts = re.split(r"^### `([^`?]+)[^`]*`", text, flags=re.MULTILINE)
    body = dict(zip(parts[1::2], parts[2::2], strict=True))
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query":
                    assert f"`{parameter['name']}`" in body[f"{method.upper()} {path}"], (path, parameter["name"])


def test_every_metric_is_documented() -> None:
    families = {family.name for family in Metrics(lambda: STATUS).registry.collect()}
    documented = {name.removesuffix("_total") for name in rows(sections(read("api.md"))["Metrics"])}
    assert documented == {name for name in families if not name.startswith("process_")}


def test_every_problem_is_documented() -> None:
    documented = rows(sections(read("api.md"))["Problems"])
    assert {name: int(rest.split("|")[0]) for name, rest in documented.items()} == {
        name: kind.status for name, kind in KINDS.items()
    }


def test_every_dependency_gives_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    due = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for extra in project["project"]["optional-dependencies"].values():
        due += extra
    named = {re.split(r"[^\w.-]", requirement)[0] for requirement in due}
    reasons = rows(read("dependencies.md"))
    assert set(reasons) == named
    assert [name for name, reason in reasons.items() if len(reason.strip()) < 10] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    gone = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert gone == []


def test_documents_are_prose_for_people() -> None:
    """Lines that a diff can show, and no words that sell."""
    hype = re.compile(
        r"\b(?:blazing|seamless|powerful|cutting-edge|effortless|robustly|state-of-the-art)\b", re.IGNORECASE
    )
    found = [path.name for path in DOCUMENTS if hype.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_the_limits_of_a_body_are_those_of_the_code() -> None:
    limits = read("api.md").partition("#### Limits of a body")[2].partition("### ")[0]
    found = re.findall(r"\| ([\d,]+)(?: characters| such|)[^|^]*\|$", limits, re.MULTILINE)
    assert [int(number.replace(",", "")) for number in found] == [
        MAX_BATCH,
        MAX_CACHES,
        MAX_ALIASES,
        MAX_LABELS,
        MAX_TEXT,
        MAX_GROUP,
    ]


def test_the_readme_names_the_commands_that_have_json() -> None:
    (line,) = re.findall(r"These two,\n(.+) have `--json`", (ROOT / "README.md").read_text(encoding="utf-8"))
    having = {command for command in COMMANDS if any(option.name == "json" for option in options(command))}
    assert set(re.findall(r"`(\w+)`", line)) == having - {"report", "analyze"}


def test_the_page_of_commands_names_those_that_need_the_server() -> None:
    (sentence,) = re.findall(r"141\.\s(.+?)\sneed `pip install 'slabhound\[server\]'`", read("cli.md"), re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) == {name for name, command in COMMANDS.items() if command.server}


def test_every_field_of_a_finding_is_documented() -> None:
    table = read("api.md").partition("| field of a finding |")[2].partition("\n\n")[0]
    first_cells = "".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE))
    assert sorted(re.findall(r"`(\w+)`", first_cells)) == sorted(ReportFinding.model_fields)


def test_what_a_problem_says_besides_is_documented() -> None:
    usual = {"type", "title", "status", "detail"}
    assert [
        name for name in ProblemDocument.model_fields if name not in usual and f"`{name}" not in read("api.md")
    ] == []
