"""Caches of several levels in virtual time, and levels and loads that do as they are told."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from inferd.cache.blobs import EARLIEST_STAMP, Blobs, Entry, Written
from inferd.cache.levels import Level
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.cache.multilevel import MultiLevel
from inferd.call import Call
from inferd.config import resilience
from inferd.config.cache import CachePolicy
from inferd.deadline import Deadline
from support.guards import AMPLE_S, a_dependency, now

CALL = Call("/shop.Ranking/Rank", arrived=0.0)
HANGS_S = 30.0
LOOKS_S = 0.002


class Value(NamedTuple):
    """An immutable value, and how new it is."""

    text: str
    stamp: int = 1


class ValueCodec:
    def encode(self, value: Value) -> bytes:
        return msgspec.msgpack.encode((EARLIEST_STAMP + value.stamp, value.text))

    def decode(self, blob: bytes) -> Value | None:
        try:
            stamp, text = msgspec.msgpack.decode(blob, type=tuple[int, str])
        except msgspec.MsgspecError:
            return None
        return Value(text, stamp - EARLIEST_STAMP)


class Loader:
    """Loads `<key>!` with the number of the load as stamp. It takes `seconds` and may fail."""

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        #: What each load was asked for, and until when.
        self.asked: list[list[str]] = []
        self.until: list[float] = []
        self.cancelled = 0
        #: Keys that have no value.
        self.nothing: set[str] = set()

    async def __call__(
        self, call: Call, deadline: Deadline, keys: Sequence[str]
    ) -> Sequence[Value | None]:
        self.asked.append([*keys])
        self.until.append(deadline.at)
        number = len(self.asked)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return [None if key in self.nothing else Value(f"{key}!", number) for key in keys]

    @property
    def loads(self) -> int:
        return len(self.asked)


class Store(MemoryBlobs):
    """Blobs in memory that can be slow or broken, and remember what they were asked."""

    def __init__(self) -> None:
        super().__init__(max_bytes=10_000_000, clock=now)
        self.seconds = 0.0
        self.error: Exception | None = None
        self.asked: list[list[str]] = []
        self.entries: list[Entry] = []
        #: Told of each key that was changed, as tracking would.
        self.changed: Callable[[Sequence[str]], None] = lambda keys: None

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        self.asked.append([*keys])
        await self._act()
        return await super().get(keys)

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        await self._act()
        self.entries += entries
        written = await super().put(entries)
        pairs = zip(entries, written, strict=True)
        self.changed([entry.key for entry, each in pairs if each is Written.STORED])
        return written

    async def _act(self) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error


def a_level(
    name: str,
    blobs: Blobs,
    *,
    tracked: bool = False,
    ttl_s: float = 300.0,
    timeout_ms: float = 5.0,
) -> Level:
    how: Any = {"limit": resilience.Limit(mode="off"), "timeout_ms": timeout_ms}
    reads, writes = a_dependency(name, **how), a_dependency(f"{name}_write", **how)
    return Level(name, blobs, reads, writes, ttl_s, tracked)


def a_cache(*levels: Level, **options: Any) -> MultiLevel[Value]:
    """Return a cache. Options are the policy's and the cache's; nothing is spread, unless told."""
    own = {key: options.pop(key) for key in ("left_s", "live") if key in options}
    return MultiLevel(
        "shop",
        CachePolicy(**{"jitter": 0.0, **options}),
        levels,
        ValueCodec(),
        clock=now,
        random=random.Random(1).random,
        **own,
    )


async def get(
    cache: MultiLevel[Value], load: Loader, *keys: str, within_s: float = AMPLE_S
) -> list[tuple[str | None, str]]:
    """Return texts and sources."""
    answers = await cache.get(CALL, Deadline.after(within_s, now=now()), keys, load)
    return [(None if value is None else value.text, source) for value, source in answers]


async def put(cache: MultiLevel[Value], **values: Value) -> None:
    await cache.put(CALL, Deadline.after(AMPLE_S, now=now()), values)


async def settled() -> None:
    """Wait until what goes on behind callers' backs is done."""
    await asyncio.sleep(0.001)


async def until(met: Callable[[], bool]) -> None:
    """Wait, in real time, until something is so."""
    for _ in range(round(HANGS_S / LOOKS_S)):
        if met():
            return
        await asyncio.sleep(LOOKS_S)
    raise AssertionError(f"not within {HANGS_S:g} s")
