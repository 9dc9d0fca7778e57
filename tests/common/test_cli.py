"""The command line as a user meets it: commands, help, one-line errors, exit statuses."""

from __future__ import annotations

import io
import subprocess
import sys
import types
from argparse import Namespace
from pathlib import Path

import pytest

from common import __version__
from common.cli import COMMANDS, build_parser, main
from common.config import Option


def call(*argv: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    status = main(argv, environ=environ or {}, stdout=out, stderr=err)
    return status, out.getvalue(), err.getvalue()


def slabhound(*argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "common.cli", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**more})


def test_overview_lists_every_command() -> None:
    for argv in (["--help"], ["-h"], ["help"]):
        status, out, err = call(*argv)
        assert (status, err) == (0, "")
        assert all(f"  {name}" in out for name in COMMANDS)
        assert max(map(len, out.splitlines())) <= 100


def test_no_command_is_an_error_that_shows_the_overview() -> None:
    status, out, _ = call()
    assert status == 2
    assert "usage: slabhound" in out


def test_version() -> None:
    assert call("--version") == (0, f"slabhound {__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["reprot"], "slabhound: 'reprot' is no command; did you mean report? (see: slabhound --help)\n"),
        (["--nonsense"], "slabhound: --nonsense is no option of slabhound itself (see: slabhound --help)\n"),
        (["--config"], "slabhound: --config needs a file (usage: slabhound [--config FILE] COMMAND ...)\n"),
        (["nodes", "--nope"], "slabhound: unrecognized arguments: --nope (see: slabhound nodes --help)\n"),
        (["nodes", "--server"], "slabhound: argument --server: expected one argument (see: slabhound nodes --help)\n"),
        (
            ["nodes", "--server", "x"],
            "slabhound: --server: 'x' is no server: write http://HOST:8080 (a token goes into --token-file)\n",
        ),
        (["report", "--window", "x"], "slabhound: --window: 'x' is no duration: write 90s, 30m, 24h or 7d\n"),
        (
            ["--config", "/none", "nodes"],
            "slabhound: /none: cannot read the configuration: No such file or directory\n",
        ),
        (["nodes", "--config=/none"], "slabhound: /none: cannot read the configuration: No such file or directory\n"),
    ],
)
def test_errors_are_one_line_and_status_2(argv: list[str], said: str) -> None:
    assert call(*argv) == (2, "", said)


def test_the_configuration_file_may_be_named_in_the_environment() -> None:
    status, _, err = call("nodes", environ={"SLABHOUND_CONFIG": "/none"})
    assert (status, err.startswith("slabhound: /none:")) == (2, True)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_describes_itself(name: str) -> None:
    done = slabhound(name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: slabhound {name}")
    assert done.stderr == ""


def made_up(tmp_path: Path, body: str, *, server: bool = False) -> list[str]:
    """A program whose command `nodes` has this body."""
    (tmp_path / "made_up.py").write_text(f"def run(options):\n    {body}\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from common import cli;"
        f"cli.COMMANDS['nodes'] = cli.Command('made_up', 'x', server={server});"
        "sys.exit(cli.main(['nodes']))"
    )
    return [sys.executable, "-B", "-c", code]


def run_made_up(tmp_path: Path, body: str, *, server: bool = False, **environ: str) -> subprocess.CompletedProcess[str]:
    argv = made_up(tmp_path, body, server=server)
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=environ)


def test_a_bug_is_one_line_with_type_and_place(tmp_path: Path) -> None:
    done = run_made_up(tmp_path, "raise KeyError('scsi_cmd_cache')")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "this is a bug in slabhound" in done.stderr
    assert "KeyError: 'scsi_cmd_cache' at" in done.stderr
    assert "made_up.py:2" in done.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in run_made_up(tmp_path, "raise KeyError('x')", SLABHOUND_DEBUG="1").stderr


def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    done = run_made_up(tmp_path, "raise KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, "")


LOSES_IT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
sys.path.insert(0, {path!r})
from common import cli
cli.COMMANDS["nodes"] = cli.Command("loses_it", "x")
sys.exit(cli.main(["nodes"]))
"""


def test_ctrl_c_is_not_lost_amid_an_import(tmp_path: Path) -> None:
    (tmp_path / "loses_it.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept BaseException as error:\n"
        "    raise ImportError('numpy, on many lines') from error\n"
    )
    code = LOSES_IT.format(path=str(tmp_path))
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "")


INTERRUPTED = """
import sys
from common import start

class Interrupted:
    def find_spec(self, name, path, target=None):
        if name == "common.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
sys.exit(start.main())
"""


def test_ctrl_c_before_the_command_line_is_loaded_is_quiet() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_files_that_fail_are_named(tmp_path: Path) -> None:
    done = run_made_up(tmp_path, "open('/none')")
    assert (done.returncode, done.stderr) == (2, "slabhound: /none: No such file or directory\n")


def test_without_the_server_parts(tmp_path: Path) -> None:
    done = run_made_up(tmp_path, "import numpy_of_the_future", server=True)
    expected = "slabhound: nodes needs the server parts: pip install 'slabhound[server]'\n"
    assert (done.returncode, done.stderr) == (2, expected)
    done = run_made_up(tmp_path, "import httpx_of_the_future")
    assert done.stderr == "slabhound: nodes needs the Python package httpx_of_the_future: pip install slabhound\n"


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    argv = made_up(tmp_path, "print('x' * 1_000_000); return 0")
    pipe = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with pipe:
        assert pipe.stdout is not None
        assert pipe.stderr is not None
        pipe.stdout.read(1)
        pipe.stdout.close()
        assert pipe.stderr.read() == b""
    assert pipe.returncode == 141


def test_a_full_disk_is_named() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "common.cli", "--version"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    expected = "slabhound: cannot write the output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_closed_streams_do_not_matter() -> None:
    done = subprocess.run(["/bin/sh", "-c", f"{sys.executable} -m common.cli --version >&- 2>&-"], check=False)
    assert done.returncode == 0


def test_names_the_encoding_lacks_are_escaped(tmp_path: Path) -> None:
    done = run_made_up(tmp_path, "options.screen.write(['caf\\u00e9']); return 0", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "caf\\xe9\n")


def test_options_become_arguments() -> None:
    module = types.ModuleType("made_up")
    module.OPTIONS = (  # type: ignore[attr-defined] # a module made for this test
        Option("node", "its name, 100 % yours"),
        Option("once", "one", flag=True),
        Option("label", "K=V", repeat=True, metavar="K=V"),
    )
    module.add_arguments = lambda parser: parser.add_argument("place")  # type: ignore[attr-defined] # same
    parser = build_parser("nodes", module)
    parsed = parser.parse_args(["--node", "n1", "--label", "a=1", "--label", "b=2", "here"])
    expected = Namespace(node="n1", once=None, label=["a=1", "b=2"], place="here", config=None)
    assert parsed == expected
    assert "100 % yours (SLABHOUND_NODE)" in parser.format_help()
