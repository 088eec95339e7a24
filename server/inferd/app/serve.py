"""Serving: start, announce, wait for a signal, drain, stop.

Start-up is nesting and shutdown is leaving: the models outlive the listeners, because calls
in flight need them, and HTTP and the admin port outlive gRPC, because somebody watches how it
goes. Whose event loop it happens on, and what carries the calls, is the caller's choice: `run` is
the one for gRPC's own server, `inferd.app.hosted` the one for Envoy.
"""

import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

from inferd import __version__
from inferd.app.admin import serving_admin
from inferd.app.announce import announcement
from inferd.app.build import Parts, build
from inferd.app.faults import breaking
from inferd.app.logs import Logs, logging_to
from inferd.app.signals import StopSignal, received_on_loop
from inferd.app.tracing import tracing
from inferd.config import Config, Server
from inferd.errors import InferdError, LoadFailed
from inferd.inference.repository.layout import scan
from inferd.inference.version import State
from inferd.services.pipeline import Pipeline
from inferd.services.routes import Route
from inferd.transport import sockets
from inferd.transport.grpcio.server import listening
from inferd.transport.http import serving_http

log = logging.getLogger(__name__)

#: Calls have stopped coming when none has come for this long; who has not heard of our going
#: by then will not hear of it.
LULL_S = 0.05
LOOKS = 10
LONGEST_LULL_S = 1.0
#: Between collections of the oldest generation: what a warm server keeps, it keeps for good.
GC_THRESHOLDS = (50_000, 20, 100)


Say: TypeAlias = Callable[[str], None]
"""Gets what a person at the terminal should read."""

Listening: TypeAlias = Callable[
    [Server, Iterable[Route], Pipeline], AbstractAsyncContextManager[int]
]
"""A transport: serves routes for as long as the block lasts, then drains. Yields the port."""

TransportMetrics: TypeAlias = Callable[[], Awaitable[bytes]]
"""What a transport has to add to the metrics, in Prometheus's text format."""


def run(config: Config, say: Say, transport: str) -> int:
    """Serve over gRPC's own server until a signal; 0 after a complete drain.

    `transport` says what carries the calls and why, for the log.
    Raises `LoadFailed` when the repository cannot be read, `OSError` when an address cannot
    be listened on.
    """
    sockets.check_free(config.server.host, config.server.port, reuse_port=config.server.reuse_port)
    prepare(config)
    with logging_to(sys.stderr, config.telemetry.log) as logs:
        log.info("transport: %s", transport)
        code = _run(config, logs, say)
    if logs.stuck:
        # A thread holds standard error for as long as nobody reads it, and the interpreter
        # does not end while it does.
        os._exit(code)
    return code


def prepare(config: Config) -> None:
    """Set the interpreter up for serving. Raises `LoadFailed` for an unreadable repository."""
    scan(config.repository.paths, wall_now=0.0)  # before anything listens, let alone loads
    sys.setswitchinterval(config.server.thread_switch_interval_ms / 1000)


def _run(config: Config, logs: Logs, say: Say) -> int:
    with asyncio.Runner(loop_factory=loop_factory(config)) as runner:
        try:
            return runner.run(_serve_here(config, logs, say))
        except BaseException as error:
            failure = innermost(error)
        # Where it came from keeps the server's parts alive until after the loop is closed,
        # which some of them do not like. For those who know what they say it is no loss.
        if isinstance(failure, InferdError | OSError):
            failure.__traceback__ = failure.__context__ = failure.__cause__ = None
        raise failure


def innermost(error: BaseException) -> BaseException:
    """Return what went wrong: a task group wraps it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def loop_factory(config: Config) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop; None: asyncio's own way."""
    if config.server.uvloop:
        with contextlib.suppress(ImportError):
            import uvloop

            return uvloop.new_event_loop
    return None


async def _serve_here(config: Config, logs: Logs, say: Say) -> int:
    await serve(config, logs, say, listening, received_on_loop())
    return 0


