"""What a run showed: a tally of every request, and the verdict on the generator itself.

A measurement is only as good as its instrument. A generator that sent late measured
itself, so a run whose lag (actual send minus intended send) is above `LAG_LIMIT_MS` at
the 99th percentile is INVALID, whatever its other figures say.
"""

from collections import Counter
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram

from inferd_perf.schedule import Window

LAG_LIMIT_MS = 1.0
#: What a process exits with whose measurement is INVALID.
INVALID_EXIT = 3
OK = "OK"

_US = 1_000_000
_HIGHEST_US = 120 * _US
_PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A distribution of durations, in milliseconds; three significant digits."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Durations:
    """A histogram (HDR, 1 µs to 2 min) of durations given in seconds."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, _HIGHEST_US, 3)

    def record(self, seconds: float) -> None:
        """Count one duration; below 1 µs counts as 1 µs, above 2 min as 2 min."""
        self._histogram.record_value(min(max(round(seconds * _US), 1), _HIGHEST_US))

    def summary(self) -> Percentiles | None:
        """Return the usual percentiles; None when nothing was recorded.

        Takes milliseconds: not for a loop that is measuring.
        """
        count = int(self._histogram.get_total_count())
        if count == 0:
            return None
        at_us = self._histogram.get_percentile_to_value_dict(_PERCENTILES)
        return Percentiles(count, *(at_us[percentile] / 1000 for percentile in _PERCENTILES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of a run's measured part."""

    #: Seconds from the end of the warm-up to the last answer, or to the end of the window.
    elapsed_s: float
    requests: int
    #: OK answers within the deadline, counted from the intended send time.
    good: int
    #: OK answers after it: the wire delivered, the caller had gone.
    late: int
    statuses: dict[str, int]
    #: Arrivals that the generator dropped because too many requests were in flight.
    skipped: int
    goodput_rps: float
    throughput_rps: float
    latency: Percentiles | None
    failure_latency: Percentiles | None
    lag: Percentiles | None


class Tally:
    """Counts the measured requests of a run. Times are in seconds from its start."""

    def __init__(self, window: Window, deadline_s: float) -> None:
        self._window = window
        self._deadline_s = deadline_s
        self._latency = Durations()
        self._failure_latency = Durations()
        self._lag = Durations()
        self._statuses: Counter[str] = Counter()
        self._good = 0
        self._skipped = 0
        self._last_s = 0.0
        self.sent = 0
        self.answered = 0

    def __repr__(self) -> str:
        return f"<Tally sent={self.sent} answered={self.answered} {dict(self._statuses)}>"

    @property
    def in_flight(self) -> int:
        """Requests sent and not yet answered, warm-up included."""
        return self.sent - self.answered

    @property
    def good(self) -> int:
        """Measured OK answers within the deadline so far."""
        return self._good

    def send(self, intended_s: float, sent_s: float) -> None:
        """Count a request that was meant for `intended_s` and left at `sent_s`."""
        self.sent += 1
        if self._window.measures(intended_s):
            self._lag.record(sent_s - intended_s)

    def skip(self, intended_s: float) -> None:
        """Count an arrival that was not sent at all."""
        if self._window.measures(intended_s):
            self._skipped += 1

    def answer(self, intended_s: float, done_s: float, status: str) -> None:
        """Count an answer that came at `done_s`; `status` is the gRPC code's name."""
        self.answered += 1
        if not self._window.measures(intended_s):
            return
        latency_s = done_s - intended_s
        self._last_s = max(self._last_s, done_s)
        self._statuses[status] += 1
        if status != OK:
            self._failure_latency.record(latency_s)
            return
        self._latency.record(latency_s)
        self._good += latency_s <= self._deadline_s

    def summary(self) -> Summary:
        """Return the figures so far."""
        requests = self._statuses.total()
        span_s = self._last_s - self._window.warmup_s
        if self._window.count is None:
            span_s = max(span_s, self._window.duration_s)
        elapsed_s = max(span_s, 1 / _US)
        return Summary(
            elapsed_s=elapsed_s,
            requests=requests,
            good=self._good,
            late=self._statuses[OK] - self._good,
            statuses=dict(self._statuses.most_common()),
            skipped=self._skipped,
            goodput_rps=self._good / elapsed_s,
            throughput_rps=requests / elapsed_s,
            latency=self._latency.summary(),
            failure_latency=self._failure_latency.summary(),
            lag=self._lag.summary(),
        )


def faults(summary: Summary) -> list[str]:
    """Return why the run says nothing about the server; empty: it is valid."""
    found = []
    if summary.requests == 0:
        found.append("no request was measured")
    if summary.lag is not None and summary.lag.p99_ms > LAG_LIMIT_MS:
        found.append(
            f"the generator sent late: lag p99 {summary.lag.p99_ms:.3g} ms, limit {LAG_LIMIT_MS:g}"
        )
    if summary.skipped:
        found.append(f"the generator dropped {summary.skipped} arrivals: too many in flight")
    return found
