"""The first level of a cache: what this process has in memory, how fresh it is, and for how long.

An entry is fresh for L1's time to live, spread by jitter, and never for longer than its value has
left to live. Then it is stale for a while, and then it is gone. Pure.
"""

import math
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from inferd.cache.blobs import stamp_of
from inferd.cache.local import Local
from inferd.config.cache import CachePolicy

V = TypeVar("V")

SOURCE = "l1_cache"
OVERHEAD_BYTES = 500
"""What an entry takes besides its key and as many bytes as its blob has, about."""


class Held(NamedTuple, Generic[V]):
    """What there is of a key. A value of None: it is known that there is none."""

    #: The value, and where it comes from: here.
    answer: tuple[V | None, str]
    #: Of the value; none is older than any.
    stamp: int
    #: In monotonic seconds. After that it is stale.
    fresh_until: float


class Nearest(Generic[V]):
    """Values in this process. `now` is in monotonic seconds."""

    def __init__(
        self,
        policy: CachePolicy,
        *,
        random: Callable[[], float],
        left_s: Callable[[V], float],
        live: Callable[[], bool],
    ) -> None:
        """`left_s` and `live` are the cache's (`multilevel`)."""
        self.local: Local[Held[V]] = Local(
            max_entries=policy.max_entries, max_bytes=policy.max_bytes, policy=policy.policy
        )
        self._policy = policy
        self._random = random
        self._left_s = left_s
        self._live = live
        self.get = self.local.get
        self.peek = self.local.peek
        self.discard = self.local.discard
        self.clear = self.local.clear

    def keep(self, key: str, value: V, blob: bytes, now: float) -> None:
        """Keep a value for as long as it may be, instead of what is there."""
        ttl_s = self.keep_s(value, self._policy.l1_ttl_s)
        self._put(key, (value, SOURCE), stamp_of(blob), now, ttl_s, size=len(blob))

    def keep_nothing(self, key: str, now: float) -> None:
        """Remember that there is no value."""
        ttl_s = self._spread(self._policy.negative_ttl_s)
        self._put(key, (None, SOURCE), 0, now, ttl_s, size=0)

    def keep_s(self, value: V, ttl_s: float) -> float:
        """Return for how long a level with such a time to live may keep a value; 0: not at all."""
        return max(0.0, min(self._spread(ttl_s), self._left_s(value)))

    def _put(
        self,
        key: str,
        answer: tuple[V | None, str],
        stamp: int,
        now: float,
        fresh_s: float,
        *,
        size: int,
    ) -> None:
        longest_s = math.inf if self._live() else self._policy.untracked_ttl_s
        fresh_s = min(fresh_s, longest_s)
        held = Held(answer, stamp, now + fresh_s)
        keep_s = min(fresh_s + self._policy.stale_s, longest_s) if fresh_s > 0 else 0.0
        size += len(key) + OVERHEAD_BYTES
        self.local.put(key, held, now=now, ttl_s=keep_s, size=size)

    def _spread(self, ttl_s: float) -> float:
        return ttl_s * (1.0 + self._policy.jitter * (2.0 * self._random() - 1.0))
