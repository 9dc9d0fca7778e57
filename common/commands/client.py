"""The aggregator as the client commands see it: one JSON answer, or one line that says what went wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from common import __version__
from common.errors import ConfigError, ServerError
from common.problem_text import problem_text

__all__ = ["Client", "path_segment"]

_PAGE = 1000
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_HINTS = {
    "urn:slabhound:problem:unknown-cache": "; here: `slabhound caches`, and --at or --window for another time",
    "urn:slabhound:problem:unknown-node": "; here: `slabhound nodes`",
}
_HERE = {"127.0.0.1", "::1", "localhost"}


def path_segment(text: str) -> str:
    """A name as one segment of a URL's path."""
    return quote(text, safe="")


class Client:
    """One connection to `server` (an address without a slash at its end). Raises ConfigError."""

    def __init__(
        self, server: str, token_file: str | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._server = server
        headers = {"User-Agent": f"slabhound/{__version__}", "Accept": "application/json"}
        if token_file:
            headers["Authorization"] = f"Bearer {_token(token_file)}"
        try:
            self._http = httpx.Client(
                base_url=server,
                headers=headers,
                timeout=_TIMEOUT,
                transport=transport,
                verify=server.startswith("https:"),  # without TLS, no certificates need loading
                trust_env=urlsplit(server).hostname not in _HERE,  # a proxy cannot reach this machine's own server
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise ConfigError(f"--server {server}: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON at `/api/v1` + path; parameters that are None are left out. Raises ServerError."""
        return self._json(self._checked(self._send("GET", path, params=_present(params))))

    def get_text(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """The JSON text as the server wrote it. Raises ServerError."""
        response = self._checked(self._send("GET", path, params=_present(params)))
        self._json(response)
        return response.text

    def items(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Every item of a list, page after page. Raises ServerError."""
        wanted: dict[str, Any] = {"limit": _PAGE, **_present(params)}
        while True:
            page = self.get(path, wanted)
            yield from page["items"]
            if not page.get("next"):
                return
            wanted["cursor"] = page["next"]

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """Whatever the server answers to a POST; the caller looks at the status. Raises ServerError without one."""
        return self._send("POST", path, content=body, headers=headers)

    def refusal(self, response: httpx.Response) -> ServerError:
        """What a status of 400 or more says, for the user."""
        hint = "; give a token with --token-file" if response.status_code in {401, 403} else _hint(response)
        said = problem_text(response.content, response.reason_phrase or "no reason given")
        return ServerError(f"{self._server} answered {response.status_code}: {said}{hint}")

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._http.request(method, f"/api/v1{path}", **request)
        except httpx.ConnectError as error:
            raise ServerError(
                f"no aggregator at {self._server} ({_plain(error)}): start one with `slabhound server`,"
                " or name another with --server"
            ) from None
        except httpx.TimeoutException:
            raise ServerError(f"{self._server} did not answer in time: try again, or a shorter --window") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last of a host that can be no name
            raise ServerError(f"{self._server}: {_plain(error)}") from None

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_error:
            raise self.refusal(response)
        return response

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError:
            kind = response.headers.get("content-type", "nothing")
            raise ServerError(f"{self._server} is no aggregator: it answered {kind} where JSON is due") from None


def _hint(response: httpx.Response) -> str:
    """What the server says in terms of addresses, in terms of commands."""
    try:
        return _HINTS.get(response.json()["type"], "")
    except (ValueError, KeyError, TypeError):
        return ""


def _plain(error: Exception) -> str:
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


def _present(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _token(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - a plain path from an option
            token = file.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not plain text"
        raise ConfigError(f"{path}: cannot read the token: {reason}") from None
    if not token:
        raise ConfigError(f"{path}: the first line holds no token")
    return token
