"""The agent's options, its name, and where it keeps what it cannot send."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import pytest

from agent.assembly import default_spool, left, node_name, open_spool
from agent.cli import (
    OPTIONS,
    parse_group,
    parse_interval,
    parse_label,
    parse_node,
    run,
)
from agent.spool import DiskSpool, MemorySpool
from common.errors import ConfigError


def options(**given: object) -> Namespace:
    """What the command line hands over."""
    return Namespace(**{option.attribute: option.default for option in OPTIONS} | given)


def test_labels() -> None:
    assert parse_label("rack=r4") == ("rack", "r4")
    assert parse_label("note=a=b") == ("note", "a=b")
    assert parse_label("empty=") == ("empty", "")


@pytest.mark.parametrize("text", ["rack", "=r4", "a=\n", "k=" + "v" * 257])
def test_no_labels(text: str) -> None:
    with pytest.raises(ValueError, match="is no label"):
        parse_label(text)


def test_nodes_groups_intervals() -> None:
    assert parse_node("web-1.example:9") == "web-1.example:9"
    assert parse_group("web servers") == "web servers"
    assert parse_interval("90s") == 90
    for parse, text in ((parse_node, "-a"), (parse_node, "a b"), (parse_group, ""), (parse_group, "a\tb")):
        with pytest.raises(ValueError, match="is no"):
            parse(text)
    for text in ("0.5s", "2d", "soon"):
        with pytest.raises(ValueError, match="is no"):
            parse_interval(text)


def test_without_a_server_it_says_what_to_give() -> None:
    with pytest.raises(ConfigError, match="--server URL"):
        run(options())


def test_a_hostname_is_the_nodes_name() -> None:
    log: list[str] = []
    assert node_name("lvs1.example", foreign=False, say=log.append) == "lvs1.example"
    assert log == []


@pytest.mark.parametrize(
    ("hostname", "name"), [("my_host!", "my_host-"), ("-edge", "edge"), ("größe", "gr--e"), ("h" * 300, "h" * 253)]
)
def test_a_hostname_that_breaks_the_rule_is_mended_and_said(hostname: str, name: str) -> None:
    log: list[str] = []
    assert node_name(hostname, foreign=False, say=log.append) == name
    assert len(log) == 1
    assert "--node" in log[0]


def test_a_hostname_that_leaves_nothing() -> None:
    with pytest.raises(ConfigError, match="--node"):
        node_name("---", foreign=False, say=lambda _: None)


def test_a_containers_hostname_is_a_warning() -> None:
    log: list[str] = []
    node_name("0123456789ab", foreign=True, say=log.append)
    assert len(log) == 1
    assert "--node" in log[0]


def test_where_the_spool_is_by_default(tmp_path: Path) -> None:
    system = tmp_path / "var" / "slabhound"
    nowhere = Path("/proc/1/slabhound")
    assert default_spool({"STATE_DIRECTORY": "/s/a:/s/b"}, system=system) == Path("/s/a/spool")
    assert default_spool({"XDG_STATE_HOME": "/x"}, system=system) == system / "spool"
    if os.geteuid():
        assert default_spool({"XDG_STATE_HOME": "/x", "HOME": "/h"}, system=nowhere) == Path("/x/slabhound/spool")
        assert default_spool({"HOME": "/h"}, system=nowhere) == Path("/h/.local/state/slabhound/spool")
        assert default_spool({}, system=nowhere) is None


def test_a_spool_that_was_asked_for_must_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="give --spool"):
        open_spool(str(tmp_path / "file"), 1 << 20, once=False, environ={}, say=lambda _: None)


def test_the_default_spool_falls_back_to_memory_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log: list[str] = []
    environ = {"STATE_DIRECTORY": str(tmp_path / "file")}
    assert isinstance(open_spool(None, 1 << 20, once=False, environ=environ, say=log.append), MemorySpool)
    assert len(log) == 1
    assert "memory only" in log[0]


def test_once_beside_a_running_agent_makes_do_with_memory(tmp_path: Path) -> None:
    running = open_spool(str(tmp_path), 1 << 20, once=False, environ={}, say=lambda _: None)
    assert isinstance(running, DiskSpool)
    beside = open_spool(str(tmp_path), 1 << 20, once=True, environ={}, say=lambda _: None)
    assert isinstance(beside, MemorySpool)


def test_what_is_left_at_the_end_is_all_told(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, limit=4096)
    assert left(spool) == "everything is sent"
    for entry in (b"a", b"b", b"c"):
        spool.add(entry)
    spool.reject(b"d", "413")
    assert left(spool) == (
        f"1 snapshot kept in {tmp_path}; 1 snapshot refused for good, set aside in {tmp_path}/rejected; "
        "2 snapshots dropped"
    )
