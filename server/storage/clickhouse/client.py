"""Talking to ClickHouse: queries and inserts over HTTP, its errors in plain words."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.errors import ConfigError, StoreError, StoreFullError
from server.storage.clickhouse.native import Answer, pack, unpack
from server.storage.clickhouse.target import Target

__all__ = ["Client", "LostAnswerError", "TargetError"]

_SETTINGS: dict[str, Any] = {
    # Never an answer with a part missing; never "stored" before every shard said so.
    "skip_unavailable_shards": 0,
    "distributed_foreground_insert": 1,
    "async_insert": 0,
    # One that asks for some nodes asks only their shards: the others' trouble is not theirs.
    "optimize_skip_unused_shards": 1,
    # An insert that is repeated is told by its token, in the views too.
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_partitions_per_insert_block": 0,
}
_FULL = {243, 252, 164, 242, 319, 285}
"""NOT_ENOUGH_SPACE, TOO_MANY_PARTS, READONLY, TABLE_IS_READ_ONLY, UNKNOWN_STATUS_OF_INSERT, TOO_FEW_LIVE_REPLICAS."""
_LOGIN = {192, 193, 194, 516}
_UNKNOWN = {81: "no such database", 60: "a table is not there: restore it, or for an empty one"}
_SECONDS = 60


class LostAnswerError(StoreError):
    """The server could not be reached or did not answer: an insert may or may not have been done."""


class TargetError(StoreError):
    """The server, or the URL that names it, is at fault, and its line says all that is known."""


class Client:
    """Safe to use from any thread."""

    def __init__(self, target: Target, *, use_database: bool = True) -> None:
        try:
            import clickhouse_connect  # noqa: PLC0415 - an extra: only who uses it needs it
            from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415 - as above, only when used
        except ModuleNotFoundError as error:
            if error.name and error.name.partition(".")[0] == "clickhouse_connect":
                raise ConfigError(
                    "store clickhouse:// needs its client: pip install 'slabhound[server,clickhouse]'"
                ) from None
            raise
        # What it would write to standard error by itself is in the errors it raises.
        logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
        self.target = target
        self._errors = ClickHouseError
        with self._plain():
            self._client = clickhouse_connect.get_client(
                interface="https" if target.secure else "http",
                host=target.host,
                port=target.port,
                username=target.user,
                password=target.password,
                database=target.database if use_database else None,
                compress="zstd",
                connect_timeout=5,
                send_receive_timeout=_SECONDS,
                query_retries=0,
                autogenerate_session_id=False,
                client_name="slabhound",
                settings=_SETTINGS,
                dedicated_pool=True,
            )

    @contextlib.contextmanager
    def _plain(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise self._translate(error) from error
        except OSError as error:
            raise LostAnswerError(f"store {self.target}: {error}: is it running?") from error

    def _translate(self, error: Exception) -> StoreError:
        text = " ".join(str(error).split())
        found = re.search(r"[Cc]ode:? (\d+)", text)
        code = int(found[1]) if found else None
        if code is None:
            caused = re.search(r"\[Errno -?\d+\] ([^'\")]+)", text)
            reason = caused[1] if caused else re.sub(r"<[^>]*object at[^>]*>:? ?", "", text)[:200]
            return LostAnswerError(f"store {self.target} does not answer ({reason}): is it running?")
        said = re.sub(r"^.*?DB::Exception: |\. \([A-Z_]+\) \(version .*$", "", text)[:300]
        if code in {279, 210, 209, 198}:  # all connection tries failed, network error, socket timeout, DNS
            return TargetError(f"store {self.target}: a shard does not answer, so nothing is said of the rest: {said}")
        if code in _FULL:
            return StoreFullError(f"store {self.target} takes nothing now: {said}")
        if code in _LOGIN:
            return TargetError(f"store {self.target}: user or password is wrong: see --store-password-file")
        if code in _UNKNOWN:
            return TargetError(f"store {self.target}: {_UNKNOWN[code]}: run slabhound server --store URL --init once")
        return StoreError(f"store {self.target}: {said}")

    def ask(self, query: str) -> Answer:
        """The columns of what a SELECT gives. Raises StoreError."""
        with self._plain():
            return unpack(self._client.raw_query(query, fmt="Native"))

    def command(self, query: str) -> None:
        """Raises StoreError."""
        with self._plain():
            self._client.raw_query(query)

    def insert(self, table: str, columns: Mapping[str, tuple[str, Sequence[Any]]], token: str) -> None:
        """Done when the server (and every shard concerned) said so; with the same token it is done once.

        Raises LostAnswerError when it is not known whether it was done, else StoreError.
        """
        with self._plain():
            self._client.raw_insert(
                table,
                list(columns),
                pack(columns),
                settings={"insert_deduplication_token": token, "max_insert_block_size": 1_000_000},
                fmt="Native",
            )

    def close(self) -> None:
        self._client.close()
