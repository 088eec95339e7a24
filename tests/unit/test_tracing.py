"""Which calls are traced, what their spans say, and what a broken collector does: nothing."""

import logging
import sys
import threading
import time
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    use_span,
)

from inferd.app import tracing as app
from inferd.call import Call
from inferd.config import Traces
from inferd.deadline import NEVER, Deadline
from inferd.errors import Unimplemented
from inferd.telemetry.tracing import CallSpan, Tracer

METHOD = "/inference.GRPCInferenceService/ModelInfer"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


def a_tracer(*, ratio: float = 0.0, chance: float = 0.5) -> tuple[Tracer, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracer(provider.get_tracer("test"), ratio=ratio, chance=lambda: chance), exporter


def a_call(
    traceparent: str | bytes = "",
    *,
    state: str = "",
    arrived: float = 0.0,
    deadline: Deadline = NEVER,
) -> Call:
    metadata = {"traceparent": traceparent} if traceparent else {}
    if state:
        metadata["tracestate"] = state
    return Call(
        METHOD, arrived=arrived, deadline=deadline, metadata=metadata, peer="ipv4:127.0.0.1:5000"
    )


def started(tracer: Tracer, traceparent: str = SAMPLED) -> CallSpan:
    span = tracer.start(a_call(traceparent), METHOD)
    assert span is not None
    return span


def a_batch(tracer: Tracer, *members: object, start_s: float = 1.0, end_s: float = 2.0) -> None:
    tracer.batch("m", "1", members, rows=4, closed="FULL", start_s=start_s, end_s=end_s)


@pytest.mark.parametrize(
    ("traceparent", "chance", "traced"),
    [
        (SAMPLED, 0.9, True),
        (UNSAMPLED, 0.1, False),
        (f"00-{TRACE}-{SPAN}-03", 0.9, True),
        (f"00-{TRACE}-{SPAN}-02", 0.1, False),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", 0.9, True),
        ("", 0.1, True),
        ("", 0.9, False),
    ],
)
def test_the_caller_decides_and_chance_where_it_has_not(
    traceparent: str, chance: float, traced: bool
) -> None:
    tracer, _ = a_tracer(ratio=0.5, chance=chance)

    assert (tracer.start(a_call(traceparent), METHOD) is not None) is traced


@pytest.mark.parametrize(
    "malformed",
    [
        "nonsense",
        SAMPLED.upper(),
        SAMPLED[:-1],
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        SAMPLED.encode(),
    ],
)
def test_a_malformed_parent_has_decided_nothing(malformed: str | bytes) -> None:
    unlucky, _ = a_tracer(ratio=0.5, chance=0.9)
    lucky, exporter = a_tracer(ratio=0.5, chance=0.1)

    assert unlucky.start(a_call(malformed), METHOD) is None
    span = lucky.start(a_call(malformed), METHOD)

    assert span is not None
    span.finish("OK")
    assert exporter.get_finished_spans()[0].parent is None


@pytest.mark.parametrize(("ratio", "traced"), [(0.0, False), (1.0, True)])
def test_the_ends_of_the_ratio_are_none_and_all(ratio: float, traced: bool) -> None:
    tracer, _ = a_tracer(ratio=ratio, chance=0.0 if ratio == 0 else 0.999)

    assert (tracer.start(a_call(), METHOD) is not None) is traced


def test_an_unsampled_call_creates_nothing() -> None:
    class Untouchable:
        def start_span(self, *_: object, **__: object) -> None:
            pytest.fail("OpenTelemetry was asked for a span")

    tracer = Tracer(Untouchable(), ratio=0.5, chance=lambda: 0.9)  # type: ignore[arg-type]

    assert tracer.start(a_call(), METHOD) is None
    assert tracer.start(a_call(UNSAMPLED), METHOD) is None


def test_a_call_is_its_callers_child() -> None:
    tracer, exporter = a_tracer()
    call = a_call(SAMPLED, state="vendor=1", arrived=100.0, deadline=Deadline(100.25))

    span = tracer.start(call, METHOD)
    assert span is not None
    span.finish("OK")

    (spent,) = exporter.get_finished_spans()
    assert spent.parent is not None
    assert f"{spent.parent.trace_id:x}-{spent.parent.span_id:016x}" == f"{TRACE}-{SPAN}"
    assert f"{spent.context.trace_id:x}" == TRACE
    assert spent.context.trace_state.get("vendor") == "1"
    assert (spent.name, spent.kind) == (METHOD[1:], SpanKind.SERVER)
    assert spent.status.status_code is StatusCode.UNSET
    assert spent.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": METHOD[1:],
        "rpc.response.status_code": "OK",
        "network.peer.address": "ipv4:127.0.0.1:5000",
        "inferd.deadline_ms": pytest.approx(250),
    }


def test_a_call_began_when_it_arrived() -> None:
    tracer, exporter = a_tracer(ratio=1.0)
    now = time.monotonic()

    early, late = (tracer.start(a_call(arrived=at), METHOD) for at in (now - 5.0, now))
    assert early is not None
    assert late is not None
    early.finish("OK")
    late.finish("OK")

    first, second = exporter.get_finished_spans()
    assert first.start_time is not None
    assert second.start_time is not None
    assert (second.start_time - first.start_time) / 1e9 == pytest.approx(5.0, abs=1.0)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("DEADLINE_EXCEEDED", StatusCode.ERROR),
        ("UNAVAILABLE", StatusCode.ERROR),
        ("INVALID_ARGUMENT", StatusCode.UNSET),
        ("CANCELLED", StatusCode.UNSET),
    ],
)
def test_a_call_that_failed_says_how(code: str, status: StatusCode) -> None:
    tracer, exporter = a_tracer()

    started(tracer).finish(code, "SHED")

    (spent,) = exporter.get_finished_spans()
    assert spent.attributes is not None
    assert spent.attributes["rpc.response.status_code"] == code
    assert spent.attributes["error.type"] == "SHED"
    assert spent.status.status_code is status


