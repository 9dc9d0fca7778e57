"""Where a setting comes from, and what is said when it cannot be understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.config import Option, load_file, resolve, variable
from common.errors import ConfigError
from common.times import parse_duration

OPTIONS = (
    Option("interval", "how often", type=parse_duration, default=60.0),
    Option("port", "where", type=int, default=8080),
    Option("token-file", "secret"),
    Option("once", "one", flag=True),
    Option("label", "K=V", repeat=True),
)


def settle(
    tmp_path: Path, given: dict[str, Any] | None = None, environ: dict[str, str] | None = None, toml: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    path = None
    if toml is not None:
        (tmp_path / "slabhound.toml").write_text(toml)
        path = str(tmp_path / "slabhound.toml")
    warnings: list[str] = []
    values = resolve(
        "agent",
        OPTIONS,
        given=given or {},
        environ=environ or {},
        path=path,
        commands=("agent", "server"),
        known_elsewhere=lambda name: name == "store",
        warn=warnings.append,
    )
    return values, warnings


def test_defaults(tmp_path: Path) -> None:
    values, warnings = settle(tmp_path)
    assert values == {"interval": 60.0, "port": 8080, "token_file": None, "once": False, "label": []}
    assert warnings == []


def test_option_beats_environment_beats_table_beats_top_beats_default(tmp_path: Path) -> None:
    toml = 'interval = "1s"\nport = 1\n[agent]\ninterval = "2s"\n[server]\nport = 7\nnonsense = 1\n'
    assert settle(tmp_path)[0]["interval"] == 60
    assert settle(tmp_path, toml='interval = "1s"')[0]["interval"] == 1
    assert settle(tmp_path, toml=toml)[0]["interval"] == 2
    assert settle(tmp_path, toml=toml)[0]["port"] == 1
    environ = {"SLABHOUND_INTERVAL": "3s"}
    assert settle(tmp_path, toml=toml, environ=environ)[0]["interval"] == 3
    assert settle(tmp_path, {"interval": "4s"}, environ, toml)[0]["interval"] == 4


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    assert settle(tmp_path, environ={"SLABHOUND_TOKEN_FILE": "", "SLABHOUND_PORT": ""})[0]["port"] == 8080


@pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("ON", True), ("0", False), ("no", False)])
def test_flags_in_the_environment(tmp_path: Path, text: str, value: bool) -> None:  # noqa: FBT001 - a parameter
    assert settle(tmp_path, environ={"SLABHOUND_ONCE": text})[0]["once"] is value


def test_lists(tmp_path: Path) -> None:
    assert settle(tmp_path, {"label": ["a=1", "b=2"]})[0]["label"] == ["a=1", "b=2"]
    assert settle(tmp_path, environ={"SLABHOUND_LABEL": "a=1,b=2"})[0]["label"] == ["a=1", "b=2"]
    assert settle(tmp_path, toml='[agent]\nlabel = ["a=1", "b=2"]')[0]["label"] == ["a=1", "b=2"]
    assert settle(tmp_path, toml='[agent]\nlabel = "a=1"')[0]["label"] == ["a=1"]


def test_numbers_flags_and_underscores_in_toml(tmp_path: Path) -> None:
    values, _ = settle(tmp_path, toml='port = 9\ntoken_file = "t"\n[agent]\ninterval = 30\nonce = true')
    assert values == {"interval": 30.0, "port": 9, "token_file": "t", "once": True, "label": []}


@pytest.mark.parametrize(
    ("toml", "names"),
    [
        ("colour = 1", ["colour", "no option of slabhound"]),
        ("[agent]\nstore = 1", ["[agent] store", "no option of slabhound agent"]),
        ("[nonsense]\n", ["[nonsense]", "no command"]),
        ("interval = [", ["not valid TOML"]),
        ('interval = "soon"', ["interval", "'soon' is no duration"]),
        ('[agent]\nport = "x"', ["[agent] port", "'x' is not a whole number"]),
        ('once = "yes"', ["once", "true or false"]),
        ("port = true", ["port", "text or a number"]),
        ("port = [1]", ["port", "text or a number"]),
        ("label = [[1]]", ["label", "a list of texts"]),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path: Path, toml: str, names: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        settle(tmp_path, toml=toml)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(tmp_path / "slabhound.toml"))
    assert all(name in message for name in names), message


def test_errors_name_the_option_or_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--interval: 'soon' is no duration"):
        settle(tmp_path, {"interval": "soon"})
    with pytest.raises(ConfigError, match=r"^SLABHOUND_PORT: 'x' is not a whole number"):
        settle(tmp_path, environ={"SLABHOUND_PORT": "x"})
    with pytest.raises(ConfigError, match=r"^SLABHOUND_ONCE: 'perhaps'"):
        settle(tmp_path, environ={"SLABHOUND_ONCE": "perhaps"})


def test_another_command_s_shared_key_is_no_error(tmp_path: Path) -> None:
    assert settle(tmp_path, toml='store = "sqlite:///x"')[0]["port"] == 8080


def test_what_kubernetes_injects_is_ignored_with_a_warning(tmp_path: Path) -> None:
    environ = {
        "SLABHOUND_PORT": "tcp://10.96.0.7:8080",
        "SLABHOUND_SERVICE_HOST": "10.96.0.7",
        "SLABHOUND_PORT_8080_TCP": "tcp://10.96.0.7:8080",
        "SLABHOUND_PORT_8080_TCP_ADDR": "10.96.0.7",
    }
    values, warnings = settle(tmp_path, environ=environ)
    assert values["port"] == 8080
    assert len(warnings) == 1
    assert "SLABHOUND_PORT=tcp://10.96.0.7:8080" in warnings[0]
    assert "Kubernetes" in warnings[0]
    assert settle(tmp_path, toml="port = 9", environ=environ)[0]["port"] == 9


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot read the configuration: No such file"):
        load_file(str(tmp_path / "none.toml"))


def test_the_variable_s_name() -> None:
    assert variable(Option("token-file", "secret")) == "SLABHOUND_TOKEN_FILE"
