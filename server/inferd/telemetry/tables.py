"""The Prometheus view of tables: what was asked for at once, what was no value, and the threads."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.metrics import family, histograms
from inferd.telemetry.statistics import Histogram


class Statistics(Protocol):
    """What is counted of a table."""

    @property
    def sizes(self) -> Histogram:
        """For how many keys it was asked at once."""

    @property
    def wrong(self) -> int:
        """Cells that were not of the declared type."""


class Executor(Protocol):
    """Threads that run functions."""

    @property
    def running(self) -> int:
        """How many run."""

    @property
    def waiting(self) -> int:
        """How many wait for a thread."""

    @property
    def finished(self) -> int:
        """How many were run."""

    @property
    def refused(self) -> int:
        """How many were not, because too many waited."""


class Tables(Protocol):
    """All tables."""

    @property
    def statistics(self) -> Mapping[str, Statistics]:
        """By table."""

    @property
    def executor(self) -> Executor:
        """What runs those that are functions."""


class TableMetrics(Collector):
    """All that tables count."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        counts, executor = self._tables.statistics, self._tables.executor
        yield histograms(
            "inferd_feature_table_batch_rows",
            "Rows that a table was asked for at once, on behalf of whoever asked meanwhile",
            [({"table": name}, it.sizes) for name, it in counts.items()],
        )
        yield family(
            "inferd_feature_table_wrong",
            "Cells of tables that were not of the declared type, and were taken for missing",
            "counter",
            [({"table": name}, it.wrong) for name, it in counts.items()],
        )
        yield family(
            "inferd_compute_finished",
            "Functions that were run on a thread",
            "counter",
            [({}, executor.finished)],
        )
        yield family(
            "inferd_compute_refused",
            "Functions that were not run, because too many waited for a thread",
            "counter",
            [({}, executor.refused)],
        )
        yield family(
            "inferd_compute_running", "Functions on threads", "gauge", [({}, executor.running)]
        )
        yield family(
            "inferd_compute_waiting",
            "Functions that wait for a thread",
            "gauge",
            [({}, executor.waiting)],
        )
