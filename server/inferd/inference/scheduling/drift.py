"""Notices that every run has become slower, or faster: a neighbour, a hot processor, its end.

A median of many runs is slow to follow a step, by half its length. A cumulative sum (CUSUM, Page
1954) of how far the runs are off, in units of their usual scatter, is not: it stays near
zero while they are off to both sides, and climbs when they are off to one. When it has climbed high
enough, the runs since it began to climb say by how much.
"""

from statistics import median

#: The weight of the last run in the usual scatter, and the least that is believed.
FORGETTING = 0.05
LEAST_SCATTER = 0.02
#: One run counts for no more than this many scatters: a stall is not a drift.
MOST = 3.0
#: What a run must be off by to count at all, and where it is a drift, in scatters.
SLACK, LIMIT = 1.0, 5.0


class Drift:
    """Watches the logarithm of a run's time over its expectation."""

    __slots__ = ("_down", "_scatter", "_up")

    def __init__(self) -> None:
        self._scatter = LEAST_SCATTER
        self._up = _Sum()
        self._down = _Sum()

    @property
    def suspected(self) -> bool:
        """Whether the last runs may be the beginning of one."""
        return self._up.height > 0 or self._down.height > 0

    def note(self, off: float) -> float:
        """Take the next run; return by how much they have drifted, or 0.0 while they have not."""
        size = min(abs(off) / self._scatter, MOST)
        self._scatter += FORGETTING * (size * self._scatter - self._scatter)
        self._scatter = max(self._scatter, LEAST_SCATTER)
        self._up.add(size if off > 0 else -size, off)
        self._down.add(size if off < 0 else -size, off)
        for side in (self._up, self._down):
            if side.height > LIMIT:
                drifted = median(side.since)
                self._up.reset()
                self._down.reset()
                return drifted
        return 0.0


class _Sum:
    """One side of it, and the runs since it left zero."""

    __slots__ = ("height", "since")

    def __init__(self) -> None:
        self.height = 0.0
        self.since: list[float] = []

    def add(self, scatters: float, off: float) -> None:
        self.height += scatters - SLACK
        if self.height > 0:
            self.since.append(off)
        else:
            self.reset()

    def reset(self) -> None:
        self.height = 0.0
        self.since.clear()
