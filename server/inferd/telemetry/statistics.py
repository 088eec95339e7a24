"""What every model version counts: the one source for `ModelStatistics` and for Prometheus.

Recording is a few additions and no more: no locks (only the event loop writes), no label
look-ups, no conversions. What follows from something else, a count from a histogram, a
duration from a sum, is worked out by whoever reads. Recording takes seconds; `Duration` is
in nanoseconds because the protocol is.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

STATES = ("LOADING", "WARMING", "READY", "DRAINING", "UNLOADED", "FAILED")
"""Every state a model version can be in."""

RATIOS = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0, 8.0)
"""Bounds for how many times as long something took as was predicted."""

REJECTED, CANCELED, BACKEND, OTHER = "REJECTED", "CANCELED", "BACKEND", "OTHER"
"""Why a request failed, in Triton's words (its spelling, too)."""

_TRITON_REASONS = {"MODEL_FAILED": BACKEND, "CANCELLED": CANCELED} | {
    reason: reason for reason in (REJECTED, CANCELED, BACKEND, OTHER)
}


class Histogram:
    """Counts of values by upper bound. A value on a bound belongs to it, as `le` says."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        if any(low >= high for low, high in pairwise(bounds)):
            raise ValueError(f"histogram bounds must ascend, got {list(bounds)}")
        self.bounds = tuple(bounds)
        #: How many fell into each bucket, not cumulative; the last has no upper bound.
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one finite value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def cumulative(self) -> list[int]:
        """Return how many values were at or below each bound; last, how many there were."""
        return list(accumulate(self.counts))


@dataclass(frozen=True, slots=True)
class Duration:
    """So many times, taking so long together."""

    count: int
    ns: int


class BatchStatistics:
    """The runs of one batch size. Times in nanoseconds, summed."""

    __slots__ = ("count", "infer_ns", "input_ns", "output_ns")

    def __init__(self) -> None:
        self.count = 0
        self.input_ns = 0
        self.infer_ns = 0
        self.output_ns = 0


def _nothing_waits() -> int:
    return 0


class ModelStatistics:
    """One version of one model, since it was loaded. Reading is free of side effects.

    A request ends in exactly one of `answered`, `failed` and `dropped`; a batch in
    `batch_done`. Durations of the three compute steps count a batch once for every request
    in it, as Triton's do: they say what requests went through, not what the machine did.
    That is in `batches`.
    """

    __slots__ = (
        "_cancelled",
        "_cancelled_s",
        "_computed",
        "_failed",
        "_failed_s",
        "_infer_ns",
        "_input_ns",
        "_output_ns",
        "_wall_ns",
        "batch_rows",
        "batch_wait_s",
        "batches",
        "closed",
        "compute_s",
        "drops",
        "ejections",
        "evicted_count",
        "execution_count",
        "failures",
        "inference_count",
        "instances",
        "last_inference_ms",
        "memory_bytes",
        "model",
        "padding_rows",
        "prediction",
        "queue_depth",
        "queue_s",
        "rebuilds",
        "slack_s",
        "state",
        "tags",
        "total_s",
        "version",
        "wasted_s",
    )

    def __init__(
        self,
        model: str,
        version: str,
        *,
        latency_bounds_s: Sequence[float],
        batch_bounds: Sequence[int],
        tags: Mapping[str, str] | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.model = model
        self.version = version
        #: The model's own `metric_tags`, labels on everything it exports.
        self.tags: Mapping[str, str] = tags or {}
        #: One of `STATES`.
        self.state = "LOADING"
        #: What the version takes while it is loaded. 0: not known.
        self.memory_bytes = 0
        #: How many batches can run at once: the instances in service.
        self.instances = 0
        #: Instances that were taken out of service, and those that were built anew.
        self.ejections = 0
        self.rebuilds = 0
        #: How many requests wait now. The owner of the queue sets it.
        self.queue_depth: Callable[[], int] = _nothing_waits

        #: Rows answered.
        self.inference_count = 0
        #: Batches run.
        self.execution_count = 0
        #: When the last batch was done, milliseconds since 1970. 0: never.
        self.last_inference_ms = 0
        #: Batches by their rows, padding not counted.
        self.batches: dict[int, BatchStatistics] = {}
        #: Batches by why they left when they did.
        self.closed: dict[str, int] = {}
        #: Requests without an answer, by Triton's reason: all four, also those that never came.
        self.failures = dict.fromkeys((REJECTED, CANCELED, BACKEND, OTHER), 0)
        #: Requests given up on or refused, by ours (`SHED`, `LATE_DROP`, ...).
        self.drops: dict[str, int] = {}
        #: Those of them that were let in and had to make room for others.
        self.evicted_count = 0
        #: Rows that were run and that nobody had asked for: they filled up batches.
        self.padding_rows = 0
        #: Seconds that instances ran for requests which came to nothing: left, or late.
        self.wasted_s = 0.0

        #: Admitted until picked for a batch, of the answered. All in seconds.
        self.queue_s = Histogram(latency_bounds_s)
        #: Picked until the run starts.
        self.batch_wait_s = Histogram(latency_bounds_s)
        #: The run.
        self.compute_s = Histogram(latency_bounds_s)
        #: Arrived at the server until answered.
        self.total_s = Histogram(latency_bounds_s)
        #: What was left of the deadline then. In the bucket of 0: answered too late.
        self.slack_s = Histogram((0.0, *latency_bounds_s))
        #: Rows per batch.
        self.batch_rows = Histogram(batch_bounds)
        #: How many times as long batches took as was predicted.
        self.prediction = Histogram(RATIOS)

        self._wall_ns = wall_ns
        self._failed = 0
        self._failed_s = 0.0
        self._cancelled = 0
        self._cancelled_s = 0.0
        self._computed = 0
        self._input_ns = 0
        self._infer_ns = 0
        self._output_ns = 0

    def batch_done(
        self,
        *,
        size: int,
        rows: int,
        reason: str,
        input_s: float,
        infer_s: float,
        output_s: float,
        padding: int = 0,
    ) -> None:
        """Count a batch of `size` requests with `rows` rows together, which left for `reason`.

        It was run with `padding` rows more.

        The three durations are the batch's: putting inputs together, running the model,
        taking outputs apart.
        """
        input_ns = int(input_s * 1e9)
        infer_ns = int(infer_s * 1e9)
        output_ns = int(output_s * 1e9)
        self.execution_count += 1
        self._computed += size
        self._input_ns += size * input_ns
        self._infer_ns += size * infer_ns
        self._output_ns += size * output_ns
        batch = self.batches.get(rows)
        if batch is None:
            batch = self.batches[rows] = BatchStatistics()
        batch.count += 1
        batch.input_ns += input_ns
        batch.infer_ns += infer_ns
        batch.output_ns += output_ns
        self.closed[reason] = self.closed.get(reason, 0) + 1
        self.batch_rows.observe(rows)
        self.padding_rows += padding
        self.last_inference_ms = self._wall_ns() // 1_000_000

    def predicted(self, seconds: float, took_s: float) -> None:
        """Note that a batch took `took_s` from the queue to its results, not `seconds`."""
        if seconds > 0:
            self.prediction.observe(took_s / seconds)

    def wasted(self, seconds: float) -> None:
        """Count what an instance did for requests that had left, or were late by then."""
        self.wasted_s += seconds

    def evicted(self) -> None:
        """Count a request that makes room for others. It is `dropped` besides."""
        self.evicted_count += 1

    def answered(
        self,
        *,
        queue_s: float,
        batch_wait_s: float,
        compute_s: float,
        total_s: float,
        slack_s: float,
        rows: int,
    ) -> None:
        """Count a request with `rows` rows that got its answer.

        `slack_s` is what was left of its deadline; infinite, it had none and says nothing.
        """
        self.inference_count += rows
        self.queue_s.observe(queue_s)
        self.batch_wait_s.observe(batch_wait_s)
        self.compute_s.observe(compute_s)
        self.total_s.observe(total_s)
        if slack_s < math.inf:
            self.slack_s.observe(slack_s)

    def failed(self, reason: str, total_s: float) -> None:
        """Count a request that got an error, `reason` being the error's or Triton's word."""
        self._count_failure(_TRITON_REASONS.get(reason, OTHER), total_s)

    def dropped(self, reason: str, total_s: float) -> None:
        """Count a request that was refused, given up on, or left by its caller."""
        self.drops[reason] = self.drops.get(reason, 0) + 1
        self._count_failure(_TRITON_REASONS.get(reason, REJECTED), total_s)

    def _count_failure(self, reason: str, total_s: float) -> None:
        self.failures[reason] += 1
        self._failed += 1
        self._failed_s += total_s
        if reason == CANCELED:
            self._cancelled += 1
            self._cancelled_s += total_s

    @property
    def busy_s(self) -> float:
        """Seconds that instances spent on batches, putting together and taking apart included."""
        runs = self.batches.values()
        return sum(each.input_ns + each.infer_ns + each.output_ns for each in runs) / 1e9

    @property
    def success(self) -> Duration:
        """Requests answered, from arrival to answer."""
        return Duration(self.total_s.count, int(self.total_s.sum * 1e9))

    @property
    def fail(self) -> Duration:
        """Requests without an answer, those refused and left included."""
        return Duration(self._failed, int(self._failed_s * 1e9))

    @property
    def cancel(self) -> Duration:
        """Requests whose caller left. They are among the failed too."""
        return Duration(self._cancelled, int(self._cancelled_s * 1e9))

    @property
    def queue(self) -> Duration:
        """Requests answered, from admission until their batch ran."""
        waited_s = self.queue_s.sum + self.batch_wait_s.sum
        return Duration(self.queue_s.count, int(waited_s * 1e9))

    @property
    def compute_input(self) -> Duration:
        """Requests run, putting inputs together."""
        return Duration(self._computed, self._input_ns)

    @property
    def compute_infer(self) -> Duration:
        """Requests run, running the model."""
        return Duration(self._computed, self._infer_ns)

    @property
    def compute_output(self) -> Duration:
        """Requests run, taking outputs apart."""
        return Duration(self._computed, self._output_ns)


class LoadStatistics:
    """How loading went, for all models: also those that never had a version to count in."""

    __slots__ = ("durations_s", "failures", "reasons")

    def __init__(self) -> None:
        #: How long the last load of a (model, version) took, in seconds.
        self.durations_s: dict[tuple[str, str], float] = {}
        #: Failed loads by model.
        self.failures: dict[str, int] = {}
        #: Why a model's last load failed. Gone once a load succeeds.
        self.reasons: dict[str, str] = {}

    def loaded(self, model: str, version: str, seconds: float) -> None:
        """Record that a version is ready, `seconds` after its load began."""
        self.durations_s[model, version] = seconds
        self.reasons.pop(model, None)

    def load_failed(self, model: str, reason: str) -> None:
        """Record that a model, or a version of it, could not be loaded."""
        self.failures[model] = self.failures.get(model, 0) + 1
        self.reasons[model] = reason

    def unloaded(self, model: str, version: str) -> None:
        """Forget how long a version took to load."""
        self.durations_s.pop((model, version), None)
