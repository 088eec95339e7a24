"""How long something takes of late: any quantile of it, at any time, for very little.

A histogram with bins 5 % wide, in which what was seen counts for less and less: half as much
after every thousand observations. So it follows a change within seconds at hundreds of calls a
second, and the odd slow call does not move it. Before much was seen, it says what it was told
to expect.

Observations are put into bins 32 at a time. In between quantiles do not change, and asking for
one again is a look into a dictionary.
"""

from math import ceil, exp, log

BATCH = 32
"""Observations between changes of the quantiles."""
HALF_LIFE = 1000
"""Observations after which what was seen before them counts for half."""
PRIOR = 20.0
"""How many observations the expectation is worth."""
WIDTH = 1.05
"""Where a bin ends, as a multiple of where it begins."""
LOWEST_S, HIGHEST_S = 1e-6, 100.0
"""What is shorter or longer counts as these."""

_BINS_PER_E = 1 / log(WIDTH)
_BINS_BELOW_1 = -log(LOWEST_S) * _BINS_PER_E
_LAST = ceil(log(HIGHEST_S) * _BINS_PER_E + _BINS_BELOW_1) - 1
_GROWTH: float = 2 ** (BATCH / HALF_LIFE)
_HEAVY = 1e100
_NOTHING = 1e-9


class LiveQuantile:
    """Quantiles of a duration. They are up to 5 % too long, and never too short."""

    __slots__ = ("_bins", "_folded", "_known", "_recent", "_seed_s", "_top", "_total", "_weight")

    def __init__(self, *, seed_s: float) -> None:
        """Expect `seed_s` until more is known."""
        self._seed_s = seed_s
        self._bins = [0.0] * (_LAST + 1)
        #: The highest bin that anything is in.
        self._top = _bin(seed_s)
        self._bins[self._top] = self._total = PRIOR
        #: What an observation counts: ever more, which is how the earlier ones count for less.
        self._weight = 1.0
        #: Observations that are not in their bins yet, and the number of those that are.
        self._recent: list[float] = []
        self._folded = 0
        #: The quantiles that somebody has asked for since the bins have changed.
        self._known: dict[float, float] = {}

    @property
    def count(self) -> int:
        """How many durations were observed."""
        return self._folded + len(self._recent)

    def observe(self, seconds: float) -> bool:
        """Learn that it took so long. Return whether quantiles have changed."""
        recent = self._recent
        recent.append(seconds)
        if len(recent) < BATCH:
            return False
        self._fold()
        return True

    def at(self, q: float) -> float:
        """Return the seconds within which a share `q` is done."""
        known = self._known.get(q)
        if known is None:
            known = self._known[q] = self._find(q) if self._folded else self._seed_s
        return known

    def _fold(self) -> None:
        recent, bins, weight = self._recent, self._bins, self._weight
        self._top = max(self._top, _bin(max(recent)))
        for seconds in recent:
            if LOWEST_S < seconds < HIGHEST_S:  # `_bin`, without a call for each
                bins[int(log(seconds) * _BINS_PER_E + _BINS_BELOW_1)] += weight
            else:
                bins[_bin(seconds)] += weight
        self._folded += BATCH
        self._total += weight * BATCH
        self._weight = weight * _GROWTH
        while bins[self._top] < self._total * _NOTHING:
            self._top -= 1
        recent.clear()
        self._known.clear()
        if self._weight > _HEAVY:
            self._bins = [each / self._weight for each in bins]
            self._total /= self._weight
            self._weight = 1.0

    def _find(self, q: float) -> float:
        # From the top, because it is high quantiles that are asked for.
        above = (1 - q) * self._total
        for found in range(self._top, 0, -1):
            above -= self._bins[found]
            if above < 0:
                return exp((found + 1 - _BINS_BELOW_1) / _BINS_PER_E)
        return LOWEST_S * WIDTH


def _bin(seconds: float) -> int:
    if seconds <= LOWEST_S:
        return 0
    if seconds >= HIGHEST_S:
        return _LAST
    return int(log(seconds) * _BINS_PER_E + _BINS_BELOW_1)
