"""The Prometheus view of the statistics: Triton's names where they mean the same, then ours.

Nothing is recorded here. A scrape reads the live statistics on the event loop, which takes
a moment, and formats what it read on another thread, which takes several: the calls being
served are worth more than the scrape.
"""

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from inferd.telemetry.event_loop import LoopLag
from inferd.telemetry.rpc import RpcStatistics
from inferd.telemetry.statistics import STATES, Histogram, LoadStatistics, ModelStatistics

Labels = dict[str, str]
Models = Sequence[tuple[Labels, ModelStatistics]]
Read = Callable[[ModelStatistics], float]
ReadByReason = Callable[[ModelStatistics], Mapping[str, int]]

# Triton's counters lack the `_total` that OpenMetrics asks of counters and prometheus_client
# adds to them. As `unknown` they keep their names; `_as_text` says `counter`, as Triton does.
_TRITONS = "unknown"

_TRITON_COUNTERS: Sequence[tuple[str, str, Read]] = (
    ("nv_inference_request_success", "Requests answered", lambda it: it.success.count),
    ("nv_inference_count", "Rows answered", lambda it: it.inference_count),
    ("nv_inference_exec_count", "Batches run", lambda it: it.execution_count),
)
_TRITON_DURATIONS: Sequence[tuple[str, str, Read]] = (
    ("request", "Arrival until answer, of requests answered", lambda it: it.success.ns),
    ("queue", "Admission until the run, of requests answered", lambda it: it.queue.ns),
    ("compute_input", "Filling the batch, for each request in it", lambda it: it.compute_input.ns),
    ("compute_infer", "Running the model, for each request", lambda it: it.compute_infer.ns),
    ("compute_output", "Splitting the outputs, for each request", lambda it: it.compute_output.ns),
)
_GAUGES: Sequence[tuple[str, str, Read]] = (
    ("nv_inference_pending_request_count", "Requests waiting", lambda it: it.queue_depth()),
    ("inferd_queue_depth", "Requests waiting", lambda it: it.queue_depth()),
    ("inferd_model_memory_bytes", "What a loaded version takes", lambda it: it.memory_bytes),
    ("inferd_instances", "Batches that can run at once", lambda it: it.instances),
)
_COUNTERS: Sequence[tuple[str, str, Read]] = (
    (
        "inferd_instance_busy_seconds",
        "Time of instances spent on batches",
        lambda it: it.busy_s,
    ),
    (
        "inferd_wasted_seconds",
        "Of that, the part of requests that were late then, or left by their callers",
        lambda it: it.wasted_s,
    ),
    (
        "inferd_padding_rows",
        "Rows that filled up batches, for models that want certain sizes",
        lambda it: it.padding_rows,
    ),
    (
        "inferd_instance_ejections",
        "Instances taken out of service: their runs failed, one after the other, or hung",
        lambda it: it.ejections,
    ),
    (
        "inferd_instance_rebuilds",
        "Instances built anew in their place",
        lambda it: it.rebuilds,
    ),
    (
        "inferd_evicted",
        "Requests that were let in and had to make room for others",
        lambda it: it.evicted_count,
    ),
)
_BY_REASON: Sequence[tuple[str, str, str, ReadByReason]] = (
    (
        "nv_inference_request_failure",
        "Requests without an answer",
        _TRITONS,
        lambda it: it.failures,
    ),
    (
        "inferd_dropped",
        "Requests refused, given up on, or left by their callers",
        "counter",
        lambda it: it.drops,
    ),
    (
        "inferd_batch_closed",
        "Batches, by why they left when they did",
        "counter",
        lambda it: it.closed,
    ),
)
_NOT_IN_LABEL_NAMES = re.compile(r"[^A-Za-z0-9_]")
_NOT_FINITE = {math.inf: "+Inf", -math.inf: "-Inf"}
_STAGES: Mapping[str, Callable[[ModelStatistics], Histogram]] = {
    "queue": lambda it: it.queue_s,
    "batch_wait": lambda it: it.batch_wait_s,
    "compute": lambda it: it.compute_s,
    "total": lambda it: it.total_s,
}