async def serve(
    config: Config,
    logs: Logs,
    say: Say,
    listening: Listening,
    stop: StopSignal,
    *,
    transport_metrics: TransportMetrics | None = None,
) -> None:
    """Serve until `stop`, and return after a complete drain."""
    with tracing(config.telemetry.traces, server_version=__version__) as tracer:
        parts = build(config, logs.apply, tracer)
        async with (
            parts.closing,
            background(parts),
            breaking(config.faults, parts.faults),
            _http(config, parts, transport_metrics) as http_port,
            serving_admin(config, parts.admin_routes) as admin_port,
            listening(config.server, parts.routes, parts.pipeline) as port,
        ):
            failed = await loaded(parts, stop)
            if failed and config.repository.strict:
                raise LoadFailed("\n".join(failed))
            if not stop.received:
                say(
                    announcement(
                        config,
                        parts.models.index(),
                        port=port,
                        http_port=http_port,
                        admin_port=admin_port,
                        views=parts.features.definitions.views if parts.features else (),
                    )
                )
                gc.freeze()
                await stop.wait()
            await _leave(config, parts)
    log.info("stopped")


async def loaded(parts: Parts, stop: StopSignal) -> list[str]:
    """Wait for the first round of loading or a signal, and return what went wrong so far."""
    changed = asyncio.Event()
    stop.then = changed.set
    unwatch = parts.models.watch(changed.set)
    try:
        while not parts.models.serving and not stop.received:
            changed.clear()
            await changed.wait()
    finally:
        unwatch()
    gc.set_threshold(*GC_THRESHOLDS)
    return [
        f"{each.name}{f'/{each.version}' if each.version else ''}: {each.reason}"
        for each in parts.models.index()
        if each.state is State.FAILED
    ]


async def _leave(config: Config, parts: Parts) -> None:
    """Tell everybody that we are going, and give them time to notice.

    gRPC ends what it has received and not yet announced as CANCELLED, which no client takes
    for an invitation to go elsewhere. So it is stopped in a lull: until then calls are
    still announced, and refused in so many words.
    """
    log.info("draining: no new calls, at most %g s for those in flight", config.server.drain_s)
    parts.health.drain()
    parts.models.stop_serving()
    await asyncio.sleep(config.server.drain_pause_s)
    parts.pipeline.drain()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_LULL_S):
            await _lull(parts.pipeline)


async def _lull(pipeline: Pipeline) -> None:
    """Return when no call has come for a while.

    It looks several times. One long sleep says nothing where the process was kept waiting
    for a processor: it is over before the calls are announced that arrived meanwhile.
    """
    quiet, before = 0, _arrived(pipeline)
    while quiet < LOOKS:
        await asyncio.sleep(LULL_S / LOOKS)
        arrived = _arrived(pipeline)
        quiet, before = (quiet + 1 if arrived == before else 0), arrived


def _arrived(pipeline: Pipeline) -> int:
    methods = pipeline.statistics.methods.values()
    ended = sum(durations.count for each in methods for durations in each.by_code.values())
    return ended + pipeline.in_flight


@asynccontextmanager
async def background(parts: Parts) -> AsyncIterator[None]:
    """Keep running what runs by itself: models, features, experiments, fraud, the lag sampler."""
    nothing = contextlib.nullcontext()
    features = nothing if parts.features is None else parts.features.running()
    fraud = nothing if parts.fraud is None else parts.fraud.running()
    experiments = nothing if parts.experiments is None else parts.experiments.running()
    recommendation = nothing if parts.recommendation is None else parts.recommendation.running()
    search = nothing if parts.search is None else parts.search.running()
    ours = features, experiments, fraud, recommendation, search
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        for each in (parts.models.running(), *ours):
            await stack.enter_async_context(each)
        sampler = tasks.create_task(parts.lag.sample(), name="loop lag")
        try:
            yield
        finally:
            sampler.cancel()


@asynccontextmanager
async def _http(
    config: Config, parts: Parts, transport_metrics: TransportMetrics | None
) -> AsyncIterator[int]:
    async def metrics(accept: str) -> tuple[bytes, str]:
        more = b"" if transport_metrics is None else await transport_metrics()
        return await parts.metrics.render(accept, more)

    async with serving_http(
        config.server.host,
        config.server.http_port,
        live=lambda: True,
        ready=lambda: parts.models.serving,
        model_ready=parts.models.is_ready,
        metrics=metrics,
    ) as port:
        yield port
