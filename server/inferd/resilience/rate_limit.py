"""So many calls per second, for each of many callers: the generic cell rate algorithm (GCRA).

All that has to be known of a caller is one point in time: when its allowance will be whole again
if no more calls come. A call moves that point by one interval. As long as it is not too far ahead,
which is what a burst is, calls pass; from then on it also says when the next one will.

Callers come and go, and anybody can invent names. A caller whose point has passed need not be
known, so what was not touched for long enough is dropped, and if too many are known, those seen
longest ago are, to their advantage. To be dropped in one go they are kept in two generations,
the young and the old, and so that this never takes long, in many such pairs. Instead of a name
there is its hash: it takes the same memory however long the name is.
"""

from inferd.config import resilience as config

SHARDS = 64
"""Pairs of generations, if there are callers enough for so many."""
SHARD_ROOM = 1024
"""Fewer callers than this are not worth another pair."""
LEAST_GENERATION_S = 1.0
"""A generation lasts this long, or as long as it takes to regain a whole burst."""
ROUNDING_S = 1e-9
"""Points in time that are closer than this are the same."""


class RateLimit:
    """One allowance per key. `now` is in monotonic seconds; what is exact in it, is exact here."""

    __slots__ = ("_generation_s", "_mask", "_room", "_shards", "interval_s", "tolerance_s")

    def __init__(self, settings: config.RateLimit, *, max_keys: int) -> None:
        #: Seconds between calls, and how far ahead of them a caller may be.
        self.interval_s = 1.0 / settings.per_s
        self.tolerance_s = (settings.burst - 1) * self.interval_s
        shards = SHARDS if max_keys >= SHARDS * SHARD_ROOM else 1
        self._room = max(max_keys // shards // 2, 1)
        self._mask = shards - 1
        self._shards = [_Shard() for _ in range(shards)]
        self._generation_s = max(settings.burst * self.interval_s, LEAST_GENERATION_S)

    def __len__(self) -> int:
        """Return how many points in time are kept: some keys have two, an old one, too."""
        return sum(len(shard.young) + len(shard.old) for shard in self._shards)

    def wait_s(self, key: str, now: float) -> float:
        """Return the seconds until one more call may pass; 0: it may now."""
        number = hash(key)
        shard = self._shards[number & self._mask]
        whole_at = shard.young.get(number) or shard.old.get(number)
        if whole_at is None:
            return 0.0
        wait_s = whole_at - self.tolerance_s - now
        return wait_s if wait_s > ROUNDING_S else 0.0

    def take(self, key: str, now: float) -> None:
        """Count a call that passes."""
        number = hash(key)
        shard = self._shards[number & self._mask]
        young = shard.young
        whole_at = max(young.get(number) or shard.old.get(number, 0.0), now)
        if now >= shard.turns_at or len(young) >= self._room:
            young = shard.turn(now + self._generation_s)
        young[number] = whole_at + self.interval_s

    def give_back(self, key: str) -> None:
        """Count a call less: it passed here, but not elsewhere."""
        number = hash(key)
        shard = self._shards[number & self._mask]
        for generation in (shard.young, shard.old):
            if number in generation:
                generation[number] -= self.interval_s


class _Shard:
    """Two generations of points in time, by the hash of a key."""

    __slots__ = ("old", "turns_at", "young")

    def __init__(self) -> None:
        self.young: dict[int, float] = {}
        self.old: dict[int, float] = {}
        self.turns_at = 0.0

    def turn(self, next_at: float) -> dict[int, float]:
        """Forget the old, and return where the next are kept until `next_at`."""
        self.old, self.young, self.turns_at = self.young, {}, next_at
        return self.young
