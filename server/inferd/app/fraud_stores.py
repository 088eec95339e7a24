"""Where a server that decides on fraud keeps what it must know again, and sends its alerts."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import cached_property
from typing import TYPE_CHECKING

from inferd.app.feature_parts import WALL_CLOCK
from inferd.cache.blobs import Blobs
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.cache.prefixed import Prefixed
from inferd.config.fraud import Alerts
from inferd.config.fraud_service import Fraud as Settings
from inferd.resilience.toolbox import Toolbox
from inferd.services.fraud import assessments, outcomes, shared
from inferd.services.fraud.alert_sinks import FileSink, LogSink, WebhookSink
from inferd.services.fraud.alerting import Route
from inferd.services.fraud.assessments import Assessments
from inferd.services.fraud.outcomes import Labels
from inferd.services.fraud.shared import Shared
from inferd.telemetry.features import ROWS
from inferd.telemetry.statistics import Histogram

if TYPE_CHECKING:  # it takes a while to import, and many servers have none
    from inferd.cache.connection import Redis

LISTS_BYTES = 64_000_000


class FraudStores:
    """Assessments, labels and lists, in one store. Made each once."""

    def __init__(
        self,
        settings: Settings,
        redis: "Redis | None",
        toolbox: Toolbox,
        *,
        closing: AsyncExitStack,
        now_us: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._redis = redis
        self._closing = closing
        self._now_us = now_us
        self._reads = toolbox.dependency(assessments.GUARD, assessments.READS_GUARDED_AS)
        self._writes = toolbox.dependency(
            f"{assessments.GUARD}_write", assessments.WRITES_GUARDED_AS
        )
        self._lists = toolbox.dependency(shared.GUARD, shared.GUARDED_AS)
        self._outcomes = toolbox.dependency(outcomes.GUARD, outcomes.GUARDED_AS)
        self._clock = self._reads.clock

    @cached_property
    def assessments(self) -> Assessments:
        """By transaction."""
        return Assessments(
            Prefixed(self._blobs, "t:"),
            self._settings.idempotency,
            reads=self._reads,
            writes=self._writes,
        )

    @cached_property
    def labels(self) -> Labels:
        """What transactions turned out to be."""
        keep_s = self._settings.idempotency.ttl_s
        return Labels(Prefixed(self._blobs, "o:"), self._outcomes, keep_s=keep_s)

    @cached_property
    def shared(self) -> Shared:
        """Lists and snoozes."""
        if self._settings.idempotency.store == "memory":  # where transactions make room
            blobs: Blobs = MemoryBlobs(max_bytes=LISTS_BYTES, clock=self._clock)
        else:
            blobs = Prefixed(self._blobs, "l:")
        return Shared(
            blobs,
            self._lists,
            most=self._settings.max_list_entries,
            now_us=self._now_us,
            clock=self._clock,
        )

    @cached_property
    def _blobs(self) -> Blobs:
        settings = self._settings.idempotency
        if settings.store == "sqlite":
            from inferd.cache.sqlite_blobs import SqliteBlobs

            file = SqliteBlobs(settings.sqlite_path, wall_clock=WALL_CLOCK, sizes=Histogram(ROWS))
            self._closing.push_async_callback(file.close)
            return file
        if settings.store == "redis":
            from inferd.cache.redis_blobs import RedisBlobs

            assert self._redis is not None, "the configuration says so"
            blobs = RedisBlobs(self._redis, prefix=settings.key_prefix, sizes=Histogram(ROWS))
            self._closing.push_async_callback(blobs.close)
            return blobs
        return MemoryBlobs(max_bytes=settings.memory_bytes, clock=self._clock)


def alert_routes(alerts: Alerts, redis: "Redis | None") -> dict[str, Route]:
    """Return where alerts go, by name."""
    routes = dict[str, Route]()
    if alerts.log.enabled:
        routes["log"] = Route(LogSink(), alerts.log)
    if alerts.file is not None:
        routes["file"] = Route(FileSink(alerts.file.path), alerts.file)
    if alerts.webhook is not None:
        routes["webhook"] = Route(WebhookSink(alerts.webhook), alerts.webhook)
    if alerts.redis is not None:
        from inferd.cache.redis_streams import RedisSink

        assert redis is not None, "the configuration says so"
        sink = RedisSink(
            redis,
            stream=alerts.redis.stream,
            remember_s=alerts.redis.remember_s,
            max_entries=alerts.redis.max_entries,
            timeout_s=alerts.redis.timeout_ms / 1000,
        )
        routes["redis"] = Route(sink, alerts.redis)
    return routes
