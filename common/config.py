"""Options: an option beats its environment variable, which beats the configuration file, which beats the default."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from common.errors import ConfigError

__all__ = ["Option", "load_file", "resolve", "variable"]


class Option(NamedTuple):
    """One setting of a command: `--name` on the command line, `SLABHOUND_NAME` in the environment, `name` in TOML.

    A named tuple because dataclasses would add a sixth to the CPU time of `slabhound diff`.
    """

    name: str
    """Lower case, words joined by `-`; the attribute of the resolved options has `_` instead."""
    help: str
    type: Callable[[str], Any] = str
    """Turns the text into the value; raises ValueError with a sentence for the user."""
    default: Any = None
    """The final value, not text."""
    metavar: str | None = None
    flag: bool = False
    """Takes no value: False unless given."""
    repeat: bool = False
    """May be given several times: a list."""

    @property
    def attribute(self) -> str:
        """The name of the resolved value."""
        return self.name.replace("-", "_")


_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def variable(option: Option) -> str:
    """The option's environment variable: `token-file` -> `SLABHOUND_TOKEN_FILE`."""
    return "SLABHOUND_" + option.attribute.upper()


def load_file(path: str) -> dict[str, Any]:
    """The TOML file somebody named. Raises ConfigError."""
    import tomllib  # noqa: PLC0415 - most runs have no such file, and diff must start fast

    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib would slow the start of diff
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def resolve(
    command: str,
    options: Sequence[Option],
    *,
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    path: str | None,
    commands: Iterable[str],
    known_elsewhere: Callable[[str], bool],
    warn: Callable[[str], None],
) -> dict[str, Any]:
    """The value of every option of `command`, by attribute.

    `given`: what the command line says (text, a list of texts, True), None where it is silent. `path`: the TOML file,
    if any. `commands`: every command's name, as the file may hold a table for each. `known_elsewhere` tells whether a
    key that this command lacks is another command's option. Raises ConfigError.
    """
    shared, own = _file_values(command, options, path, set(commands), known_elsewhere) if path else ({}, {})
    values: dict[str, Any] = {}
    for option in options:
        name, text = variable(option), environ.get(variable(option), "")
        if text and _injected(name, text):
            warn(f"{name}={text} is ignored: Kubernetes sets it for a Service named slabhound; use --{option.name}")
            text = ""
        if (said := given.get(option.attribute)) is not None:
            values[option.attribute] = _from_text(option, said, f"--{option.name}")
        elif text:
            words: str | list[str] = text.split(",") if option.repeat else text
            values[option.attribute] = _from_text(option, words, name)
        elif option.name in own:
            values[option.attribute] = _from_toml(option, own[option.name], f"{path}: [{command}] {option.name}")
        elif option.name in shared:
            values[option.attribute] = _from_toml(option, shared[option.name], f"{path}: {option.name}")
        elif option.default is None and (option.flag or option.repeat):
            values[option.attribute] = False if option.flag else []
        else:
            values[option.attribute] = option.default
    return values


def _injected(name: str, text: str) -> bool:
    """Kubernetes gives every pod `NAME_PORT=tcp://10.0.0.1:8080` and the like for each Service (enableServiceLinks)."""
    shape = r"SLABHOUND(_.+)?_PORT(_[0-9]+_(TCP|UDP|SCTP))?"
    return bool(re.fullmatch(shape, name) and re.match(r"(tcp|udp|sctp)://", text))


def _from_text(option: Option, said: Any, where: str) -> Any:
    if option.repeat:
        return [_convert(option, text, where) for text in said]
    if option.flag:
        if isinstance(said, str) and said.lower() not in _FLAGS:
            raise ConfigError(f"{where}: {said!r} is neither true nor false")
        return _FLAGS[said.lower()] if isinstance(said, str) else bool(said)
    return _convert(option, said, where)


def _from_toml(option: Option, value: Any, where: str) -> Any:
    if option.flag:
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: expected true or false, found {value!r}")
        return value
    values = value if option.repeat and isinstance(value, list) else [value]
    if not all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in values):
        raise ConfigError(f"{where}: expected {'a list of texts' if option.repeat else 'text or a number'}")
    return _from_text(option, [str(v) for v in values] if option.repeat else str(value), where)


def _convert(option: Option, text: str, where: str) -> Any:
    try:
        return option.type(text)
    except ValueError as error:
        # int() and float() speak of themselves; everything of ours speaks to the user.
        plain = "a whole number" if option.type is int else "a number" if option.type is float else None
        reason = f"{text!r} is not {plain}" if plain else str(error)
        raise ConfigError(f"{where}: {reason}") from None


def _file_values(
    command: str, options: Sequence[Option], path: str, commands: set[str], known_elsewhere: Callable[[str], bool]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The file's shared values, and those of the command's own table."""
    names = {option.name for option in options}
    shared: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key, value in load_file(path).items():
        if isinstance(value, dict):
            if key not in commands:
                raise ConfigError(f"{path}: [{key}] is no command of slabhound")
            if key == command:
                own = {k.replace("_", "-"): v for k, v in value.items()}
            continue
        name = key.replace("_", "-")
        if name in names:
            shared[name] = value
        elif not known_elsewhere(name):
            raise ConfigError(f"{path}: {key} is no option of slabhound")
    for key in own:
        if key not in names:
            raise ConfigError(f"{path}: [{command}] {key} is no option of slabhound {command}")
    return shared, own
