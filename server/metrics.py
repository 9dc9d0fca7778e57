"""What the aggregator says of itself to Prometheus; every metric of an app lives in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.storage.base import StoreStatus

__all__ = ["Metrics"]

_CLOCK_BUCKETS = (0.1, 0.5, 1, 5, 30, 60, 300, 3600, 86400)
_REPORT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The aggregator's counters. Units stand in the names; each is described in its help."""

    def __init__(self, status: Callable[[], StoreStatus]) -> None:
        registry = self.registry = CollectorRegistry()
        self.stored = Counter("slabhound_snapshots_stored", "Snapshots stored.", registry=registry)
        self.duplicates = Counter(
            "slabhound_snapshots_duplicate", "Snapshots sent again, which the store had already.", registry=registry
        )
        self.refused = Counter(
            "slabhound_refused", "Requests refused, by kind of problem.", ["problem"], registry=registry
        )
        self.body_bytes = Counter(
            "slabhound_body_bytes", "Bytes of bodies taken in, as sent and inflated.", ["form"], registry=registry
        )
        self.pending = Gauge("slabhound_pending_bytes", "Bytes of bodies being taken in now.", registry=registry)
        self.skew = Histogram(
            "slabhound_clock_offset_seconds",
            "Absolute difference of a sender's clock and the server's.",
            buckets=_CLOCK_BUCKETS,
            registry=registry,
        )
        self.delay = Histogram(
            "slabhound_delivery_delay_seconds",
            "Time from a snapshot to its delivery, by the sender's clock.",
            buckets=_CLOCK_BUCKETS,
            registry=registry,
        )
        self.requests = Counter(
            "slabhound_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "slabhound_http_request_seconds", "Time to answer a request.", ["route"], registry=registry
        )
        self.report_seconds = Histogram(
            "slabhound_report_seconds",
            "Time to compute an analysis.",
            ["report"],
            buckets=_REPORT_BUCKETS,
            registry=registry,
        )
        self.maintenance_failures = Counter(
            "slabhound_maintenance_failures", "Rounds of maintenance that failed.", registry=registry
        )
        registry.register(_StoreCollector(status))
        ProcessCollector(registry=registry)

    def text(self) -> bytes:
        """The exposition format; asks the store, so it blocks."""
        return generate_latest(self.registry)


class _StoreCollector(Collector):
    """Asks the store when somebody asks for metrics."""

    def __init__(self, status: Callable[[], StoreStatus]) -> None:
        self._status = status

    def describe(self) -> Iterable[Metric]:
        """Nothing up front: registering must not ask the store."""
        return ()

    def collect(self) -> Iterable[Metric]:
        status = self._status()
        yield _gauge("slabhound_store_nodes", "Nodes in the store.", status.nodes)
        yield _gauge("slabhound_store_snapshots", "Exact snapshots in the store.", status.snapshots)
        yield _gauge("slabhound_store_bytes", "Bytes the store takes on disk.", status.bytes_on_disk)
        yield _gauge("slabhound_store_writable", "1 when the store takes snapshots, else 0.", int(status.writable))
        for name, value in sorted(status.counters.items()):
            yield _gauge(f"slabhound_store_{name}", f"The storage engine's own figure: {name}.", value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
