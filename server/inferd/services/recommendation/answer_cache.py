"""Lists that are given again: to the same user, for the same request, while nothing has changed.

What is kept has nothing of the call that it was made for: no request id, no latency, no arm of an
experiment. Those are the stamp that every answer gets when it is given (`Answer`). What makes a
difference to a list is in its key, the parameters of experiments included.

Answers are kept by user, so that what a user does here takes all of theirs away at once; what is
done on other servers changes the profile's stamp, which is in the key. What was begun before a user
did something is not kept after it. Nor is what was degraded: the next caller may get better.

Who asks for what is being made waits for it (`Flights`), each with a deadline of their own.
"""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

from inferd.cache.flights import Flight, Flights
from inferd.cache.local import Local
from inferd.config.recommendation.cache import AnswerCache as Settings
from inferd.deadline import Clock, Deadline
from inferd.resilience.degradation import Degradation

FORGOTTEN_S: Final = 30.0
"""No answer takes longer to be made than it is remembered that what its user did came between."""
_FORGOTTEN: Final = 100_000
_ENTRY, _ITEM = 1050, 210
"""Bytes that an answer and each of its items take besides their texts, as tracemalloc has it."""


class Key(NamedTuple):
    """All that makes a difference to a list."""

    user_id: str
    #: `Profile.stamp`.
    stamp: int
    #: `context.bucket`.
    context: tuple[object, ...]
    #: Filters and all else of the request that makes a difference, such as `include_seen`.
    wanted: tuple[object, ...]
    length: int
    #: Of experiments, by name.
    parameters: tuple[tuple[str, object], ...]
    #: As "name/version".
    models: tuple[str, ...]
    epoch: int


class Listed(NamedTuple):
    """An item of a list."""

    item_id: str
    score: float
    reason: str


class Kept(NamedTuple):
    """A list, whoever asks for it and when: immutable, for many have it."""

    items: tuple[Listed, ...]
    #: What kind of answer it is, as the protocol has it: computed, cold start, popular.
    source: int
    models: tuple[str, ...] = ()
    epoch: int = 0
    degradations: tuple[Degradation, ...] = ()


class Stamp(NamedTuple):
    """What is of one call only."""

    request_id: str
    latency_ms: float
    time_us: int
    #: By the names of experiments.
    arms: Mapping[str, str]


class Answer(NamedTuple):
    """What one caller gets."""

    kept: Kept
    stamp: Stamp
    is_cached: bool


class _Entry(NamedTuple):
    kept: Kept
    until: float
    size: int


class AnswerCache:
    """Keeps lists. Lives on the event loop. `now` is in monotonic seconds."""

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._users: Local[dict[Key, _Entry]] = Local(
            max_entries=settings.max_users, max_bytes=settings.max_bytes
        )
        #: When users did something last.
        self._acted: Local[float] = Local(max_entries=_FORGOTTEN, policy="fifo")
        self._flights: Flights[Kept] = Flights("a recommendation", clock)
        self.hits = self.misses = 0

    @property
    def bytes(self) -> int:
        """How much is taken, about."""
        return self._users.bytes

    async def answer(
        self, key: Key, deadline: Deadline, make: Callable[[Deadline], Awaitable[Kept]]
    ) -> tuple[Kept, bool]:
        """Return a list, and whether it was kept from before.

        `make` is called unless it is there or being made; it gets the deadline of whoever came
        first. Raises what it raises, and `TimedOut`.
        """
        begun = self._clock()
        found = self.get(key, begun)
        if found is not None:
            return found, True
        # Who asks after having done something does not wait for a list of before.
        name = _name(key, self._acted.peek(key.user_id, begun))

        async def fly(flight: Flight[Kept]) -> None:
            kept = await make(flight.deadline)
            self.put(key, kept, begun=begun, now=self._clock())
            self._flights.found(flight, {name: kept})

        return (await self._flights.get([name], deadline, fly))[name], False

    def get(self, key: Key, now: float) -> Kept | None:
        """Return what is kept."""
        mine = self._users.get(key.user_id, now)
        entry = None if mine is None else mine.get(key)
        if entry is None or entry.until <= now:
            self.misses += 1
            return None
        self.hits += 1
        return entry.kept

    def put(self, key: Key, kept: Kept, *, begun: float, now: float) -> None:
        """Keep a list that somebody began to make at `begun`, unless it is of before already."""
        acted = self._acted.peek(key.user_id, now)
        if kept.degradations or (acted is not None and acted >= begun):
            return
        mine = {
            each: entry
            for each, entry in (self._users.peek(key.user_id, now) or {}).items()
            if entry.until > now and each != key
        }
        while len(mine) >= self._settings.max_per_user:
            del mine[next(iter(mine))]
        ttl_s = self._settings.ttl_s
        mine[key] = _Entry(kept, now + ttl_s, _size(key, kept))
        size = sum(entry.size for entry in mine.values())
        self._users.put(key.user_id, mine, now=now, ttl_s=ttl_s, size=size)

    def forget(self, user_id: str) -> None:
        """Let go of all that is kept for a user, who has done something."""
        now = self._clock()
        self._users.discard(user_id)
        self._acted.put(user_id, now, now=now, ttl_s=FORGOTTEN_S)

    async def close(self) -> None:
        """Give up what is being made."""
        await self._flights.close()


def _name(key: Key, acted: float | None) -> str:
    return blake2b(repr((key, acted)).encode(), digest_size=16).hexdigest()


def _size(key: Key, kept: Kept) -> int:
    texts = len(repr(key)) + sum(len(each.item_id) + len(each.reason) for each in kept.items)
    return _ENTRY + _ITEM * len(kept.items) + texts