def test_a_step_is_its_calls_child_and_took_as_long_as_it_did() -> None:
    tracer, exporter = a_tracer()
    call = started(tracer)

    call.child("redis", 1.0, 1.25, "ok")
    call.finish("OK")

    step, whole = exporter.get_finished_spans()
    assert step.parent == whole.context
    assert (step.name, step.kind) == ("redis", SpanKind.INTERNAL)
    assert step.attributes == {"inferd.outcome": "ok"}
    assert step.status.status_code is StatusCode.UNSET
    assert step.start_time is not None
    assert step.end_time is not None
    assert step.end_time - step.start_time == 250_000_000


def test_a_step_that_failed_says_why() -> None:
    tracer, exporter = a_tracer()

    started(tracer).child("redis", 1.0, 1.25, "timed_out")

    (step,) = exporter.get_finished_spans()
    assert step.attributes == {"inferd.outcome": "timed_out", "error.type": "TIMED_OUT"}
    assert step.status.status_code is StatusCode.ERROR


def test_a_step_that_nobody_waited_for_may_end_after_its_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tracer, exporter = a_tracer()
    call = started(tracer)

    call.finish("OK")
    call.child("redis", 1.0, 1.25, "cancelled")

    whole, step = exporter.get_finished_spans()
    assert step.parent == whole.context
    assert caplog.records == []


def test_a_batch_is_a_trace_of_its_own_linked_to_its_members_and_they_to_it() -> None:
    tracer, exporter = a_tracer()
    other = f"00-{'a' * 32}-{SPAN}-01"
    one, two = started(tracer), started(tracer, other)

    a_batch(tracer, one, two, start_s=1.0, end_s=1.25)
    one.finish("OK")
    two.finish("OK")

    batch, first, second = exporter.get_finished_spans()
    assert batch.parent is None
    assert [link.context for link in batch.links] == [first.context, second.context]
    assert [link.context for link in first.links] == [batch.context]
    assert [link.context for link in second.links] == [batch.context]
    assert batch.attributes == {
        "inferd.model": "m",
        "inferd.version": "1",
        "inferd.batch.rows": 4,
        "inferd.batch.closed": "FULL",
    }
    assert batch.start_time is not None
    assert batch.end_time is not None
    assert batch.end_time - batch.start_time == 250_000_000
    assert [(event.name, event.timestamp) for event in first.events] == [
        ("batch started", batch.start_time),
        ("batch ended", batch.end_time),
    ]
    assert first.attributes is not None
    assert first.attributes["inferd.model"] == "m"


def test_whatever_span_is_current_is_nobodys_parent() -> None:
    tracer, exporter = a_tracer(ratio=1.0)
    ambient = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))

    with use_span(ambient):
        started(tracer, "").finish("OK")
        a_batch(tracer)

    assert [span.parent for span in exporter.get_finished_spans()] == [None, None]


def test_a_member_who_left_is_linked_and_not_complained_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tracer, exporter = a_tracer()
    gone, stays = started(tracer), started(tracer)

    gone.finish("CANCELLED")
    a_batch(tracer, gone, stays)

    (left, batch) = exporter.get_finished_spans()
    assert left.context in [link.context for link in batch.links]
    assert not left.links
    assert caplog.records == []


def test_without_an_endpoint_there_is_no_tracer() -> None:
    with app.tracing(Traces()) as tracer:
        assert tracer is None


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)

    with (
        pytest.raises(Unimplemented, match=r"inferd\[otlp\]"),
        app.tracing(Traces(endpoint="http://127.0.0.1:4317")),
    ):
        pytest.fail("the block must not run")


class Exporter(SpanExporter):
    """A collector's stand-in: answers as told, or not at all until it is shut down."""

    def __init__(self, *answers: SpanExportResult) -> None:
        self.answers = list(answers)
        self.names: list[str] = []
        self.closed = threading.Event()
        self.was_released = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.names += [span.name for span in spans]
        if not self.answers:
            self.was_released = self.closed.wait(5)
            return SpanExportResult.FAILURE
        return self.answers.pop(0)

    def shutdown(self) -> None:
        self.closed.set()


def test_leaving_sends_what_is_left() -> None:
    exporter = Exporter(SpanExportResult.SUCCESS)

    with app.exporting(exporter, Traces(sample_ratio=1.0)) as tracer:
        started(tracer, "").finish("OK")
        assert exporter.names == []

    assert exporter.names == [METHOD[1:]]
    assert exporter.closed.is_set()


def test_leaving_does_not_wait_for_a_collector_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "FLUSH_S", 0.01)
    exporter = Exporter()

    with app.exporting(exporter, Traces(sample_ratio=1.0)) as tracer:
        started(tracer, "").finish("OK")

    assert exporter.names == [METHOD[1:]]
    assert exporter.was_released


def test_a_collector_that_is_gone_is_told_once_and_once_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    good, bad = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
    exporter = app.announcing(Exporter(good, bad, bad, bad, good, good), "http://x:1")

    with caplog.at_level(logging.INFO, logger="inferd"):
        for _ in range(6):
            exporter.export([])

    assert [record.getMessage() for record in caplog.records] == [
        "traces cannot be sent to http://x:1; they are lost until they can",
        "traces are sent to http://x:1 again",
    ]
