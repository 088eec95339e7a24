"""Where spans go: the OpenTelemetry SDK and its OTLP exporter, if tracing is configured.

Spans are exported by a thread of the SDK's from a bounded queue. A collector that is slow
or gone costs spans, never calls: what does not fit is dropped, one line in the log says so
when it begins and one when it is over.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inferd.config import Traces
from inferd.errors import Unimplemented

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    from inferd.telemetry.tracing import Tracer

#: How long the last spans may take to leave when the server stops.
FLUSH_S = 2.0
#: How long one export may take, with what retries fit in.
EXPORT_S = 5.0

_log = logging.getLogger("inferd.tracing")


@contextmanager
def tracing(config: Traces, *, server_version: str = "") -> Iterator["Tracer | None"]:
    """Trace calls for as long as the block lasts; leaving sends what is left, briefly.

    Yields None when no endpoint is configured: then nothing is imported or started.

    Raises:
        Unimplemented: an endpoint is configured, but `inferd[otlp]` is not installed.

    """
    if not config.endpoint:
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise Unimplemented(
            "telemetry.traces.endpoint needs the OpenTelemetry exporter: install inferd[otlp]"
        ) from error
    exporter = OTLPSpanExporter(endpoint=config.endpoint, timeout=EXPORT_S)
    with exporting(exporter, config, server_version=server_version) as tracer:
        yield tracer


@contextmanager
def exporting(
    exporter: "SpanExporter", config: Traces, *, server_version: str = ""
) -> Iterator["Tracer"]:
    """Send the spans of calls to `exporter` for as long as the block lasts."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    from inferd.telemetry.tracing import Tracer

    resource = Resource.create(
        {"service.name": config.service_name, "service.version": server_version}
    )
    # The tracer samples, before the SDK hears of a call.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(announcing(exporter, config.endpoint)))
    with _quiet("opentelemetry"):
        try:
            yield Tracer(provider.get_tracer("inferd", server_version), ratio=config.sample_ratio)
        finally:
            # The provider waits for half a minute; a closed exporter ends that.
            enough = threading.Timer(FLUSH_S, exporter.shutdown)
            enough.start()
            provider.shutdown()
            enough.cancel()


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library from saying on every attempt what we say once."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def announcing(exporter: "SpanExporter", endpoint: str) -> "SpanExporter":
    """Return an exporter that exports through `exporter` and logs when its luck changes."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Announcing(SpanExporter):
        fails = False

        def export(self, spans: Sequence["ReadableSpan"]) -> "SpanExportResult":
            result = exporter.export(spans)
            fails = result is not SpanExportResult.SUCCESS
            if fails and not self.fails:
                _log.warning("traces cannot be sent to %s; they are lost until they can", endpoint)
            elif self.fails and not fails:
                _log.info("traces are sent to %s again", endpoint)
            self.fails = fails
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    return Announcing()
