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


class States(Protocol):
    """What is known of the events of entities."""

    @property
    def corrupt(self) -> Mapping[str, int]:
        """States that could not be read, by view."""


class Turns(Protocol):
    """Writes of events."""

    @property
    def conflicts(self) -> int:
        """Writes that were made again, because another server was first."""


class Events(Protocol):
    """Who takes events in."""

    @property
    def recorded(self) -> Mapping[tuple[str, str], int]:
        """Events by name and what became of them."""

    @property
    def waiting(self) -> int:
        """Events that are not being written yet."""

    @property
    def states(self) -> States:
        """What is known of them."""

    @property
    def turns(self) -> Turns:
        """How they are written."""


class EventMetrics(Collector):
    """All that is counted of events."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        events = self._events
        yield family(
            "inferd_feature_events",
            "Events that were to be recorded, by what became of them",
            "counter",
            [({"event": name, "status": it}, n) for (name, it), n in events.recorded.items()],
        )
        yield family(
            "inferd_feature_events_waiting",
            "Events that wait to be written, once for each view that tells of them",
            "gauge",
            [({}, events.waiting)],
        )
        yield family(
            "inferd_feature_event_conflicts",
            "States that were written again, because another server was first",
            "counter",
            [({}, events.turns.conflicts)],
        )
        yield family(
            "inferd_feature_event_corrupt",
            "States in the store that could not be read, and were taken for missing",
            "counter",
            [({"view": view}, it) for view, it in events.states.corrupt.items()],
        )


class Near(Protocol):
    """Rows that are kept in this process."""

    @property
    def hits(self) -> int:
        """How many rows that were asked for were at hand."""

    @property
    def misses(self) -> int:
        """How many were not."""

    def __len__(self) -> int:
        """Return how many are at hand."""


class FeatureMetrics(Collector):
    """All that a feature store counts."""

    def __init__(self, store: Store, sizes: Histogram, *, near: Near | None = None) -> None:
        """`sizes` counts for how many rows the store behind it was asked at once.

        `near`: what is kept before the store; None: nothing is.
        """
        self._store = store
        self._sizes = sizes
        self._near = near

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
        if self._near is not None:
            yield from _near(self._near)


def _near(near: Near) -> Iterator[Metric]:
    yield family(
        "inferd_feature_near_reads",
        "Rows that were asked for, by whether they were at hand in this process",
        "counter",
        [({"at_hand": "yes"}, near.hits), ({"at_hand": "no"}, near.misses)],
    )
    yield family(
        "inferd_feature_near_rows", "Rows at hand in this process", "gauge", [({}, len(near))]
    )
