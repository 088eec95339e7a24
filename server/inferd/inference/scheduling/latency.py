"""How long a batch will take: a small model that learns from every run.

Per bucket it keeps the median of the last runs, and draws a line from one to the next; over
all buckets, one safety margin that learns from its own mistakes. After each run the margin
rises when the run took longer than predicted and falls otherwise, in proportions that make
one run in ten exceed its prediction in the long run, whatever the noise (adaptive conformal
inference, Gibbs and Candès 2021). A median alone is too hopeful; a high percentile of few
runs believes every outlier.

A bucket that has not run for a while is remembered as it was then. If that was a bad hour it
would stay so, because a bucket that is thought to be slow is not chosen. So what is old is
believed only as far as the runs of the other buckets confirm that these are bad times.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

from inferd.inference.scheduling.drift import Drift

#: Runs remembered per bucket.
WINDOW = 32
#: The share of runs that may exceed their prediction.
MISS_RATE = 0.1
#: How fast the margin moves, in log-seconds per run, and how far it may go.
STEP = 0.05
MAX_MARGIN = 1.0
#: The weight of the last run in the pace, and in `RunTime`'s average.
FORGETTING = 0.1
#: The way from one bucket to the next up to which the lower one is nearer.
HALF = 0.5
#: What an unmeasured model is thought to take: optimistic, so that it gets measured.
UNKNOWN_S = 0.0


class LatencyModel:
    """Predicts the seconds a batch takes, from hand-over to its results being back."""

    def __init__(self, buckets: Sequence[int]) -> None:
        self.buckets = tuple(buckets)
        #: Batch sizes worth comparing: the buckets, and halfway between them.
        self.sizes = tuple(
            sorted({*buckets, *((low + high) // 2 for low, high in pairwise(buckets))})
        )
        self._windows = [_Window() for _ in self.buckets]
        #: Per bucket, its median, or that of the one below if that is longer.
        self._medians = [UNKNOWN_S] * len(self.buckets)
        self._margin = 0.0
        self._factor = 1.0
        self._drift = Drift()
        self._runs = 0
        #: How long runs take of late, as a multiple of the best there was.
        self._pace = 1.0
        #: From rows to the smallest bucket that holds them, and the way there from the one below.
        self._index = [bisect_left(self.buckets, rows) for rows in range(self.buckets[-1] + 1)]
        self._share = [self._share_of(rows) for rows in range(self.buckets[-1] + 1)]

    def _share_of(self, rows: int) -> float:
        index = self._index[rows]
        if not index:
            return 1.0
        low, high = self.buckets[index - 1 : index + 1]
        return (rows - low) / (high - low)

    def predict(self, rows: int) -> float:
        """Return the seconds a batch of `rows` is expected to take, with the margin."""
        return self.expect(rows) * self._factor

    def expect(self, rows: int) -> float:
        """Return the seconds a batch of `rows` takes as often as not: without the margin."""
        index, share = self._index[rows], self._share[rows]
        high = self._medians[index]
        if share == 1.0:
            return high
        low = self._medians[index - 1]
        return low + (high - low) * share if low else high

    def rows_per_s(self) -> float:
        """Return the rows that one instance can serve in a second, at the best batch size."""
        factor = self._factor
        return max(
            bucket / (median * factor or math.inf)
            for bucket, median in zip(self.buckets, self._medians, strict=True)
        )

    def seed(self, rows: int, seconds: float) -> None:
        """Record a warm-up run: it says how long, not how well we predict."""
        self._learn(rows, seconds, self.expect(rows))

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from a run that was predicted."""
        expected = self.expect(rows)
        if expected and seconds and (drifted := self._drift.note(math.log(seconds / expected))):
            self._rescale(math.exp(drifted))
            expected = self.expect(rows)
        missed = seconds > expected * self._factor
        self._margin = min(max(self._margin + STEP * (missed - MISS_RATE), 0.0), MAX_MARGIN)
        self._factor = math.exp(self._margin)
        self._learn(rows, seconds, expected)

    def _learn(self, rows: int, seconds: float, expected: float) -> None:
        """Give a run to the nearest bucket, in proportion."""
        index = self._index[rows]
        if self._share[rows] < HALF:
            index -= 1
        median = self._medians[index]
        self._remember(index, seconds * median / expected if expected and median else seconds)

    def _rescale(self, factor: float) -> None:
        """Take all that was learnt to have been `factor` times as long: times have changed."""
        for window in self._windows:
            window.rescale(factor)
        self._medians = [median * factor for median in self._medians]

    def relax(self) -> None:
        """Expect the best again: what was learnt is old, and nothing runs that could correct it."""
        self._margin, self._factor, self._pace = 0.0, 1.0, 1.0
        for index, window in enumerate(self._windows):
            if window.restart():
                self._remember(index, window.best)

    def _remember(self, index: int, seconds: float) -> None:
        self._runs += 1
        window = self._windows[index]
        window.add(seconds, self._runs)
        if window.best:
            self._pace += FORGETTING * (seconds / window.best - self._pace)
        long_ago, longest = self._runs - WINDOW, 0.0
        for at, window in enumerate(self._windows):
            median = window.median
            if window.added_at <= long_ago:
                median = min(median, window.best * self._pace)
            longest = max(longest, median)
            self._medians[at] = longest


class _Window:
    """The last runs of a bucket, and their median."""

    __slots__ = ("_order", "_sorted", "added_at", "best", "median")

    def __init__(self) -> None:
        self._order = deque[float]()
        self._sorted: list[float] = []
        self.median = UNKNOWN_S
        #: The shortest run there ever was.
        self.best = math.inf
        #: The number of the last run.
        self.added_at = 0

    def add(self, seconds: float, number: int) -> None:
        self.best = min(self.best, seconds)
        self.added_at = number
        self._order.append(seconds)
        insort(self._sorted, seconds)
        if len(self._order) > WINDOW:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]
        middle = len(self._sorted) // 2
        self.median = (self._sorted[middle] + self._sorted[~middle]) / 2

    def rescale(self, factor: float) -> None:
        """Multiply what is remembered; the shortest run stays what it was."""
        self._order = deque(seconds * factor for seconds in self._order)
        self._sorted = [seconds * factor for seconds in self._sorted]
        self.median *= factor

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
