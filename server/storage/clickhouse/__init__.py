"""The scale-out store: ClickHouse keeps everything, so that any number of aggregators give the same answers."""

from server.storage.clickhouse.schema import init
from server.storage.clickhouse.store import ClickHouseStore
from server.storage.clickhouse.target import Target

__all__ = ["ClickHouseStore", "Target", "init"]
