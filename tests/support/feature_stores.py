"""Feature stores over each kind of store, with a wall clock that is set by hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from inferd import config
from inferd.cache.blobs import Blobs, Written
from inferd.cache.connection import client, close
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.cache.postgres_blobs import PostgresBlobs
from inferd.cache.redis_blobs import RedisBlobs
from inferd.cache.sqlite_blobs import SqliteBlobs
from inferd.call import Call
from inferd.config import resilience
from inferd.config.faults import Faults
from inferd.config.features import Features as Settings
from inferd.deadline import Deadline
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.definitions import US, Definitions, EntityId
from inferd.features.online import OnlineFeatures
from inferd.features.store import READS, READS_GUARDED_AS, WRITES, FeatureStore, Read
from inferd.features.values import Found, Lookup, Value
from inferd.features.writing import Limits, Write
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.services.features.service import Features
from inferd.telemetry.statistics import Histogram
from support.postgres import PostgresServer, a_postgres
from support.redis import RedisServer

AMPLE_S = 30.0
MAX_BYTES = 2000
CALL = Call("/inferd.v1.FeatureService/Get", arrived=0.0)
PREFIX = "feat:"
LIMITS = Limits(MAX_BYTES, 300 * US)

DECLARED: Mapping[str, Any] = {
    "entities": [{"name": "user", "id": "int64"}, {"name": "item"}],
    "views": [
        {
            "name": "profile",
            "entity": "user",
            "features": [
                {"name": "age", "type": "int64", "default": 30},
                {"name": "country", "type": "string"},
                {"name": "income", "type": "float64", "default": 0.5},
                {"name": "premium", "type": "bool"},
                {"name": "token", "type": "bytes"},
                {"name": "taste", "type": "float_list[2]", "default": [0, 1]},
            ],
        },
        {
            "name": "activity",
            "entity": "user",
            "ttl_s": 600,
            "max_age_s": 60,
            "features": [{"name": "clicks", "type": "int64", "default": 0}],
        },
        {
            "name": "stock",
            "entity": "item",
            "features": [
                {"name": "price", "type": "float64", "required": True},
                {"name": "ratio", "type": "float64", "allow_nan": True},
            ],
        },
    ],
}


class WallClock:
    """Says what it was set to."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Store:
    """A feature store as it is asked in tests. Times are seconds before now."""

    def __init__(
        self,
        features: FeatureStore,
        blobs: Blobs,
        toolbox: Toolbox,
        faults: FaultPoints,
        wall_clock: WallClock,
    ) -> None:
        self.features = features
        self.blobs = blobs
        self.online = OnlineFeatures(
            {"stored": features}, features.statistics, now_us=features.now_us
        )
        self.toolbox = toolbox
        self.faults = faults
        self.wall_clock = wall_clock
        self.definitions = features.definitions

    def lookup(
        self, view: str, entity_id: EntityId, *names: str, as_of_ago_s: float | None = None
    ) -> Lookup:
        it = self.definitions.view(view, field="view")
        as_of_us = None if as_of_ago_s is None else self.us(as_of_ago_s)
        return Lookup(it, entity_id, it.places_of(names or it.places, field="names"), as_of_us)

    def us(self, ago_s: float) -> int:
        return self.features.now_us() - round(ago_s * US)

    def write(self, view: str, entity_id: EntityId, ago_s: float, **values: object) -> Write:
        it = self.definitions.view(view, field="view")
        return Write(it, entity_id, self.us(ago_s), values)

    async def set(
        self, view: str, entity_id: EntityId, *, ago_s: float = 1.0, **values: object
    ) -> Written:
        (result,) = await self.set_all(self.write(view, entity_id, ago_s, **values))
        return result

    async def set_all(self, *writes: Write) -> Sequence[Written]:
        rows = [self.features.checked(each) for each in writes]
        return await self.features.set(CALL, in_(AMPLE_S), rows)

    async def get(self, *lookups: Lookup, within_s: float = AMPLE_S) -> list[Found]:
        return await self.online.get(CALL, in_(within_s), lookups)

    async def read(
        self, view: str, entity_id: EntityId, *names: str, **how: Any
    ) -> dict[str, Value]:
        lookup = self.lookup(view, entity_id, *names, **how)
        (found,) = await self.get(lookup)
        named = [lookup.view.features[place].name for place in lookup.places]
        return dict(zip(named, found.values, strict=True))


Opened = Callable[[], AbstractAsyncContextManager[Store]]


def in_(seconds: float) -> Deadline:
    return Deadline.after(seconds, now=asyncio.get_running_loop().time())


def a_store(
    blobs: Blobs,
    *,
    wall_clock: WallClock | None = None,
    through: Callable[[Read], Read] = lambda read: read,
    **dependency: Any,
) -> Store:
    """Return a feature store over blobs. Its guards wait longer than others, for slow machines."""
    clock = asyncio.get_running_loop().time
    guard = READS_GUARDED_AS.model_copy(update={"timeout_ms": AMPLE_S * 1000, **dependency})
    settings = resilience.Resilience(dependencies={READS: guard, WRITES: guard})
    faults = FaultPoints(Faults(enabled=True), clock)
    toolbox = Toolbox(settings, faults, histogram=a_histogram, clock=clock)
    wall_clock = wall_clock or WallClock(time.time())
    features = FeatureStore(
        Definitions.read(DECLARED),
        blobs,
        reads=toolbox.dependency(READS),
        writes=toolbox.dependency(WRITES),
        wall_clock=wall_clock,
        limits=LIMITS,
        through=through,
    )
    return Store(features, blobs, toolbox, faults, wall_clock)


def a_feature_service(store: Store, settings: Settings) -> Features:
    """Return who answers for a store."""
    aggregator = Aggregator(
        store.definitions,
        store.blobs,
        reads=store.toolbox.dependency(READS),
        writes=store.toolbox.dependency(WRITES),
        wall_clock=store.wall_clock,
        limits=LIMITS,
    )
    return Features(store.online, store.features, aggregator, store.toolbox, settings)


def a_histogram() -> Histogram:
    return Histogram([1.0, 10.0, 100.0])


@asynccontextmanager
async def in_memory(max_bytes: int = 1_000_000) -> AsyncIterator[Store]:
    wall_clock = WallClock(time.time())
    yield a_store(MemoryBlobs(max_bytes=max_bytes, clock=wall_clock), wall_clock=wall_clock)


@asynccontextmanager
async def in_redis(redis: RedisServer, **dependency: Any) -> AsyncIterator[Store]:
    connected = client(config.Redis(url=redis.url))
    blobs = RedisBlobs(connected, prefix=PREFIX, sizes=a_histogram())
    try:
        yield a_store(blobs, **dependency)
    finally:
        await blobs.close()
        await close(connected)


@asynccontextmanager
async def in_sqlite(path: Path) -> AsyncIterator[Store]:
    wall_clock = WallClock(time.time())
    blobs = SqliteBlobs(path, wall_clock=wall_clock, sizes=a_histogram())
    try:
        yield a_store(blobs, wall_clock=wall_clock)
    finally:
        await blobs.close()


@asynccontextmanager
async def in_postgres(
    postgres: PostgresServer, prefix: str, **dependency: Any
) -> AsyncIterator[Store]:
    blobs = PostgresBlobs(a_postgres(postgres), prefix=prefix, sizes=a_histogram())
    try:
        yield a_store(blobs, **dependency)
    finally:
        await blobs.close()
