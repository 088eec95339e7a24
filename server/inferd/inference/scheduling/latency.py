"""How long a batch will take: a small model that learns from every run.

Per bucket it keeps the median of the last runs; over all buckets, one safety margin that
learns from its own mistakes. After each run the margin rises when the run took longer
than predicted and falls otherwise, in proportions that make one run in ten exceed its
prediction in the long run, whatever the noise (adaptive conformal inference, Gibbs and
Candès 2021). A median alone is too hopeful; a high percentile of few runs believes every
outlier.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence

#: Runs remembered per bucket.
WINDOW = 32
#: The share of runs that may exceed their prediction.
MISS_RATE = 0.1
#: How fast the margin moves, in log-seconds per run, and how far it may go.
STEP = 0.05
MAX_MARGIN = 1.0
#: The weight of the last run in `RunTime`'s average.
FORGETTING = 0.1
#: What an unmeasured model is thought to take: optimistic, so that it gets measured.
UNKNOWN_S = 0.0


class LatencyModel:
    """Predicts the seconds a batch takes, from hand-over to its results being back."""

    def __init__(self, buckets: Sequence[int]) -> None:
        self.buckets = tuple(buckets)
        self._windows = [_Window() for _ in self.buckets]
        #: Per bucket, its median, or that of the one below if that is longer.
        self._medians = [UNKNOWN_S] * len(self.buckets)
        self._margin = 0.0
        self._factor = 1.0
        #: From rows to the index of the smallest bucket that holds them.
        self._index = [bisect_left(self.buckets, rows) for rows in range(self.buckets[-1] + 1)]

    def predict(self, rows: int) -> float:
        """Return the seconds a batch of `rows` is expected to take, with the margin."""
        return self._medians[self._index[rows]] * self._factor

    def seed(self, rows: int, seconds: float) -> None:
        """Record a warm-up run: it says how long, not how well we predict."""
        self._remember(self._index[rows], seconds)

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from a run that was predicted."""
        index = self._index[rows]
        missed = seconds > self._medians[index] * self._factor
        self._margin = min(max(self._margin + STEP * (missed - MISS_RATE), 0.0), MAX_MARGIN)
        self._factor = math.exp(self._margin)
        self._remember(index, seconds)

    def relax(self) -> None:
        """Expect the best again: what was learnt is old, and nothing runs that could correct it."""
        self._margin, self._factor = 0.0, 1.0
        for index, window in enumerate(self._windows):
            if window.restart():
                self._remember(index, window.best)

    def _remember(self, index: int, seconds: float) -> None:
        self._windows[index].add(seconds)
        medians = self._medians
        floor = medians[index - 1] if index else 0.0
        for at in range(index, len(medians)):
            longest = max(floor, self._windows[at].median)
            if at > index and longest == medians[at]:
                return  # nothing above depends on what has changed
            medians[at] = floor = longest


class _Window:
    """The last runs of a bucket, and their median."""

    __slots__ = ("_order", "_sorted", "best", "median")

    def __init__(self) -> None:
        self._order = deque[float]()
        self._sorted: list[float] = []
        self.median = UNKNOWN_S
        #: The shortest run there ever was.
        self.best = math.inf

    def add(self, seconds: float) -> None:
        self.best = min(self.best, seconds)
        self._order.append(seconds)
        insort(self._sorted, seconds)
        if len(self._order) > WINDOW:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]
        middle = len(self._sorted) // 2
        self.median = (self._sorted[middle] + self._sorted[~middle]) / 2

    def restart(self) -> bool:
        """Empty the window; return whether there was anything in it."""
        self._order.clear()
        measured = bool(self._sorted)
        self._sorted.clear()
        return measured


class RunTime:
    """The seconds a batch spends in the model alone: an average that forgets, and no margin.

    It decides where a batch runs, not whether it is in time, so it can be simple.
    """

    def __init__(self, buckets: Sequence[int]) -> None:
        self._index = [bisect_left(buckets, rows) for rows in range(buckets[-1] + 1)]
        self._averages = [UNKNOWN_S] * len(buckets)

    def predict(self, rows: int) -> float:
        """Return the seconds that `rows` took of late."""
        return self._averages[self._index[rows]]

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from a run."""
        index = self._index[rows]
        average = self._averages[index]
        self._averages[index] = average + FORGETTING * (seconds - average) if average else seconds

    seed = observe
