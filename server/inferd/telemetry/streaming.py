"""What a stream counts, and the Prometheus view of it."""

from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.metrics import family, histograms
from inferd.telemetry.statistics import Histogram

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Bounds, for how many events were read, or published, at once."""
LAGS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400)
"""Bounds, for how long ago events happened."""


class StreamStatistics:
    """What happened to events. Recording is a few additions; only the event loop writes."""

    def __init__(self, latency_bounds_s: Sequence[float]) -> None:
        #: From reading an event until its result was published.
        self.latency = Histogram(latency_bounds_s)
        #: From when it happened until then, by the wall clock.
        self.event_time_lag = Histogram(LAGS_S)
        self.read_sizes, self.published_sizes = Histogram(SIZES), Histogram(SIZES)
        #: Of those read, the ones that had been handed out before.
        self.redelivered = 0
        #: Results by event type and status.
        self.results: Counter[tuple[str, str]] = Counter()
        #: Results that had been published before.
        self.duplicates = 0
        #: Letters by stage and reason.
        self.letters: Counter[tuple[str, str]] = Counter()
        #: What predictions were, by model and version.
        self.predictions: dict[tuple[str, str], Histogram] = {}
        #: How often it did not answer: source, results, letters.
        self.failures: Counter[str] = Counter()
        self.in_hand = 0
        self.paused = False
        #: How many events wait to be read; None: nobody knows.
        self.lag: int | None = None

    def predicted(
        self, model: str, version: str, prediction: object, bounds: Sequence[float]
    ) -> None:
        """Count what a model said, if it is a number."""
        if not isinstance(prediction, int | float):
            return
        histogram = self.predictions.get((model, version))
        if histogram is None:
            histogram = self.predictions[model, version] = Histogram(bounds)
        histogram.observe(prediction)


class StreamMetrics(Collector):
    """All that a stream counts."""

    def __init__(self, statistics: StreamStatistics) -> None:
        self._statistics = statistics

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        it = self._statistics
        yield from _histograms(it)
        yield family(
            "inferd_stream_redelivered",
            "Events read that had been handed out before",
            "counter",
            [({}, it.redelivered)],
        )
        yield family(
            "inferd_stream_results",
            "Results published, by event type and status",
            "counter",
            [
                ({"event_type": type_, "status": status}, count)
                for (type_, status), count in it.results.items()
            ],
        )
        yield family(
            "inferd_stream_duplicates",
            "Results that had been published before",
            "counter",
            [({}, it.duplicates)],
        )
        yield family(
            "inferd_stream_letters",
            "Events that did not go as they should, by stage and reason",
            "counter",
            [
                ({"stage": stage, "reason": reason}, count)
                for (stage, reason), count in it.letters.items()
            ],
        )
        yield family(
            "inferd_stream_failures",
            "How often a source or a sink did not do what it was asked",
            "counter",
            [({"of": name}, count) for name, count in it.failures.items()],
        )
        yield family(
            "inferd_stream_in_hand",
            "Events that have been read and are not published yet",
            "gauge",
            [({}, it.in_hand)],
        )
        yield family(
            "inferd_stream_paused", "1 while nothing is read", "gauge", [({}, float(it.paused))]
        )
        yield family(
            "inferd_stream_lag_events",
            "Events that wait to be read",
            "gauge",
            [] if it.lag is None else [({}, it.lag)],
        )


def _histograms(it: StreamStatistics) -> Iterator[Metric]:
    yield histograms(
        "inferd_pipeline_latency_seconds",
        "From reading an event until its result was published",
        [({}, it.latency)],
    )
    yield histograms(
        "inferd_event_time_lag_seconds",
        "From when an event happened until its result was published",
        [({}, it.event_time_lag)],
    )
    yield histograms(
        "inferd_stream_prediction",
        "What models predicted",
        [
            ({"model": model, "version": version}, histogram)
            for (model, version), histogram in it.predictions.items()
        ],
    )
    yield histograms("inferd_stream_read_events", "Events read at once", [({}, it.read_sizes)])
    yield histograms(
        "inferd_stream_published_events",
        "Events whose results were published at once",
        [({}, it.published_sizes)],
    )
