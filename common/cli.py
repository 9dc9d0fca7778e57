"""The one command line, `slabhound`: picks a command, settles its options, runs it, and says errors in one line.

Only the chosen command's module is loaded, so that `diff` starts at once and the agent carries no server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from common import __version__
from common.errors import SlabhoundError

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from common.config import Option

__all__ = ["COMMANDS", "Command", "build_parser", "main"]


class Command(NamedTuple):
    """Where a command lives. Its module has `run(options) -> int`, `OPTIONS`, and may have `add_arguments(parser)`."""

    module: str
    help: str
    server: bool = False
    """Needs the packages of `slabhound[server]`."""


COMMANDS = {
    "diff": Command("common.commands.diff", "what changed between two dumps of /proc/slabinfo, per cache"),
    "agent": Command("agent.cli", "send this node's snapshots to an aggregator"),
    "server": Command("server.cli", "run the aggregator", server=True),
    "report": Command("common.commands.report", "the outlier report from a server: which node leaks what"),
    "analyze": Command("server.analyze", "the same report over dumps on disk, without a server", server=True),
    "import": Command("common.commands.import_", "send dumps on disk to a server as history"),
    "nodes": Command("common.commands.nodes", "every node a server knows"),
    "caches": Command("common.commands.caches", "every slab cache a server knows"),
    "compare": Command("common.commands.compare", "one cache on every node, side by side"),
    "show": Command("common.commands.show", "one node: its facts, its biggest caches and how they grow"),
    "copy": Command("server.copy", "copy all snapshots from one store to another, of whichever engine", server=True),
    "store": Command("server.store_command", "check, shrink or back up the server's SQLite store", server=True),
    "demo": Command("server.demo", "a whole fleet on this machine, with one leak", server=True),
}

_USAGE = "usage: slabhound [--config FILE] COMMAND ..."
_CONFIG_HELP = "TOML file with settings: top-level keys, or a table per command (SLABHOUND_CONFIG)"


class _UsageError(SlabhoundError):
    """The command line cannot be understood."""


def main(
    argv: Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
) -> int:
    """Runs one command; gives its exit status (2 for errors, which are one line on stderr; 130 for Ctrl-C)."""
    out, err = stdout or sys.stdout or _nowhere(), stderr or sys.stderr or _nowhere()
    environ = os.environ if environ is None else environ
    _forgive_encoding(out, err)
    try:
        status = _run(sys.argv[1:] if argv is None else list(argv), environ, out, err)
        out.flush()
    except BrokenPipeError:
        # The reader (`| head`) went away: nothing is wrong, and nothing more can be said.
        _silence(out)
        return 141
    except KeyboardInterrupt:
        return 130
    except SlabhoundError as error:
        _say(err, f"slabhound: {error}")
    except OSError as error:
        _silence(out)
        _say(err, f"slabhound: {error.filename or 'cannot write the output'}: {error.strerror or error}")
        if environ.get("SLABHOUND_DEBUG"):
            raise
    except Exception as error:
        _say(err, f"slabhound: {_bug(error)}")
        if environ.get("SLABHOUND_DEBUG"):
            raise
    else:
        return status
    return 2


def build_parser(name: str, module: Any, *, width: int = 100) -> ArgumentParser:
    """The parser of one command: its options, `--config`, and the arguments its module adds."""
    from argparse import ArgumentParser, HelpFormatter  # noqa: PLC0415 - the overview and --version do without

    from common.config import variable  # noqa: PLC0415 - as above, only when used

    class Parser(ArgumentParser):
        def error(self, message: str) -> Any:
            raise _UsageError(f"{message} (see: {self.prog} --help)")

    def formatter(prog: str) -> HelpFormatter:
        return HelpFormatter(prog, width=width)  # left to itself argparse loads shutil and all archivers to find it

    parser = Parser(
        prog=f"slabhound {name}", description=COMMANDS[name].help, allow_abbrev=False, formatter_class=formatter
    )
    if hasattr(module, "add_arguments"):
        module.add_arguments(parser)
    parser.add_argument("--config", metavar="FILE", help=_CONFIG_HELP)
    for option in getattr(module, "OPTIONS", ()):
        usual = f"default {option.default}; " if isinstance(option.default, str | int) and not option.flag else ""
        text = f"{option.help} ({usual}{variable(option)})".replace("%", "%%")
        if option.flag:
            parser.add_argument(f"--{option.name}", action="store_true", default=None, help=text)
        else:
            action = "append" if option.repeat else "store"
            parser.add_argument(f"--{option.name}", action=action, metavar=option.metavar, help=text)
    return parser


def _run(arguments: list[str], environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    config, name, rest = _split(arguments)
    if name in {"", "help", "-h", "--help"}:
        out.write(_overview())
        return 0 if name else 2
    if name == "--version":
        out.write(f"slabhound {__version__}\n")
        return 0
    if name not in COMMANDS:
        raise _UsageError(_unknown(name))
    try:
        return _command(name, rest, config, environ, out, err)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"agent", "common", "server"}:
            raise
        if COMMANDS[name].server:
            raise SlabhoundError(f"{name} needs the server parts: pip install 'slabhound[server]'") from None
        raise SlabhoundError(f"{name} needs the Python package {missing}: pip install slabhound") from None


def _command(
    name: str, rest: list[str], config: str | None, environ: Mapping[str, str], out: TextIO, err: TextIO
) -> int:
    from common.config import resolve  # noqa: PLC0415 - the overview and --version do without
    from common.terminal.screen import Screen  # noqa: PLC0415 - as above, only when used

    with _ending_at_once():
        module = import_module(COMMANDS[name].module)
    screen = Screen(out, err, environ)
    try:
        options = build_parser(name, module, width=screen.width).parse_intermixed_args(rest)
    except SystemExit as done:  # after --help
        return int(done.code or 0)
    path = options.config or config or environ.get("SLABHOUND_CONFIG") or None
    settled = resolve(
        name,
        getattr(module, "OPTIONS", ()),
        given=vars(options),
        environ=environ,
        path=path,
        commands=COMMANDS,
        known_elsewhere=_is_option,
        warn=lambda text: _say(err, f"slabhound: {text}"),
    )
    for attribute, value in settled.items():
        setattr(options, attribute, value)
    options.screen = screen
    status: int = module.run(options)
    return status


@contextmanager
def _ending_at_once() -> Iterator[None]:
    """Ctrl-C ends the process: raised amid the import of a compiled module it would be lost, or told as its error."""
    import signal  # noqa: PLC0415 - the overview and --version do without

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, behind nohup
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _split(arguments: list[str]) -> tuple[str | None, str, list[str]]:
    """The configuration file, the command (empty when there is none), and what follows it."""
    config = None
    while arguments and (arguments[0] == "--config" or arguments[0].startswith("--config=")):
        flag, _, value = arguments[0].partition("=")
        if flag == arguments[0]:
            if len(arguments) < 2:
                raise _UsageError(f"--config needs a file ({_USAGE})")
            value = arguments[1]
            arguments = arguments[1:]
        config, arguments = value, arguments[1:]
    return (config, arguments[0], arguments[1:]) if arguments else (config, "", [])


def _overview() -> str:
    lines = [_USAGE, "", "Names the node of a fleet whose kernel slab cache leaks.", "", "commands:"]
    lines += [f"  {name:<8} {command.help}" for name, command in COMMANDS.items()]
    lines += ["", "`slabhound COMMAND --help` describes one; `slabhound --version` says which this is."]
    return "\n".join(lines) + "\n"


def _unknown(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for a typing error

    if name.startswith("-"):
        return f"{name} is no option of slabhound itself (see: slabhound --help)"
    near = get_close_matches(name, COMMANDS, n=1)
    return f"{name!r} is no command" + (f"; did you mean {near[0]}?" if near else "") + " (see: slabhound --help)"


def _is_option(name: str) -> bool:
    """Whether any command has such an option. A command that cannot be loaded here may have it."""
    for command in COMMANDS.values():
        try:
            options: Sequence[Option] = getattr(import_module(command.module), "OPTIONS", ())
        except ModuleNotFoundError:
            return True
        if any(option.name == name for option in options):
            return True
    return False


def _bug(error: Exception) -> str:
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "an unknown place"
    said = " ".join(str(error).split())[:200]
    return (
        f"this is a bug in slabhound, please report it: {type(error).__name__}: {said} at {place}"
        " (SLABHOUND_DEBUG=1 shows the traceback)"
    )


def _say(err: TextIO, line: str) -> None:
    err.write(" ".join(line.splitlines()) + "\n")


def _forgive_encoding(*streams: TextIO) -> None:
    """A name that the terminal's encoding lacks is shown escaped instead of ending the program."""
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    """What stands in for a stream that the caller closed (`>&-`)."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - lasts as long as the process


def _silence(out: TextIO) -> None:
    """Lets go what is still unwritten, so that the interpreter's own last flush cannot fail again."""
    try:
        out.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


if __name__ == "__main__":
    sys.exit(main())
