"""Spans: one per sampled call and per thing that it asked for, one per batch that it was in.

Whether a call is traced is decided here, before OpenTelemetry is asked for anything, so
that a call nobody looks at costs next to nothing. Its caller decides (the sampled flag of a
W3C `traceparent`); where the caller has not, chance does. A call's span is its caller's
child. A batch belongs to strangers, so it is a trace of its own, and links go both ways.

Only the API is used here; where spans go is `inferd.app.tracing`'s business.
"""

import random
import re
import time
from collections.abc import Callable, Iterable, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from inferd.call import Call, Value

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]([0-9a-f])(?:-.*)?"
)
_SAMPLED = frozenset("13579bdf")

_SERVER_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""The codes that are errors of the server's span; others are the caller's affair."""

OK = "ok"
"""The outcome of a step that went well."""

_PROPAGATOR = TraceContextTextMapPropagator()


class CallSpan:
    """What happened to one sampled call. Whoever started it finishes it."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, span: trace.Span, tracer: trace.Tracer) -> None:
        self._span = span
        self._tracer = tracer

    def note(self, key: str, value: AttributeValue) -> None:
        """Set an attribute."""
        self._span.set_attribute(key, value)

    def child(self, name: str, begin_s: float, end_s: float, outcome: str) -> None:
        """Record a step of the call that is over, in monotonic seconds.

        `outcome` is `ok`, or the reason of the error that it failed with. A step may end after
        the call: then nobody waited for it.
        """
        epoch_ns = _epoch_ns()
        span = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(self._span, Context()),
            kind=SpanKind.INTERNAL,
            attributes={"inferd.outcome": outcome},
            start_time=epoch_ns + int(begin_s * 1e9),
        )
        if outcome != OK:
            span.set_attribute("error.type", outcome.upper())
            span.set_status(Status(StatusCode.ERROR, outcome.upper()))
        span.end(epoch_ns + int(end_s * 1e9))

    def finish(self, code: str, reason: str = "") -> None:
        """End the span with the name of the gRPC status, and our reason if it failed."""
        span = self._span
        span.set_attribute("rpc.response.status_code", code)
        if reason:
            span.set_attribute("error.type", reason)
        if code in _SERVER_FAULTS:
            span.set_status(Status(StatusCode.ERROR, reason or None))
        span.end()

    def _ran_in(self, batch: trace.Span, facts: dict[str, AttributeValue], *ns: int) -> None:
        # A caller who left has an ended span already, and OpenTelemetry complains about those.
        if not self._span.is_recording():
            return
        self._span.set_attributes({key: facts[key] for key in ("inferd.model", "inferd.version")})
        self._span.add_link(batch.get_span_context())
        for name, at_ns in zip(("batch started", "batch ended"), ns, strict=True):
            self._span.add_event(name, timestamp=at_ns)


class Tracer:
    """Starts the spans of calls and records those of batches.

    `ratio` is the share of calls that are traced when their callers have not decided.
    """

    def __init__(
        self, tracer: trace.Tracer, *, ratio: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._tracer = tracer
        self._ratio = ratio
        self._chance = chance

    def start(self, call: Call, method: str) -> CallSpan | None:
        """Return the span of a call, or None when it is not traced.

        `method` is the full path. The span begins when the call arrived.
        """
        parent = call.metadata.get("traceparent")
        flag = _sampled_flag(parent) if parent is not None else None
        if flag is None:
            return self._begin(call, method, None) if self._chance() < self._ratio else None
        return self._begin(call, method, parent) if flag else None

    def batch(
        self,
        model: str,
        version: str,
        members: Sequence[object],
        *,
        rows: int,
        closed: str,
        start_s: float,
        end_s: float,
    ) -> None:
        """Record a batch that ran from `start_s` to `end_s`, in monotonic seconds.

        `members` are the spans of the traced calls in it; `closed` is why it left.
        """
        spans = [member for member in members if isinstance(member, CallSpan)]
        facts: dict[str, AttributeValue] = {
            "inferd.model": model,
            "inferd.version": version,
            "inferd.batch.rows": rows,
            "inferd.batch.closed": closed,
        }
        epoch_ns = _epoch_ns()
        start_ns, end_ns = epoch_ns + int(start_s * 1e9), epoch_ns + int(end_s * 1e9)
        batch = self._tracer.start_span(
            "batch",
            context=Context(),
            kind=SpanKind.INTERNAL,
            attributes=facts,
            links=_links(spans),
            start_time=start_ns,
        )
        for span in spans:
            span._ran_in(batch, facts, start_ns, end_ns)
        batch.end(end_ns)

    def _begin(self, call: Call, method: str, parent: Value | None) -> CallSpan:
        name = method.lstrip("/")
        attributes: dict[str, AttributeValue] = {"rpc.system.name": "grpc", "rpc.method": name}
        if call.peer:
            attributes["network.peer.address"] = call.peer
        if not call.deadline.unlimited:
            attributes["inferd.deadline_ms"] = call.deadline.remaining(call.arrived) * 1e3
        span = self._tracer.start_span(
            name,
            context=Context() if parent is None else _PROPAGATOR.extract(call.metadata),
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=_epoch_ns() + int(call.arrived * 1e9),
        )
        return CallSpan(span, self._tracer)


def _sampled_flag(parent: Value) -> bool | None:
    """Return what a `traceparent` decided, or None when it is not one."""
    match = _TRACEPARENT.fullmatch(parent) if isinstance(parent, str) else None
    return None if match is None else match[1] in _SAMPLED


def _links(spans: Iterable[CallSpan]) -> list[Link]:
    return [Link(span._span.get_span_context()) for span in spans]


def _epoch_ns() -> int:
    """Return the wall clock's time at the monotonic clock's zero. It moves: ask again."""
    return time.time_ns() - time.monotonic_ns()
