"""One level of a cache as the cache uses it: guarded, counted, and never the reason for an error.

What a level does not answer in time, or at all, is not in it. What is put into a level because a
farther one had it is put there behind the caller's back: by one task per level, which takes all
that waits at once and ends when nothing does.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, NamedTuple, Protocol, TypeVar

from inferd.cache.blobs import Blobs, Entry, Written, stamp_of
from inferd.cache.cache_statistics import LevelStatistics
from inferd.cache.echoes import Echoes
from inferd.call import Call
from inferd.config import resilience as config
from inferd.deadline import Deadline
from inferd.errors import InferdError
from inferd.resilience.dependency import Dependency

log = logging.getLogger(__name__)

V = TypeVar("V")

MOST_WAITING = 5_000
"""Entries that wait to be put into a level; what comes on top is not put there, and counted."""
MOST_AT_ONCE = 100

_LIMIT = config.Limit(mode="fixed", initial=1000)
_BREAKER = config.Breaker(open_s=0.3, open_max_s=1.0)
READS_GUARDED_AS = config.Dependency(timeout_ms=5, limit=_LIMIT, breaker=_BREAKER)
WRITES_GUARDED_AS = config.Dependency(timeout_ms=1000, limit=_LIMIT, breaker=_BREAKER)
"""Unless the configuration says otherwise."""


class Coded(Protocol[V]):
    """Writes and reads values."""

    def encode(self, value: V) -> bytes:
        """Return a value as a blob, with a stamp (`inferd.cache.blobs`)."""

    def decode(self, blob: bytes) -> V | None:
        """Return what a blob says; None for one that is corrupt."""


@dataclass(frozen=True, slots=True)
class Level:
    """A store behind this process's own memory."""

    #: `l2` or `l3`.
    name: str
    blobs: Blobs
    #: Of reads.
    guard: Dependency
    #: Of writes; a dependency of its own, so that slow writes are not taken for slow reads.
    writes: Dependency
    #: How long it keeps an entry, before jitter.
    ttl_s: float
    #: Whether this process is told what is written to it, by whomever (`tracking`).
    tracked: bool = False


class Found(NamedTuple, Generic[V]):
    """What a level had."""

    value: V
    blob: bytes


class Reach(Generic[V]):
    """Asks and fills one level. Lives on the event loop."""

    def __init__(
        self,
        level: Level,
        codec: Coded[V],
        *,
        counts: LevelStatistics,
        left_s: Callable[[V], float],
        echoes: Echoes,
        overruled: Callable[[Entry], None],
    ) -> None:
        """Tell `overruled` of each entry that the level has something newer of, or may have."""
        self.level = level
        self.source = f"{level.name}_cache"
        self._counts = counts
        self._codec = codec
        self._left_s = left_s
        self._echoes = echoes
        self._overruled = overruled
        self._clock = level.guard.clock
        # Not repeatable: where one level does not answer, the next is asked, not the same again.
        self._guarded_get = level.guard.guards(self._get)
        self._guarded_put = level.writes.guards(self._put)
        self._waiting: dict[str, Entry] = {}
        self._filling: asyncio.Task[None] | None = None

    async def get(
        self, call: Call, deadline: Deadline, keys: Sequence[str]
    ) -> Mapping[str, Found[V]] | None:
        """Return what the level has of keys; None where it does not answer."""
        began = self._clock()
        try:
            blobs = await self._guarded_get(call, deadline, keys)
        except Exception as error:
            self._failed(error)
            return None
        self._counts.seconds.observe(self._clock() - began)
        found = {
            key: Found(value, blob)
            for key, blob in zip(keys, blobs, strict=True)
            if blob is not None and (value := self._decoded(blob)) is not None
        }
        self._counts.hits += len(found)
        self._counts.misses += len(keys) - len(found)
        return found

    async def put(self, call: Call, deadline: Deadline, entries: Sequence[Entry]) -> None:
        """Put entries into the level, unless it has newer ones. It may fail; that is counted."""
        if self.level.tracked:
            self._echoes.expect([entry.key for entry in entries], self._clock())
        try:
            written = await self._guarded_put(call, deadline, entries)
        except asyncio.CancelledError:
            self._doubt(entries)
            raise
        except Exception as error:
            self._failed(error)
            self._doubt(entries)
            return
        for entry, each in zip(entries, written, strict=True):
            if each is not Written.STORED:
                self._echoes.forget(entry.key)
            if each is Written.OLDER:
                self._overruled(entry)

    def fill(self, entries: Iterable[Entry]) -> None:
        """Put entries into the level when there is time for it, or not at all."""
        for entry in entries:
            there = self._waiting.get(entry.key)
            if there is None and len(self._waiting) >= MOST_WAITING:
                self._counts.dropped += 1
            elif there is None or stamp_of(there.blob) <= stamp_of(entry.blob):
                self._waiting[entry.key] = entry
        if self._waiting and self._filling is None:
            loop = asyncio.get_running_loop()
            self._filling = loop.create_task(self._fill(), name=f"filling {self.level.name}")

    async def close(self) -> None:
        """Give up what waits."""
        self._waiting.clear()
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.wait([self._filling])

    async def _fill(self) -> None:
        try:
            while self._waiting:
                entries = [*islice(self._waiting.values(), MOST_AT_ONCE)]
                for entry in entries:
                    del self._waiting[entry.key]
                now = self._clock()
                within = Deadline.after(self.level.writes.timeout_s, now=now)
                await self.put(Call(f"fill {self.level.name}", arrived=now), within, entries)
        finally:
            self._filling = None

    async def _get(
        self, call: Call, deadline: Deadline, keys: Sequence[str]
    ) -> Sequence[bytes | None]:
        return await self.level.blobs.get(keys)

    async def _put(
        self, call: Call, deadline: Deadline, entries: Sequence[Entry]
    ) -> Sequence[Written]:
        return await self.level.blobs.put(entries)

    def _doubt(self, entries: Sequence[Entry]) -> None:
        """Expect no echo of what may not have been written; what was taken for one may be news."""
        for entry in entries:
            if self.level.tracked and not self._echoes.forget(entry.key):
                self._overruled(entry)

    def _decoded(self, blob: bytes) -> V | None:
        value = self._codec.decode(blob)
        if value is None:
            self._counts.corrupt += 1
            return None
        # A level may keep things for longer than it was told to.
        return value if self._left_s(value) > 0 else None

    def _failed(self, error: Exception) -> None:
        self._counts.errors += 1
        if not isinstance(error, InferdError):
            log.error("%s failed", self.level.name, exc_info=error)
