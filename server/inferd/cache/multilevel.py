"""A cache of several levels: this process's memory, Redis, a file, and whatever loads the rest.

Each level is asked only for what the nearer ones do not have, and a load for what none has. What is
found far away is put into all nearer levels that were asked: into memory at once, into the others
behind the caller's back. A level that fails or is slow is skipped and counted; only a load can
fail. Nothing is loaded twice at the same time, whoever asks for it.

While an entry in memory is stale, it is given at once, and fetched again by a task that nobody
waits for. While this process is not told of others' writes (`tracking`), memory keeps nothing for
long.

Values are handed to many readers at once: they must be immutable.

Where a level cannot be written, it keeps what it had until that one's time to live ends.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

from inferd.cache.blobs import Entry, stamp_of
from inferd.cache.cache_statistics import CacheStatistics
from inferd.cache.echoes import Echoes
from inferd.cache.flights import Flight, Flights
from inferd.cache.levels import Coded, Found, Level, Reach
from inferd.cache.nearest import Nearest
from inferd.call import Call
from inferd.config.cache import CachePolicy
from inferd.deadline import Clock, Deadline

V = TypeVar("V")

COMPUTED = "computed"
"""Where a value comes from that was loaded."""

Answer = tuple[V | None, str]
"""A value, None where there is none, and where it comes from."""
Load = Callable[[Call, Deadline, Sequence[str]], Awaitable[Sequence[V | None]]]
"""Returns the values of keys, in their order; None: there is none. Keeps the deadline."""


class MultiLevel(Generic[V]):
    """Gets values from as near as they are. Lives on the event loop."""

    def __init__(
        self,
        name: str,
        policy: CachePolicy,
        levels: Sequence[Level],
        codec: Coded[V],
        *,
        clock: Clock,
        random: Callable[[], float],
        left_s: Callable[[V], float] = lambda value: math.inf,
        live: Callable[[], bool] = lambda: True,
    ) -> None:
        """`left_s` returns the seconds that a value has left to live; with none it is not kept.

        `live` returns whether this process is told of what others write.
        """
        self.name = name
        self.flights: Flights[Answer[V]] = Flights(name, clock)
        self.nearest = Nearest(policy, random=random, left_s=left_s, live=live)
        #: What is in memory.
        self.local = self.nearest.local
        self.statistics = CacheStatistics(name, ["l1", *(level.name for level in levels)])
        #: Told of each key that is asked for, wherever it is found.
        self.on_hit: Callable[[str], None] | None = None
        self._refresh_s = policy.refresh_timeout_ms / 1000
        self._codec = codec
        self._left_s = left_s
        self._clock = clock
        self._echoes = Echoes()
        self._reaches = [
            Reach(
                level,
                codec,
                counts=self.statistics.levels[level.name],
                left_s=left_s,
                echoes=self._echoes,
                overruled=self._overruled,
            )
            for level in levels
        ]

    async def get(
        self, call: Call, deadline: Deadline, keys: Sequence[str], load: Load[V]
    ) -> list[Answer[V]]:
        """Return the values of keys, and where each comes from, in their order.

        Raises what `load` raises, and `TimedOut`.
        """
        began = self._clock()
        if self.on_hit is not None:
            for key in keys:
                self.on_hit(key)
        get = self.nearest.get
        held = [get(key, began) for key in keys]
        missing, stale, negative = [], [], 0
        for key, it in zip(keys, held, strict=True):
            if it is None:
                missing.append(key)
            else:
                negative += it.answer[0] is None
                if it.fresh_until <= began:
                    stale.append(key)
        self.statistics.nearest(
            len(keys), len(missing), len(stale), negative, self._clock() - began
        )
        if stale:
            self._fetch_behind([*dict.fromkeys(stale)], load)
        if not missing:
            return [it.answer for it in held if it is not None]
        fetch = partial(self._fetch, call, load)
        far = await self.flights.get([*dict.fromkeys(missing)], deadline, fetch)
        self.statistics.hits += sum(far[key][1] is not COMPUTED for key in missing)
        return [far[key] if it is None else it.answer for key, it in zip(keys, held, strict=True)]

    async def put(self, call: Call, deadline: Deadline, values: Mapping[str, V]) -> None:
        """Put values into every level. Where one fails, that is counted.

        Of two values of a key the one with the later stamp stays.
        """
        now = self._clock()
        found = {key: Found(it, self._codec.encode(it)) for key, it in values.items()}
        for key, (value, blob) in found.items():
            self.flights.forget(key)
            there = self.nearest.peek(key, now)
            if there is None or there.stamp < stamp_of(blob):
                self.nearest.keep(key, value, blob, now)
        async with asyncio.TaskGroup() as tasks:
            for reach in self._reaches:
                tasks.create_task(reach.put(call, deadline, self._entries(reach, found)))

    async def refresh(self, keys: Sequence[str], load: Load[V]) -> None:
        """Load keys although they are there; for what is under way already, only wait.

        Raises what `load` raises. Nobody else has to wait because of it.
        """
        call, deadline = self._on_nobodys_behalf()
        await self.flights.get(keys, deadline, partial(self._reload, call, load))

    def invalidate(self, keys: Iterable[str]) -> None:
        """Forget in memory what somebody is said to have written.

        What is on its way is given to those who wait for it, and not kept.
        """
        now = self._clock()
        for key in keys:
            if not self._echoes.heard(key, now):
                self._forget(key)
                self.statistics.invalidated += 1

    def clear(self) -> None:
        """Forget all that is in memory: anything may have been written."""
        self.nearest.clear()
        self.flights.clear()
        self._echoes.clear()

    def expires_at(self, key: str) -> float | None:
        """Return until when a key is fresh in memory, in monotonic seconds; None: not there."""
        held = self.nearest.peek(key, self._clock())
        return None if held is None else held.fresh_until

    async def close(self) -> None:
        """Give up what is under way. Whoever waits for it gets `Unavailable`."""
        await self.flights.close()
        for reach in self._reaches:
            await reach.close()

    def _overruled(self, entry: Entry) -> None:
        there = self.nearest.peek(entry.key, self._clock())
        if there is not None and there.stamp <= stamp_of(entry.blob):
            self._forget(entry.key)

    def _forget(self, key: str) -> None:
        self.nearest.discard(key)
        self.flights.forget(key)

    def _fetch_behind(self, keys: Sequence[str], load: Load[V]) -> None:
        call, deadline = self._on_nobodys_behalf()
        self.flights.begin(keys, deadline, partial(self._fetch, call, load))

    def _on_nobodys_behalf(self) -> tuple[Call, Deadline]:
        now = self._clock()
        deadline = Deadline.after(self._refresh_s, now=now)
        return Call(f"refresh {self.name}", arrived=now, deadline=deadline), deadline

    async def _fetch(self, call: Call, load: Load[V], flight: Flight[Answer[V]]) -> None:
        """Ask one level after the other, and load the rest."""
        missing, nearer = flight.keys, list[Reach[V]]()
        for reach in self._reaches:
            found = await reach.get(call, flight.deadline, missing)
            if found is None:
                continue  # it would not take anything either
            if found:
                self._found(flight, found, reach.source, nearer)
                missing = [key for key in missing if key not in found]
            if not missing:
                return
            nearer.append(reach)
        await self._load(call, load, flight, missing, nearer)

    async def _reload(self, call: Call, load: Load[V], flight: Flight[Answer[V]]) -> None:
        await self._load(call, load, flight, flight.keys, self._reaches)

    async def _load(
        self,
        call: Call,
        load: Load[V],
        flight: Flight[Answer[V]],
        keys: Sequence[str],
        nearer: Sequence[Reach[V]],
    ) -> None:
        began = self._clock()
        values = dict(zip(keys, await load(call, flight.deadline, keys), strict=True))
        now = self._clock()
        self.statistics.loaded += len(keys)
        self.statistics.load_seconds.observe(now - began)
        found, unkept = dict[str, Found[V]](), dict[str, Answer[V]]()
        for key, value in values.items():
            if value is not None and self._left_s(value) > 0:
                found[key] = Found(value, self._codec.encode(value))
                continue
            unkept[key] = (value, COMPUTED)
            if value is None and self.flights.is_latest(flight, key):
                self.nearest.keep_nothing(key, now)
        self.flights.found(flight, unkept)
        self._found(flight, found, COMPUTED, nearer)

    def _found(
        self,
        flight: Flight[Answer[V]],
        found: Mapping[str, Found[V]],
        source: str,
        nearer: Sequence[Reach[V]],
    ) -> None:
        """Keep what a flight has found where it was looked for, and tell those who wait."""
        now = self._clock()
        latest = {key: it for key, it in found.items() if self.flights.is_latest(flight, key)}
        for key, (value, blob) in latest.items():
            self.nearest.keep(key, value, blob, now)
        for reach in nearer:
            reach.fill(self._entries(reach, latest))
        self.flights.found(flight, {key: (it.value, source) for key, it in found.items()})

    def _entries(self, reach: Reach[V], found: Mapping[str, Found[V]]) -> list[Entry]:
        kept = (
            (key, it.blob, self.nearest.keep_s(it.value, reach.level.ttl_s))
            for key, it in found.items()
        )
        return [Entry(key, blob, keep_s) for key, blob, keep_s in kept if keep_s > 0]
