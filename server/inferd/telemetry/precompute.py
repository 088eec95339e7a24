"""The Prometheus view of refresh-ahead: what was refreshed, what was not, and what it took."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.metrics import family


class Statistics(Protocol):
    """What refresh-ahead counts, in cache entries."""

    @property
    def refreshed(self) -> int:
        """Refreshed before their end."""

    @property
    def failed(self) -> int:
        """Refreshes that failed; the same entry may have several."""

    @property
    def skipped(self) -> Mapping[str, int]:
        """Due and not refreshed in time, by the reason."""

    @property
    def cpu_s(self) -> float:
        """What refreshing took of the event loop's thread, in seconds."""


class RefreshAhead(Protocol):
    """What refreshes ahead."""

    @property
    def statistics(self) -> Statistics:
        """What it counts."""

    @property
    def tracked(self) -> int:
        """How many keys have a counter."""


class PrecomputeMetrics(Collector):
    """All that refresh-ahead counts."""

    def __init__(self, ahead: RefreshAhead) -> None:
        self._ahead = ahead

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        counts = self._ahead.statistics
        yield family(
            "inferd_precompute_refreshed",
            "Cache entries that were computed again before their end",
            "counter",
            [({}, counts.refreshed)],
        )
        yield family(
            "inferd_precompute_failed",
            "Refreshes that failed; they are tried again until the entry's end",
            "counter",
            [({}, counts.failed)],
        )
        yield family(
            "inferd_precompute_skipped",
            "Cache entries that ended before their turn came: no share left, or the server busy",
            "counter",
            [({"reason": reason}, count) for reason, count in counts.skipped.items()],
        )
        yield family(
            "inferd_precompute_cpu_seconds",
            "What refreshes took of the event loop's thread",
            "counter",
            [({}, counts.cpu_s)],
        )
        yield family(
            "inferd_precompute_tracked_keys",
            "Keys whose accesses are counted",
            "gauge",
            [({}, self._ahead.tracked)],
        )
