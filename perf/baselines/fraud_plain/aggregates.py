"""Features the usual way: a GET for each view, one after the other, and each is decoded and read.

States are in Redis as inferd has them there, and are read and added to by the same code, so both
sides say the same of a payment. What is not here is all that makes it fast: one MGET for whoever
asks at the same time, states at hand, a compare-and-swap. Two payments that are recorded at the
same time may lose one of them.
"""

from collections.abc import Sequence
from typing import cast

from redis.asyncio import Redis

from inferd.cache.blobs import EARLIEST_STAMP, stamp_of
from inferd.features.aggregates.events import EventWrite, checked_event
from inferd.features.aggregates.views import AggregatedView
from inferd.features.compute.work import Work
from inferd.features.definitions import Definitions, Key
from inferd.features.rows import Row
from inferd.features.values import Found, Lookup, judged
from inferd.features.windows import State
from inferd.features.writing import Limits

SOURCE = "redis"


class Aggregates:
    """Reads features, and records events."""

    def __init__(
        self, definitions: Definitions, redis: "Redis", *, prefix: str, limits: Limits
    ) -> None:
        self._definitions = definitions
        self._redis = redis
        self._prefix = prefix
        self._limits = limits
        self._views = {
            view: AggregatedView(view, ahead_us=limits.ahead_us)
            for view in definitions.views.values()
            if view.kind == "aggregated"
        }
        self._views_of = {
            name: [
                each for each in self._views.values() if name in (each.view.declared.events or ())
            ]
            for name in definitions.events
        }

    async def ask(self, lookups: Sequence[Lookup], now_us: int) -> list[Found]:
        """Return what is known, in the order of `lookups`; no view is read twice."""
        known: dict[Key, Row | None] = {}
        return [await self._found(each, known, now_us) for each in lookups]

    async def record(self, write: EventWrite, now_us: int) -> None:
        """Add an event to all that it is of."""
        views = self._views_of[write.event.name]
        event = checked_event(write, views, now_us=now_us, limits=self._limits, field="")
        for share in event.shares:
            there = await blob(self._redis, self._prefix + share.key)
            state = None if there is None else State.decode(share.of.plan, there)
            if state is None:
                state = State(share.of.plan)
            state.add(event.event_us, event.event_id, share.values, now_us=now_us)
            stamp = EARLIEST_STAMP if there is None else stamp_of(there) + 1
            keep_ms = round(share.of.keep_s * 1000)
            await self._redis.set(self._prefix + share.key, state.encode(stamp), px=keep_ms)

    async def _found(self, lookup: Lookup, known: dict[Key, Row | None], now_us: int) -> Found:
        if lookup.view.kind == "computed":
            recipe = self._definitions.plan.recipe(lookup.view, lookup.places)
            work = Work(lookup, recipe, {})
            work.take([await self._found(each, known, now_us) for each in work.bases])
            work.advance()
            return work.found(now_us)
        if lookup.key not in known:
            known[lookup.key] = await self._row(lookup, now_us)
        return judged(lookup, known[lookup.key], now_us)

    async def _row(self, lookup: Lookup, now_us: int) -> Row | None:
        view = self._views[lookup.view]
        there = await blob(self._redis, self._prefix + view.key(lookup.entity_id))
        state = None if there is None else State.decode(view.plan, there)
        if state is None:
            return None
        return Row(state.newest_us, view.cells(state, now_us), SOURCE)


async def blob(redis: "Redis", key: str) -> bytes | None:
    """Return what there is under a key."""
    return cast(bytes | None, await redis.get(key))
