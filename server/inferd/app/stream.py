"""`inferd stream`: a process that answers events, and takes no calls.

It has the models and the features of the server's configuration.
SIGUSR1 pauses it and SIGUSR2 has it go on; SIGTERM ends it when what is in hand is finished.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from inferd import __version__
from inferd.app import features, redis
from inferd.app.build import Parts, build
from inferd.app.logs import Logs, logging_to
from inferd.app.serve import Say, background, innermost, loaded, loop_factory, prepare
from inferd.app.settings import ConfigError
from inferd.app.signals import StopSignal, received_on_loop
from inferd.app.tracing import tracing
from inferd.cache.streams import Sink, Source
from inferd.config import Config
from inferd.config import stream as settings
from inferd.errors import InferdError, InvalidRequest, LoadFailed
from inferd.streaming.ends import Ends
from inferd.streaming.features import Features
from inferd.streaming.pipeline import Pipeline
from inferd.streaming.predictor import Predictor
from inferd.streaming.results import key_of
from inferd.streaming.routes import problems
from inferd.streaming.stages import Stages
from inferd.telemetry.streaming import StreamMetrics, StreamStatistics
from inferd.transport.http import serving_http

if TYPE_CHECKING:
    from inferd.app.feature_parts import Features as FeatureParts
    from inferd.cache.connection import Redis

log = logging.getLogger(__name__)

clock = time.monotonic
WALL_CLOCK = time.time  # noqa: TID251 - events have times of day


def run(config: Config, say: Say) -> int:
    """Answer events until the source ends or a signal comes; 0 after a complete drain.

    Raises `ConfigError`, `LoadFailed` when the repository cannot be read, `OSError` for files that
    cannot be opened and an address that cannot be listened on.
    """
    if wrong := [*unfit(config)]:
        raise ConfigError(wrong)
    prepare(config)
    with (
        logging_to(sys.stderr, config.telemetry.log) as logs,
        asyncio.Runner(loop_factory=loop_factory(config)) as runner,
    ):
        try:
            runner.run(_stream(config, logs, say))
        except BaseException as error:
            failure = innermost(error)
        else:
            return 0
        if isinstance(failure, InferdError | OSError):
            # Or the parts would be kept alive until after the loop is closed.
            failure.__traceback__ = failure.__context__ = failure.__cause__ = None
        raise failure


def unfit(config: Config) -> Iterator[str]:
    """Yield what keeps a configuration from being one for a stream, whatever the models are.

    Raises `ConfigError` for wrong definitions of features.
    """
    routes, declared = config.stream.routes, features.definitions(config.features)
    yield from problems(routes, features=declared is not None)
    if declared is not None:
        from inferd.app import stream_features

        yield from stream_features.problems(declared, routes)
    if config.stream.needs_redis and not config.redis.url:
        yield "stream: redis.url is empty, and something of it is in Redis"


async def _stream(config: Config, logs: Logs, say: Say) -> None:
    stop = received_on_loop()
    with tracing(config.telemetry.traces, server_version=__version__) as tracer:
        parts = build(config, logs.apply, tracer)
        statistics = StreamStatistics([ms / 1000 for ms in config.telemetry.latency_buckets_ms])
        parts.metrics.registry.register(StreamMetrics(statistics))
        async with (
            parts.closing,
            background(parts),
            AsyncExitStack() as opened,
            serving_http(
                config.server.host,
                config.stream.http_port,
                live=lambda: True,
                ready=lambda: parts.models.serving and not statistics.paused,
                model_ready=parts.models.is_ready,
                metrics=parts.metrics.render,
            ) as http_port,
        ):
            failed = await loaded(parts, stop)
            if failed and config.repository.strict:
                raise LoadFailed("\n".join(failed))
            predictor = await _predictor(config, parts)
            pipeline = _pipeline(config, parts, predictor, statistics, opened)
            _heed_signals(pipeline, stop)
            if not stop.received:
                say(_announcement(config, http_port))
                gc.freeze()
                await pipeline.run()
    log.info("stopped")


async def _predictor(config: Config, parts: Parts) -> Predictor:
    """Return what asks the models. Raises `ConfigError` naming routes that do not fit theirs.

    A model that is not there may come: then it is only said.
    """
    predictor = Predictor(parts.models, clock)
    wrong = []
    for name, route in config.stream.routes.items():
        try:
            if route.model:
                await predictor.check(route)
        except InvalidRequest as error:
            wrong.append(f"stream.routes.{name}: {error}")
        except InferdError as error:
            log.warning("stream.routes.%s.model: %s", name, error)
    if wrong:
        raise ConfigError(wrong)
    return predictor


def _features(known: "FeatureParts | None") -> Features | None:
    if known is None:
        return None
    from inferd.app.stream_features import StreamFeatures

    return StreamFeatures(known.definitions, known.online, known.aggregator)


def _heed_signals(pipeline: Pipeline, stop: StopSignal) -> None:
    loop = asyncio.get_running_loop()
    stop.then = pipeline.stop
    loop.add_signal_handler(signal.SIGUSR1, pipeline.pause)
    loop.add_signal_handler(signal.SIGUSR2, pipeline.resume)


def _pipeline(
    config: Config,
    parts: Parts,
    predictor: Predictor,
    statistics: StreamStatistics,
    opened: AsyncExitStack,
) -> Pipeline:
    stream = config.stream
    # Not the one of quotas and features: who waits for events keeps a connection.
    connected = redis.made(config.redis) if stream.needs_redis else None
    opened.push_async_callback(redis.closed, connected)
    made = (
        _source(stream, connected),
        _sink(stream.sink, stream, connected),
        _sink(stream.letters, stream, connected),
    )
    for each in made:
        opened.push_async_callback(each.close)
    stages = Stages(
        stream,
        predictor,
        _features(parts.features),
        clock=clock,
        wall_clock=WALL_CLOCK,
    )
    return Pipeline(stream, stages, Ends(*made), statistics, clock=clock, wall_clock=WALL_CLOCK)


def _source(stream: settings.Stream, connected: "Redis | None") -> Source:
    given = stream.source
    if given.kind == "jsonl":
        from inferd.streaming.jsonl_source import JsonlSource

        assert given.path is not None, "the configuration says so"
        return JsonlSource(given.path, speed=given.speed, clock=clock)
    from inferd.cache.redis_streams import RedisSource

    assert connected is not None, "the configuration says so"
    return RedisSource(
        connected,
        stream=given.stream,
        group=given.group,
        consumer=given.consumer or f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}",
        block_s=stream.block_ms / 1000,
        timeout_s=stream.redis_timeout_ms / 1000,
        claim_idle_s=given.claim_idle_s,
        clock=clock,
    )


def _sink(given: settings.Sink, stream: settings.Stream, connected: "Redis | None") -> Sink:
    if given.kind == "jsonl":
        from inferd.streaming.jsonl_sink import JsonlSink

        assert given.path is not None, "the configuration says so"
        return JsonlSink(given.path, remember_keys=given.remember_keys, key_of=key_of)
    from inferd.cache.redis_streams import RedisSink

    assert connected is not None, "the configuration says so"
    return RedisSink(
        connected,
        stream=given.stream,
        remember_s=given.remember_s,
        max_entries=given.max_entries,
        timeout_s=stream.redis_timeout_ms / 1000,
    )


def _announcement(config: Config, http_port: int) -> str:
    stream = config.stream
    lines = [
        f"inferd {__version__} answers events of {len(stream.routes)} types",
        "",
        f"  from     {_place(stream.source)}",
        f"  to       {_place(stream.sink)}",
        f"  letters  {_place(stream.letters)}",
        f"  metrics  http://{config.server.host}:{http_port}/metrics",
        f"  health   http://{config.server.host}:{http_port}/v2/health/ready",
        "",
        f"kill -USR1 {os.getpid()} pauses it, -USR2 has it go on, -TERM ends it.",
    ]
    return "\n".join(lines)


def _place(given: settings.Source | settings.Sink) -> str:
    return f"{given.kind}: {given.path if given.kind == 'jsonl' else given.stream}"
