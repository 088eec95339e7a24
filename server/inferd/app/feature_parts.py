"""What a server with features is made of: stores, caches, what computes, and who answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from inferd.cache import levels
from inferd.cache.blobs import Blobs
from inferd.cache.levels import Level
from inferd.cache.local import Local
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.cache.multilevel import MultiLevel
from inferd.config import Postgres
from inferd.config.features import Features as Settings
from inferd.deadline import Clock
from inferd.errors import Unimplemented
from inferd.features import store
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.compute.cached import Computed, ComputedCodec, ComputedViews
from inferd.features.compute.engine import Engine
from inferd.features.compute.tables import Tables
from inferd.features.definitions import US, Definitions, View
from inferd.features.near import NearRows
from inferd.features.online import OnlineFeatures, Views
from inferd.features.precompute.refresh import RefreshAhead
from inferd.features.writing import Limits
from inferd.resilience.toolbox import Toolbox
from inferd.services.extension import Service
from inferd.services.features.service import SERVICE
from inferd.services.features.service import Features as Answers
from inferd.telemetry.caches import CacheMetrics, TrackingMetrics
from inferd.telemetry.features import ROWS, EventMetrics, FeatureMetrics
from inferd.telemetry.precompute import PrecomputeMetrics
from inferd.telemetry.statistics import Histogram
from inferd.telemetry.tables import TableMetrics

if TYPE_CHECKING:  # it takes a while to import, and many servers have none
    from inferd.cache.connection import Redis
    from inferd.cache.tracking import Tracking

WALL_CLOCK = time.time  # noqa: TID251 - events have times of day

Caches = dict[View, MultiLevel[Computed]]


@dataclass(frozen=True, slots=True)
class Features:
    """What a server with features has besides."""

    service: Service
    metrics: Sequence[Collector]
    definitions: Definitions
    online: OnlineFeatures
    aggregator: Aggregator
    ahead: RefreshAhead
    tracking: "Tracking | None"
    #: What is to be closed when nothing runs any more.
    closing: AsyncExitStack

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear what other servers write, and keep at hand what is asked for all the time."""
        if self.tracking is not None:
            self.tracking.start()
        refreshing = asyncio.create_task(self.ahead.run(), name="refresh ahead")
        try:
            yield
        finally:
            refreshing.cancel()
            await asyncio.wait([refreshing])
            if self.tracking is not None:
                await self.tracking.close()