class Metrics:
    """Everything there is to scrape, in a registry of its own.

    `models` returns the statistics of every version that is there now. Other parts may
    register collectors of theirs with `registry`.
    """

    def __init__(
        self,
        models: Callable[[], Iterable[ModelStatistics]],
        *,
        loads: LoadStatistics,
        rpcs: RpcStatistics | None = None,
        lag: LoopLag | None = None,
        process: bool = True,
    ) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_ModelMetrics(models))
        self.registry.register(_LoadMetrics(loads))
        if rpcs is not None:
            self.registry.register(_RpcMetrics(rpcs))
        if lag is not None:
            self.registry.register(_LagMetrics(lag))
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
            GCCollector(registry=self.registry)
            self.registry.register(_MachineMetrics())

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return the text and its content type; OpenMetrics if `accept` asks for it."""
        return _encode(_Snapshot(self.registry.collect()), accept)

    async def render(self, accept: str = "", more: bytes = b"") -> tuple[bytes, str]:
        """Return the `exposition`, made without holding the event loop for long.

        `more` is what somebody else has to add, in the classic text format.
        """
        snapshot = _Snapshot(self.registry.collect())
        return await asyncio.to_thread(_encode_both, snapshot, more, accept)


class _Snapshot(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _encode_both(snapshot: Collector, more: bytes, accept: str) -> tuple[bytes, str]:
    # As `unknown`, counters keep their names, as Triton's do.
    text = _THEIR_COUNTERS.sub(rf"\1 {_TRITONS}", more.decode())
    theirs: Iterable[Metric] = text_string_to_metric_families(text)
    return _encode(_Snapshot([*snapshot.collect(), *theirs]), accept)


_THEIR_COUNTERS = re.compile(r"^(# TYPE \S+) counter$", re.MULTILINE)


def _encode(snapshot: Collector, accept: str) -> tuple[bytes, str]:
    encode, content_type = choose_encoder(accept)
    if content_type.startswith("application/openmetrics-text"):
        return encode(snapshot), content_type
    return _as_text(snapshot.collect()).encode(), CONTENT_TYPE_PLAIN_0_0_4


def _as_text(metrics: Iterable[Metric]) -> str:
    """Return the classic text format, as Triton writes it: its types, and whole numbers whole.

    prometheus_client writes `5e+06` and cannot name a counter without `_total`. Scripts that
    read Triton's metrics expect neither.
    """
    lines = []
    for metric in metrics:
        suffix, kind = _TEXT_TYPES.get(metric.type, ("", metric.type))
        name = metric.name + suffix
        lines.append(f"# HELP {name} {_escaped(metric.documentation)}")
        lines.append(f"# TYPE {name} {kind}")
        lines += [
            f"{sample.name}{_braced(sample.labels)} {_number(sample.value)}"
            for sample in metric.samples
        ]
    return "\n".join(lines) + "\n"


_TEXT_TYPES = {
    "counter": ("_total", "counter"),
    "info": ("_info", "gauge"),
    _TRITONS: ("", "counter"),
}


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = ",".join(
        f'{_NOT_IN_LABEL_NAMES.sub("_", name)}="{_quoted(value)}"'
        for name, value in sorted(labels.items())
    )
    return f"{{{pairs}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', '\\"')


def _number(value: float) -> str:
    value = float(value)
    if value.is_integer():
        return str(int(value))
    return repr(value) if math.isfinite(value) else _NOT_FINITE.get(value, "NaN")


class _ModelMetrics(Collector):
    def __init__(self, source: Callable[[], Iterable[ModelStatistics]]) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        # While a version is replaced there are two of it. Prometheus refuses a whole scrape
        # for one repeated series, so only the newer one, which comes later, is told.
        models = [
            (_labels_of(it), it)
            for it in {(it.model, it.version): it for it in self._source()}.values()
        ]
        yield from _tritons(models)
        yield from _numbers(_GAUGES, "gauge", models)
        yield from _numbers(_COUNTERS, "counter", models)
        yield from _by_reason(models)
        yield _stages(models)
        yield histograms(
            "inferd_deadline_slack_seconds",
            "What was left of the deadline at the answer; le=0 is too late",
            [(labels, it.slack_s) for labels, it in models],
        )
        yield histograms(
            "inferd_batch_size",
            "Rows per batch, padding not counted",
            [(labels, it.batch_rows) for labels, it in models],
        )
        yield histograms(
            "inferd_prediction_ratio",
            "How many times as long batches took as was predicted; above 1 is longer",
            [(labels, it.prediction) for labels, it in models],
        )
        yield _states(models)


def _labels_of(statistics: ModelStatistics) -> Labels:
    tags = {f"_{tag}": value for tag, value in statistics.tags.items()}  # as Triton does
    return {"model": statistics.model, "version": statistics.version, **tags}


def _numbers(rows: Iterable[tuple[str, str, Read]], kind: str, models: Models) -> Iterator[Metric]:
    for name, documentation, read in rows:
        metric = Metric(name, documentation, kind)
        sample_name = f"{name}_total" if kind == "counter" else name
        metric.samples = [Sample(sample_name, labels, read(it)) for labels, it in models]
        yield metric


def _tritons(models: Models) -> Iterator[Metric]:
    yield from _numbers(_TRITON_COUNTERS, _TRITONS, models)
    for step, documentation, read_ns in _TRITON_DURATIONS:
        name = f"nv_inference_{step}_duration_us"
        metric = Metric(name, f"{documentation}, summed", _TRITONS)
        metric.samples = [Sample(name, labels, read_ns(it) // 1000) for labels, it in models]
        yield metric


def _by_reason(models: Models) -> Iterator[Metric]:
    for name, documentation, kind, read in _BY_REASON:
        metric = Metric(name, documentation, kind)
        sample_name = f"{name}_total" if kind == "counter" else name
        metric.samples = [
            Sample(sample_name, {**labels, "reason": reason}, count)
            for labels, it in models
            for reason, count in read(it).items()
        ]
        yield metric


def _stages(models: Models) -> Metric:
    return histograms(
        "inferd_stage_duration_seconds",
        "Where the time of answered requests went",
        [
            ({**labels, "stage": stage}, read(it))
            for labels, it in models
            for stage, read in _STAGES.items()
        ],
    )


def _states(models: Models) -> Metric:
    name = "inferd_model_state"
    metric = Metric(name, "1 for the state a version is in, 0 for the others", "gauge")
    metric.samples = [
        Sample(name, {**labels, "state": state}, float(state == it.state))
        for labels, it in models
        for state in STATES
    ]
    return metric


def family(
    name: str, documentation: str, kind: str, rows: Iterable[tuple[Labels, float]]
) -> Metric:
    """Return a family of counters or gauges, one for each row's labels."""
    made = Metric(name, documentation, kind)
    sample = f"{name}_total" if kind == "counter" else name
    made.samples = [Sample(sample, labels, value) for labels, value in rows]
    return made


