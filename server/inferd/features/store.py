"""Stored views: rows of many entities, read and written within a deadline.

Reads and writes are dependencies of their own, so that slow writes are not taken for slow reads.
Writes are not made twice: whoever is told that one failed may make it again, because it is
idempotent.

Between the guards and the callers there is room for levels that know rows before the store is
asked (`through`). What is asked for as of a point in time goes past them: they know the last row,
and when they learnt it is nobody's concern.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

from inferd.cache.blobs import Blobs, Written
from inferd.call import Call
from inferd.config import resilience as config
from inferd.deadline import Clock, Deadline
from inferd.features.definitions import US, Definitions, Key
from inferd.features.rows import Row
from inferd.features.statistics import FeatureStatistics
from inferd.features.values import Found, Lookup, judged
from inferd.features.writing import Checked, Limits, Write, checked
from inferd.resilience.dependency import Dependency

Read = Callable[[Call, Deadline, Sequence[Key]], Awaitable[Sequence[Row | None]]]
"""Reads the rows of keys, in their order. Raises `InferdError`."""

READS = "features"
WRITES = "features_write"
"""Of the dependencies."""

# Reads leave together, however many there are, so their number says little.
_LIMIT = config.Limit(mode="fixed", initial=1000)
_BREAKER = config.Breaker(open_s=0.3, open_max_s=1.0)
READS_GUARDED_AS = config.Dependency(timeout_ms=20, limit=_LIMIT, breaker=_BREAKER)
WRITES_GUARDED_AS = config.Dependency(timeout_ms=1000, limit=_LIMIT, breaker=_BREAKER)
"""Unless the configuration says otherwise."""


class FeatureStore:
    """Reads and writes stored views. Lives on the event loop."""

    def __init__(
        self,
        definitions: Definitions,
        blobs: Blobs,
        *,
        reads: Dependency,
        writes: Dependency,
        wall_clock: Clock,
        limits: Limits,
        through: Callable[[Read], Read] = lambda read: read,
        changed: Callable[[Iterable[str]], None] = lambda names: None,
    ) -> None:
        """`through` returns what is asked instead of the store, and may ask it.

        `changed` is told the keys of rows that are, or may be, no longer what they were.
        """
        self.definitions = definitions
        self._blobs = blobs
        self._wall_clock = wall_clock
        self._limits = limits
        #: Blobs that are no rows of their view, by view. They count as missing.
        self.corrupt: Counter[str] = Counter()
        self.statistics = FeatureStatistics(definitions.views)
        self._guarded_get = reads.guards(self._get, repeatable=True)
        self._from_nearest = through(self._from_store)
        self._guarded_put = writes.guards(self._put)
        self._changed = changed

    async def fetch(self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]) -> list[Found]:
        """Return what is known, or raise what kept the store from answering."""
        latest = [each.key for each in lookups if each.as_of_us is None]
        past = [each.key for each in lookups if each.as_of_us is not None]
        near = iter(await self._from_nearest(call, deadline, latest) if latest else ())
        far = iter(await self._from_store(call, deadline, past) if past else ())
        now_us = self.now_us()
        return [
            judged(each, next(near if each.as_of_us is None else far), now_us) for each in lookups
        ]

    def checked(self, write: Write, *, field: str = "") -> Checked:
        """Return a row ready to be `set`. Raises `InvalidRequest` naming all that is wrong."""
        return checked(write, now_us=self.now_us(), limits=self._limits, field=field)

    async def set(
        self, call: Call, deadline: Deadline, rows: Sequence[Checked]
    ) -> Sequence[Written]:
        """Store rows unless newer ones are there; return, in their order, what became of them.

        Raises `InferdError`; then it is open which of them are stored.
        """
        try:
            results = await self._guarded_put(call, deadline, rows)
        finally:
            self._changed([row.entry.key for row in rows])
        self.statistics.wrote(rows, results)
        return results

    def now_us(self) -> int:
        """Return the time of day, in microseconds since 1970."""
        return round(self._wall_clock() * US)

    def _get(
        self, call: Call, deadline: Deadline, keys: Sequence[str]
    ) -> Coroutine[Any, Any, Sequence[bytes | None]]:
        return self._blobs.get(keys)

    async def _from_store(
        self, call: Call, deadline: Deadline, keys: Sequence[Key]
    ) -> Sequence[Row | None]:
        named = [f"{key.view.prefix}{key.entity_id}" for key in keys]
        # Decoded out here, so that an answer that is broken on purpose is found to be broken.
        found = await self._guarded_get(call, deadline, named)
        return [
            None if blob is None else self._decoded(key, blob)
            for key, blob in zip(keys, found, strict=True)
        ]

    def _put(
        self, call: Call, deadline: Deadline, rows: Sequence[Checked]
    ) -> Coroutine[Any, Any, Sequence[Written]]:
        return self._blobs.put([row.entry for row in rows])

    def _decoded(self, key: Key, blob: bytes) -> Row | None:
        row = key.view.codec.decode(blob, self._blobs.name)
        if row is None:
            self.corrupt[key.view.name] += 1
        return row
