"""Lists that are given again: to the same user, for the same request, while nothing has changed.

What is kept has nothing of the call that it was made for: no request id, no latency, no arm of an
experiment. Those every answer gets when it is given. What makes a difference to a list is in its
key, what experiments change included.

Answers are kept by user, so that what a user does here takes all of theirs away at once; what is
done on other servers changes the profile's stamp, which is in the key. What was begun before a user
did something is not kept after it. Nor is what was degraded: the next caller may get better.
"""

from typing import Final, NamedTuple

from inferd.cache.local import Local
from inferd.config.recommendation.cache import AnswerCache as Settings
from inferd.services.recommendation.making import Listed
from inferd.services.recommendation.tuning import Tuning

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
    #: What experiments change about it.
    tuning: Tuning
    #: As "name/version".
    models: tuple[str, ...]
    epoch: int


class _Entry(NamedTuple):
    kept: Listed
    until: float
    size: int


class AnswerCache:
    """Keeps lists. Lives on the event loop. `now` is in monotonic seconds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._users: Local[dict[Key, _Entry]] = Local(
            max_entries=settings.max_users, max_bytes=settings.max_bytes
        )
        #: When users did something last.
        self._acted: Local[float] = Local(max_entries=_FORGOTTEN, policy="fifo")
        self.hits = self.misses = 0

    @property
    def parts_of_day(self) -> int:
        """In how many a day is told apart."""
        return self._settings.parts_of_day

    @property
    def bytes(self) -> int:
        """How much is taken, about."""
        return self._users.bytes

    def get(self, key: Key, now: float) -> Listed | None:
        """Return what is kept."""
        mine = self._users.get(key.user_id, now)
        entry = None if mine is None else mine.get(key)
        if entry is None or entry.until <= now:
            self.misses += 1
            return None
        self.hits += 1
        return entry.kept

    def put(self, key: Key, kept: Listed, *, begun: float, now: float) -> None:
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

    def forget(self, user_id: str, now: float) -> None:
        """Let go of all that is kept for a user, who has done something."""
        self._users.discard(user_id)
        self._acted.put(user_id, now, now=now, ttl_s=FORGOTTEN_S)


def _size(key: Key, kept: Listed) -> int:
    texts = len(repr(key)) + sum(len(each.item_id) + len(each.reason) for each in kept.entries)
    return _ENTRY + _ITEM * len(kept.entries) + texts