def histograms(name: str, documentation: str, rows: Iterable[tuple[Labels, Histogram]]) -> Metric:
    """Return a family of histograms, one for each row's labels."""
    metric = Metric(name, documentation, "histogram")
    bucket, count, total = f"{name}_bucket", f"{name}_count", f"{name}_sum"
    for labels, histogram in rows:
        cumulative = histogram.cumulative()
        metric.samples += [
            Sample(bucket, {**labels, "le": le}, below)
            for le, below in zip(_les(histogram.bounds), cumulative, strict=True)
        ]
        metric.samples.append(Sample(count, labels, cumulative[-1]))
        metric.samples.append(Sample(total, labels, histogram.sum))
    return metric


@lru_cache
def _les(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return (*(repr(float(bound)) for bound in bounds), "+Inf")


class _LoadMetrics(Collector):
    def __init__(self, loads: LoadStatistics) -> None:
        self._loads = loads

    def collect(self) -> Iterator[Metric]:
        name = "nv_model_load_duration_secs"
        durations = Metric(name, "How long the last load took", "gauge")
        for (model, version), seconds in self._loads.durations_s.items():
            durations.add_sample(name, {"model": model, "version": version}, seconds)
        yield durations
        name = "inferd_model_load_failures"
        failures = Metric(name, "Loads that failed", "counter")
        for model, count in self._loads.failures.items():
            failures.add_sample(f"{name}_total", {"model": model}, count)
        yield failures


class _RpcMetrics(Collector):
    def __init__(self, rpcs: RpcStatistics) -> None:
        self._rpcs = rpcs

    def collect(self) -> Iterator[Metric]:
        methods = [({"method": it.method.lstrip("/")}, it) for it in self._rpcs.methods.values()]
        ended = [
            ({**labels, "code": code}, durations)
            for labels, it in methods
            for code, durations in it.by_code.items()
        ]
        name = "inferd_rpc"
        total = Metric(name, "Calls ended, by status", "counter")
        total.samples = [Sample(f"{name}_total", labels, it.count) for labels, it in ended]
        yield total
        yield histograms("inferd_rpc_duration_seconds", "Arrival until answer, by status", ended)
        name = "inferd_lag_shed"
        shed = Metric(name, "Sheddable calls refused because the event loop was late", "counter")
        shed.samples = [
            Sample(f"{name}_total", labels, it.lag_shed) for labels, it in methods if it.lag_shed
        ]
        yield shed
        name = "inferd_rpc_in_flight"
        in_flight = Metric(name, "Calls that are not answered yet", "gauge")
        in_flight.samples = [Sample(name, labels, it.in_flight) for labels, it in methods]
        yield in_flight


class _LagMetrics(Collector):
    def __init__(self, lag: LoopLag) -> None:
        self._lag = lag

    def collect(self) -> Iterator[Metric]:
        name = "inferd_event_loop_lag_seconds"
        yield histograms(name, "How late the event loop woke", [({}, self._lag.histogram)])
        tasks = Metric("inferd_tasks", "Tasks on the event loop", "gauge")
        tasks.add_sample("inferd_tasks", {}, self._lag.tasks)
        yield tasks
        name = "inferd_event_loop_busy_ratio"
        busy = Metric(name, "The part of the last 250 ms in which the event loop worked", "gauge")
        busy.add_sample(name, {}, self._lag.busy)
        yield busy


class _MachineMetrics(Collector):
    """The machine's memory, as far as it tells (Linux)."""

    _SOURCE = Path("/proc/meminfo")

    def collect(self) -> Iterator[Metric]:
        try:
            facts = dict(line.split(":") for line in self._SOURCE.read_text().splitlines())
            total, available = (
                int(facts[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable")
            )
        except (OSError, KeyError, ValueError):
            return
        yield GaugeMetricFamily("nv_cpu_memory_total_bytes", "The machine's memory", total)
        yield GaugeMetricFamily(
            "nv_cpu_memory_used_bytes", "What of it is in use", total - available
        )
