"""Aggregators over any store of blobs, with a wall clock that is set by hand."""

import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from inferd import config
from inferd.cache.blobs import Blobs
from inferd.cache.connection import client, close
from inferd.cache.postgres_blobs import PostgresBlobs
from inferd.cache.redis_blobs import RedisBlobs
from inferd.cache.sqlite_blobs import SqliteBlobs
from inferd.call import Call
from inferd.config import resilience
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.aggregates.backlog import Recorded
from inferd.features.aggregates.events import CheckedEvent, EventWrite
from inferd.features.definitions import US, Definitions, EntityId
from inferd.features.values import Found, Lookup, Value
from inferd.features.writing import Limits
from support.feature_stores import AMPLE_S, WallClock, a_histogram, in_
from support.guards import a_dependency
from support.postgres import PostgresServer, a_postgres

CALL = Call("/inferd.v1.FeatureService/Record", arrived=0.0)
MAX_BYTES = 200
PREFIX = "feat:"

DECLARED: Mapping[str, Any] = {
    "entities": [{"name": "user", "id": "int64"}, {"name": "merchant"}],
    "events": [
        {
            "name": "payment",
            "fields": [
                {"name": "user", "type": "int64", "required": True},
                {"name": "shop", "type": "string"},
                {"name": "amount", "type": "float64"},
                {"name": "items", "type": "int64"},
                {"name": "device", "type": "string"},
                {"name": "online", "type": "bool"},
                {"name": "token", "type": "bytes"},
            ],
        },
        {"name": "visit", "fields": [{"name": "page", "type": "string"}]},
    ],
    "views": [
        {
            "name": "spending",
            "entity": "user",
            "events": "payment",
            "features": [
                {
                    "name": "payments_1m",
                    "type": "int64",
                    "aggregate": {"function": "count", "window": "1m"},
                },
                {
                    "name": "payments_1h",
                    "type": "int64",
                    "default": -1,
                    "aggregate": {"function": "count", "window": "1h"},
                },
                {
                    "name": "spent_1h",
                    "type": "float64",
                    "aggregate": {"function": "sum", "of": "amount", "window": "1h"},
                },
                {
                    "name": "most_items_1h",
                    "type": "int64",
                    "default": 7,
                    "aggregate": {"function": "max", "of": "items", "window": "1h"},
                },
            ],
        },
        {
            "name": "takings",
            "entity": "merchant",
            "events": "payment",
            "by": "shop",
            "max_age_s": 86400,
            "features": [
                {
                    "name": "users_24h",
                    "type": "int64",
                    "aggregate": {"function": "distinct", "of": "user", "window": "24h"},
                },
                {
                    "name": "mean_24h",
                    "type": "float64",
                    "aggregate": {"function": "mean", "of": "amount", "window": "24h"},
                },
            ],
        },
        {
            "name": "profile",
            "entity": "user",
            "features": [{"name": "age", "type": "int64"}],
        },
    ],
}


class Desk:
    """An aggregator as it is asked in tests. Times are seconds before now."""

    def __init__(self, aggregator: Aggregator, definitions: Definitions, clock: WallClock) -> None:
        self.aggregator = aggregator
        self.definitions = definitions
        self.wall_clock = clock
        self._ids = map(str, itertools.count())

    def us(self, ago_s: float) -> int:
        return self.aggregator.now_us() - round(ago_s * US)

    def payment(
        self, user: object, amount: object = 1.0, *, ago_s: float = 1, id: str = "", **more: object
    ) -> CheckedEvent:
        fields = {"user": user, "amount": amount, **more}
        event = self.definitions.events["payment"]
        write = EventWrite(event, id or f"event {next(self._ids)}", self.us(ago_s), fields)
        return self.aggregator.checked(write)

    async def record(self, *events: CheckedEvent, within_s: float = AMPLE_S) -> Sequence[Recorded]:
        return await self.aggregator.record(CALL, in_(within_s), events)

    def lookup(
        self, view: str, entity_id: EntityId, *names: str, as_of_ago_s: float | None = None
    ) -> Lookup:
        it = self.definitions.view(view, field="view")
        as_of_us = None if as_of_ago_s is None else self.us(as_of_ago_s)
        return Lookup(it, entity_id, it.places_of(names or it.places, field="names"), as_of_us)

    async def fetch(self, *lookups: Lookup) -> list[Found]:
        return await self.aggregator.fetch(CALL, in_(AMPLE_S), lookups)

    async def read(
        self, view: str, entity_id: EntityId, *names: str, **how: Any
    ) -> dict[str, Value]:
        lookup = self.lookup(view, entity_id, *names, **how)
        (found,) = await self.fetch(lookup)
        named = [lookup.view.features[place].name for place in lookup.places]
        return dict(zip(named, found.values, strict=True))

    async def value(self, view: str, entity_id: EntityId, name: str) -> object:
        return (await self.read(view, entity_id, name))[name].value


Opened = Callable[[], AbstractAsyncContextManager[Desk]]


def a_desk(blobs: Blobs, *, wall_clock: WallClock | None = None, **settings: Any) -> Desk:
    """Return an aggregator over blobs, whose guards neither give up nor ask twice."""
    guard: dict[str, Any] = {
        "timeout_ms": AMPLE_S * 1000,
        "breaker": resilience.Breaker(mode="off"),
        "hedge": resilience.Hedge(enabled=False),
        "retry": resilience.Retry(attempts=1),
    }
    wall_clock = wall_clock or WallClock(time.time())
    definitions = Definitions.read(DECLARED)
    aggregator = Aggregator(
        definitions,
        blobs,
        reads=a_dependency("features", **guard),
        writes=a_dependency("features_write", **guard),
        wall_clock=wall_clock,
        limits=Limits(MAX_BYTES, 300 * US),
        **settings,
    )
    return Desk(aggregator, definitions, wall_clock)


@asynccontextmanager
async def over(blobs: Blobs) -> AsyncIterator[Desk]:
    desk = a_desk(blobs)
    try:
        yield desk
    finally:
        await desk.aggregator.close()


@asynccontextmanager
async def over_redis(url: str) -> AsyncIterator[Desk]:
    connected = client(config.Redis(url=url))
    blobs = RedisBlobs(connected, prefix=PREFIX, sizes=a_histogram())
    try:
        async with over(blobs) as desk:
            yield desk
    finally:
        await blobs.close()
        await close(connected)


@asynccontextmanager
async def over_sqlite(path: Path) -> AsyncIterator[Desk]:
    blobs = SqliteBlobs(path, wall_clock=time.time, sizes=a_histogram())
    try:
        async with over(blobs) as desk:
            yield desk
    finally:
        await blobs.close()


@asynccontextmanager
async def over_postgres(postgres: PostgresServer, prefix: str) -> AsyncIterator[Desk]:
    blobs = PostgresBlobs(a_postgres(postgres), prefix=prefix, sizes=a_histogram())
    try:
        async with over(blobs) as desk:
            yield desk
    finally:
        await blobs.close()