class FeatureAssembly:
    """Makes the parts, each once."""

    def __init__(
        self,
        settings: Settings,
        declared: Definitions,
        redis: "Redis | None",
        postgres: Postgres,
        toolbox: Toolbox,
        *,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._declared = declared
        self._redis = redis
        self._postgres = postgres
        self._toolbox = toolbox
        self._clock = clock
        self._closing = AsyncExitStack()
        self._sizes = Histogram(ROWS)
        self._limits = Limits(settings.max_blob_bytes, round(settings.max_future_s * US))
        self._reads = toolbox.dependency(store.READS, store.READS_GUARDED_AS)
        self._writes = toolbox.dependency(store.WRITES, store.WRITES_GUARDED_AS)
        #: Of computed views that are cached.
        self._caches: Caches = {}

    def made(self, busy: Callable[[], float]) -> Features:
        """Return the whole. Raises `DeclarationError` and `BadCascade`."""
        stored, aggregator = self._stored(), self._aggregator()
        kinds: dict[str, Views] = {"stored": stored, "aggregated": aggregator}
        online = OnlineFeatures(kinds, stored.statistics, now_us=stored.now_us)
        tables = Tables(self._declared, toolbox=self._toolbox, redis=self._redis)
        self._closing.push_async_callback(tables.close)
        views = kinds["computed"] = self._computed(online, tables)
        ahead = self._cached(views, busy)
        metrics: list[Collector] = [
            FeatureMetrics(stored, self._sizes, near=self._near),
            CacheMetrics([*self._caches.values()]),
            PrecomputeMetrics(ahead),
            EventMetrics(aggregator),
            TableMetrics(tables),
        ]
        if self._tracking is not None:
            metrics.append(TrackingMetrics(self._tracking))
        answers = Answers(online, stored, aggregator, self._toolbox, self._settings)
        return Features(
            service=Service(SERVICE, answers),
            metrics=metrics,
            definitions=self._declared,
            online=online,
            aggregator=aggregator,
            ahead=ahead,
            tracking=self._tracking,
            closing=self._closing,
        )

    def _stored(self) -> store.FeatureStore:
        near = self._near
        return store.FeatureStore(
            self._declared,
            self._blobs,
            reads=self._reads,
            writes=self._writes,
            wall_clock=WALL_CLOCK,
            limits=self._limits,
            through=_straight if near is None else near.through,
            changed=_unheeded if near is None else near.forget,
        )

    def _aggregator(self) -> Aggregator:
        aggregator = Aggregator(
            self._declared,
            self._blobs,
            reads=self._reads,
            writes=self._writes,
            wall_clock=WALL_CLOCK,
            limits=self._limits,
            max_waiting=self._settings.max_waiting_events,
        )
        self._closing.push_async_callback(aggregator.close)
        return aggregator

    def _computed(self, online: OnlineFeatures, tables: Tables) -> ComputedViews:
        engine = Engine(
            self._declared.plan,
            tables.sources,
            online.read,
            max_latency_s=self._settings.compute_timeout_ms / 1000,
            clock=self._clock,
            now_us=online.now_us,
        )
        return ComputedViews(engine, self._caches, now_us=online.now_us)

    def _cached(self, views: ComputedViews, busy: Callable[[], float]) -> RefreshAhead:
        """Have views cached that are to be; return what refreshes them ahead."""
        settings, behind = self._settings, [*self._levels()]
        ahead = RefreshAhead(settings.precompute, busy=busy, clock=self._clock)
        for view in self._declared.views.values():
            if view.cache_ttl_us is None:
                continue
            cache = self._caches[view] = MultiLevel(
                f"features_{view.name}",
                settings.cache,
                behind,
                ComputedCodec(view),
                clock=self._clock,
                random=Random().random,
                left_s=partial(views.left_s, view),
                live=self._hears,
            )
            self._closing.push_async_callback(cache.close)
            if settings.precompute.enabled:
                ttl_s = min(settings.cache.l1_ttl_s, view.cache_ttl_us / US)
                cache.on_hit = ahead.watch(cache, partial(views.load, view), ttl_s=ttl_s)
        return ahead

    def _levels(self) -> Iterator[Level]:
        """Yield the levels of caches behind this process's memory."""
        cache = self._settings.cache
        if self._redis is not None:
            in_redis = self._blobs if self._settings.store == "redis" else self._redis_blobs()
            yield self._level("l2", in_redis, cache.l2_ttl_s, tracked=True)
        if self._settings.cache_path is not None:
            in_file = self._sqlite_blobs(self._settings.cache_path)
            yield self._level("l3", in_file, cache.l3_ttl_s, tracked=False)
        if self._settings.cache_in_postgres:
            shared = self._blobs if self._settings.store == "postgres" else self._postgres_blobs()
            yield self._level("l3", shared, cache.l3_ttl_s, tracked=False)

    def _level(self, name: str, blobs: Blobs, ttl_s: float, *, tracked: bool) -> Level:
        reads = self._toolbox.dependency(f"features_{name}", levels.READS_GUARDED_AS)
        writes = self._toolbox.dependency(f"features_{name}_write", levels.WRITES_GUARDED_AS)
        return Level(name, blobs, reads, writes, ttl_s, tracked)

    @cached_property
    def _near(self) -> NearRows | None:
        near = self._settings.near
        # What other servers write to PostgreSQL nobody tells, and they do write.
        if self._settings.store in {"memory", "postgres"} or not near.enabled:
            return None
        return NearRows(
            Local(max_entries=near.max_entries, max_bytes=near.max_bytes, policy=near.policy),
            ttl_s=near.ttl_s,
            jitter=near.jitter,
            clock=self._clock,
            random=Random(),
            # What others write to a file nobody tells, and Redis has no part in it.
            live=self._hears if self._settings.store == "redis" else _always,
        )

    @cached_property
    def _blobs(self) -> Blobs:
        if self._settings.store == "sqlite":
            return self._sqlite_blobs(self._settings.sqlite_path)
        if self._settings.store == "redis":
            return self._redis_blobs()
        if self._settings.store == "postgres":
            return self._postgres_blobs()
        return MemoryBlobs(max_bytes=self._settings.memory_bytes, clock=self._clock)

    def _sqlite_blobs(self, path: Path) -> Blobs:
        from inferd.cache.sqlite_blobs import SqliteBlobs

        blobs = SqliteBlobs(path, wall_clock=WALL_CLOCK, sizes=self._sizes)
        self._closing.push_async_callback(blobs.close)
        return blobs

    def _redis_blobs(self) -> Blobs:
        from inferd.cache.redis_blobs import RedisBlobs

        assert self._redis is not None, "the configuration says so"
        blobs = RedisBlobs(self._redis, prefix=self._settings.key_prefix, sizes=self._sizes)
        self._closing.push_async_callback(blobs.close)
        return blobs

    def _postgres_blobs(self) -> Blobs:
        try:
            from inferd.cache.postgres_blobs import PostgresBlobs
        except ImportError as error:
            raise Unimplemented("postgres.url needs asyncpg: install inferd[postgres]") from error
        prefix = self._settings.key_prefix
        blobs = PostgresBlobs(self._postgres, prefix=prefix, sizes=self._sizes)
        self._closing.push_async_callback(blobs.close)
        return blobs

    @cached_property
    def _tracking(self) -> "Tracking | None":
        # Of the others nothing is at hand that goes without asking, and they are written often.
        near = [
            it for it in self._declared.views.values() if it.kind == "stored" or it.cache_ttl_us
        ]
        if self._redis is None or not near:
            return None
        from inferd.cache.tracking import Tracking

        begins = self._settings.key_prefix
        prefixes = {f"{begins}{it.prefix}": partial(self._forget_of, it) for it in near}
        return Tracking(self._redis, prefixes, on_flush=self._forget_all)

    def _hears(self) -> bool:
        """Whether this process is told of what others write, or there are no others."""
        return self._tracking is None or self._tracking.live

    def _forget_of(self, view: View, ids: Sequence[str]) -> None:
        """Forget what was written elsewhere of a view: rows, or what was computed."""
        names = [f"{view.prefix}{id}" for id in ids]
        if view in self._caches:
            self._caches[view].invalidate(names)
        elif self._near is not None:
            self._near.forget(names)

    def _forget_all(self) -> None:
        for cache in self._caches.values():
            cache.clear()
        if self._near is not None:
            self._near.forget_all()


def _straight(read: store.Read) -> store.Read:
    return read


def _always() -> bool:
    return True


def _unheeded(_: Iterable[str]) -> None:
    """Nobody has anything to forget."""
