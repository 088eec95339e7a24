"""The Prometheus view of features: what was read and written, how old it was, and what was broken.

As with all metrics nothing is recorded here; a scrape reads what the feature store counts.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.metrics import family, histograms
from inferd.telemetry.statistics import Histogram

ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Bounds, for how many rows a store is asked at once."""


class Statistics(Protocol):
    """What is counted by view."""

    @property
    def reads(self) -> Mapping[tuple[str, str], int]:
        """Values by view and status."""

    @property
    def writes(self) -> Mapping[tuple[str, str], int]:
        """Rows by view and what became of them."""

    @property
    def ages(self) -> Mapping[str, Histogram]:
        """How old what was read was, in seconds, by view."""


class Store(Protocol):
    """A feature store."""

    @property
    def statistics(self) -> Statistics:
        """What it counts."""

    @property
    def corrupt(self) -> Mapping[str, int]:
        """Rows that could not be read, by view."""


class FeatureMetrics(Collector):
    """All that a feature store counts."""

    def __init__(self, store: Store, sizes: Histogram) -> None:
        """`sizes` counts for how many rows the store behind it was asked at once."""
        self._store = store
        self._sizes = sizes

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        counts = self._store.statistics
        yield family(
            "inferd_feature_reads",
            "Values that were asked for, by status",
            "counter",
            [({"view": view, "status": status}, it) for (view, status), it in counts.reads.items()],
        )
        yield family(
            "inferd_feature_writes",
            "Rows that were to be written, by what became of them",
            "counter",
            [
                ({"view": view, "status": status}, it)
                for (view, status), it in counts.writes.items()
            ],
        )
        yield histograms(
            "inferd_feature_age_seconds",
            "How long ago what was read came to be so",
            [({"view": view}, it) for view, it in counts.ages.items()],
        )
        yield family(
            "inferd_feature_corrupt",
            "Rows in the store that could not be read, and were taken for missing",
            "counter",
            [({"view": view}, it) for view, it in self._store.corrupt.items()],
        )
        yield histograms(
            "inferd_feature_batch_rows",
            "Rows that the store was asked for at once, on behalf of whoever asked meanwhile",
            [({}, self._sizes)],
        )
