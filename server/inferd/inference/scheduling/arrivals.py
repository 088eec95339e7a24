"""What has been asked for of late: how many rows a second, and how much time callers have.

All of it is forgotten again. Noting an arrival is a few steps: under overload there are many.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence

#: How long the rates remember, and how often they are worked out at most.
MEMORY_S = 0.05
TICK_S = 0.0005
#: How long a deadline's length is remembered: this long at least, twice that at most.
EPOCH_S = 0.1
#: Callers are alike when the most patient has so many times the time of the least.
ALIKE = 2.0
#: Callers are counted by how much time they have, up to these many seconds; those beyond wait.
BOUNDS_S = tuple(0.001 * 2 ** (step / 2) for step in range(17))

#: What those who are counted together have, about.
MIDDLES_S = tuple(bound * 2**-0.25 for bound in BOUNDS_S)


class Arrivals:
    """Times in seconds, `now` monotonic."""

    __slots__ = (
        "_epoch_ends",
        "_rates",
        "_rows",
        "_since",
        "_worth",
        "_worths",
        "weight",
        "within_s",
    )

    def __init__(self) -> None:
        kinds = len(BOUNDS_S) + 1
        #: Of this tick, and per second of late, by the time that callers have.
        self._rows, self._worth = [0] * kinds, [0.0] * kinds
        self._rates, self._worths = [0.0] * kinds, [0.0] * kinds
        self._since = 0.0
        self._epoch_ends = -math.inf
        #: How much time callers had of late, and what they were worth.
        self.within_s, self.weight = Range(), Range()

    def note(self, now: float, rows: int, within_s: float, weight: float = 1.0) -> None:
        """Count a request that has `within_s` until its deadline, admitted or not."""
        kind = bisect_right(BOUNDS_S, within_s)
        self._rows[kind] += rows
        self._worth[kind] += weight
        if now >= self._epoch_ends:
            self._next_epoch(now)
        seen = self.within_s  # nearly always nothing new: it is not worth a call
        if not seen.low <= within_s <= seen.high:
            seen.note(within_s)
        seen = self.weight
        if not seen.low <= weight <= seen.high:
            seen.note(weight)

    def rows_per_s(self, now: float) -> float:
        """Return the rate: an average in which what is older weighs less."""
        self._tick(now)
        return sum(self._rates)

    def hurried(self, now: float) -> Iterator[tuple[float, float, float]]:
        """Give (seconds that callers have at least, rows, worth a second), the hurried first."""
        self._tick(now)
        for within_s, rate, worth in zip(MIDDLES_S, self._rates, self._worths, strict=False):
            if rate:
                yield within_s, rate, worth

    @property
    def alike(self) -> bool:
        """Whether all callers had about the same time."""
        return self.within_s.most <= ALIKE * self.within_s.least

    @property
    def weighed(self) -> bool:
        """Whether some callers were worth more than others."""
        return self.weight.most > self.weight.least

    def _tick(self, now: float) -> None:
        elapsed = now - self._since
        if elapsed < TICK_S:
            return
        keep = math.exp(-elapsed / MEMORY_S)
        fresh = (1.0 - keep) / elapsed
        self._rates = _aged(self._rates, keep, self._rows, fresh)
        self._worths = _aged(self._worths, keep, self._worth, fresh)
        self._rows, self._worth = [0] * len(self._rows), [0.0] * len(self._worth)
        self._since = now

    def _next_epoch(self, now: float) -> None:
        recent = now < self._epoch_ends + EPOCH_S
        self.within_s.turn(recent=recent)
        self.weight.turn(recent=recent)
        self._epoch_ends = now + EPOCH_S


def _aged(rates: Sequence[float], keep: float, fresh: Sequence[float], share: float) -> list[float]:
    return [keep * rate + share * new for rate, new in zip(rates, fresh, strict=True)]


class Range:
    """The least and the most of this epoch and the one before."""

    __slots__ = ("_before", "high", "least", "low", "most")

    def __init__(self) -> None:
        #: Of this epoch alone.
        self.low, self.high = math.inf, -math.inf
        self._before = (math.inf, -math.inf)
        self.least, self.most = math.inf, -math.inf

    def note(self, value: float) -> None:
        """Take in a value."""
        if value < self.low:
            self.low = value
            self.least = min(self.least, value)
        if value > self.high:
            self.high = value
            self.most = max(self.most, value)

    def turn(self, *, recent: bool) -> None:
        """Begin an epoch, right after the last one (`recent`) or after a pause."""
        self._before = (self.low, self.high) if recent else (math.inf, -math.inf)
        self.low, self.high = math.inf, -math.inf
        self.least, self.most = self._before
