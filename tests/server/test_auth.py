"""Who may come in, with a token file and without."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from common.errors import ConfigError
from server.auth import Tokens
from server.problems import Problem
from server.settings import ServerSettings
from tests.server.harness import Aggregator, assert_problem, run, wire

GUARDED = ["/api/v1/nodes", "/api/v1/outliers", "/api/v1/nodes/x/diff", "/metrics"]
OPEN = ["/healthz", "/readyz", "/openapi.json", "/docs"]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("# agents\nfirst\n\n  second  \n")
    return path


def test_a_token_is_asked_for_where_there_are_tokens(tokens: Path) -> None:
    async def test(a: Aggregator) -> None:
        for path in GUARDED:
            missing = await a.client.get(path)
            assert_problem(missing, "unauthenticated")
            assert missing.headers["www-authenticate"].startswith("Bearer")
            assert_problem(await a.client.get(path, headers=bearer("third")), "forbidden")
            assert_problem(await a.client.get(path, headers=bearer("# agents")), "forbidden")
            for scheme in ("Basic first", "Bearer", "Bearer ", "first"):
                assert_problem(await a.client.get(path, headers={"authorization": scheme}), "unauthenticated")
            for token in ("first", "second"):
                assert (await a.client.get(path, headers=bearer(token))).status_code in {200, 404}
        assert_problem(await a.post(wire()), "unauthenticated")
        assert (await a.post(wire(), authorization="bearer first")).status_code == 201
        for path in OPEN:
            assert (await a.client.get(path)).status_code == 200

    run(test, ServerSettings(token_file=tokens))


def test_a_token_of_odd_bytes_is_just_unknown(tokens: Path) -> None:
    async def test(a: Aggregator) -> None:
        headers = httpx.Headers({b"authorization": b"Bearer \xff\xfe\x80"}, encoding="latin-1")
        assert_problem(await a.client.get("/api/v1/nodes", headers=headers), "forbidden")

    run(test, ServerSettings(token_file=tokens))


def test_without_tokens_everybody_may_come_in() -> None:
    async def test(a: Aggregator) -> None:
        for path in (*GUARDED, *OPEN):
            assert (await a.client.get(path, headers=bearer("any"))).status_code in {200, 404}

    run(test)


def test_the_file_is_read_again_when_it_changes(tokens: Path) -> None:
    known = Tokens(tokens)
    known.check("Bearer first")
    tokens.write_text("third token\n")
    os.utime(tokens, ns=(1, 1))
    with pytest.raises(Problem, match="not known"):
        known.check("Bearer first")
    known.check("Bearer third token")


def test_a_file_that_goes_away_leaves_the_tokens(tokens: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = Tokens(tokens)
    tokens.unlink()
    known.check("Bearer first")
    with pytest.raises(Problem):
        known.check("Bearer third")
    assert len(caplog.records) == 1  # said once, not at each push
    tokens.write_text("third\n")
    known.check("Bearer third")


def test_an_emptied_file_lets_nobody_in(tokens: Path) -> None:
    known = Tokens(tokens)
    tokens.write_text("")
    with pytest.raises(Problem, match="not known"):
        known.check("Bearer first")


@pytest.mark.parametrize("text", [None, "", "# nothing\n\n"])
def test_a_file_without_tokens_stops_the_start(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "tokens"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match="token"):
        Tokens(path)
