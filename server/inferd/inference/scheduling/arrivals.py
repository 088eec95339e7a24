"""What has been asked for of late: how many rows a second, and how much time callers have.

Both forget. Noting an arrival is a few comparisons, because under overload there are many.
"""

import math

#: How long the rate remembers, and how often it is worked out at most.
MEMORY_S = 0.05
TICK_S = 0.0005
#: How long a deadline's length is remembered: this long at least, twice that at most.
EPOCH_S = 0.1
#: Callers are alike when the most patient has so many times the time of the least.
ALIKE = 2.0


class Arrivals:
    """Times in seconds, `now` monotonic."""

    __slots__ = ("_before", "_epoch_ends", "_longest", "_rate", "_rows", "_shortest", "_since")

    def __init__(self) -> None:
        self._rows = 0
        self._since = 0.0
        self._rate = 0.0
        self._epoch_ends = -math.inf
        #: How much time callers had in this epoch, and in the one before.
        self._shortest, self._longest = math.inf, 0.0
        self._before = (math.inf, 0.0)

    def note(self, now: float, rows: int, within_s: float) -> None:
        """Count a request that has `within_s` until its deadline, admitted or not."""
        self._rows += rows
        if now >= self._epoch_ends:
            self._next_epoch(now)
        self._shortest = min(self._shortest, within_s)
        self._longest = max(self._longest, within_s)

    def rows_per_s(self, now: float) -> float:
        """Return the rate: an average in which what is older weighs less."""
        elapsed = now - self._since
        if elapsed >= TICK_S:
            rate = self._rows / elapsed
            self._rate -= (rate - self._rate) * math.expm1(-elapsed / MEMORY_S)
            self._rows, self._since = 0, now
        return self._rate

    @property
    def shortest_s(self) -> float:
        """The time that the most hurried caller had."""
        return min(self._shortest, self._before[0])

    @property
    def alike(self) -> bool:
        """Whether all callers had about the same time."""
        shortest, longest = self._before
        return max(longest, self._longest) <= ALIKE * min(shortest, self._shortest)

    def _next_epoch(self, now: float) -> None:
        recent = now < self._epoch_ends + EPOCH_S
        self._before = (self._shortest, self._longest) if recent else (math.inf, 0.0)
        self._shortest, self._longest = math.inf, 0.0
        self._epoch_ends = now + EPOCH_S
