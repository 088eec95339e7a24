"""How long a batch will take: a small model that learns from every run.

Per bucket it keeps the median of the last runs, and draws a line from one to the next; over
all buckets, one safety margin that learns from its own mistakes. After each run the margin
rises when the run took longer than predicted and falls otherwise, in proportions that make
one run in ten exceed its prediction in the long run, whatever the noise (adaptive conformal
inference, Gibbs and Candès 2021). A median alone is too hopeful; a high percentile of few
runs believes every outlier.

How fast the machine is just now is one number for all buckets, their level. When runs drift
away from what was expected (`drift`), the level follows at once and the medians stay: a
neighbour slows all sizes alike, and when it has gone, the sizes that nobody dared to use are
as quick as they were. Runs that may be the beginning of a drift wait until that is clear.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Hashable, Sequence
from itertools import pairwise

from inferd.inference.scheduling.drift import Drift
from inferd.inference.scheduling.shapes import Shapes

#: Runs remembered per bucket.
WINDOW = 32
#: The share of runs that may exceed their prediction.
MISS_RATE = 0.1
#: How fast the margin moves, in log-seconds per run, and how far it may go.
STEP = 0.05
MAX_MARGIN = 1.0
#: How far the level may go. Beyond it the medians follow, each for itself: what sizes that are not
#: used are thought to take must not wander off with those that are.
MOST_LEVEL = 8.0
#: The weight of the last run in `RunTime`'s average.
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
        #: Per bucket, its median at today's level, or that of the one below if that is longer.
        self._medians = [UNKNOWN_S] * len(self.buckets)
        self._margin = 0.0
        #: What predictions are multiplied with to be safe.
        self.margin = 1.0
        self._drift = Drift()
        #: How long runs take just now, as a multiple of what the windows remember.
        self._level = 1.0
        self._shapes = Shapes()
        #: Whether that is a hope, which the next run confirms or not.
        self._hoping = False
        #: Runs, (rows, seconds), that are not learnt from before it is clear what they mean.
        self._held: list[tuple[int, float]] = []
        #: From rows to the smallest bucket that holds them, and the way there from the one below.
        self._index = [bisect_left(self.buckets, rows) for rows in range(self.buckets[-1] + 1)]
        self._share = [self._share_of(rows) for rows in range(self.buckets[-1] + 1)]

    def _share_of(self, rows: int) -> float:
        index = self._index[rows]
        if not index:
            return 1.0
        low, high = self.buckets[index - 1 : index + 1]
        return (rows - low) / (high - low)

    def predict(self, rows: int, shape: Hashable = None) -> float:
        """Return the seconds a batch of `rows` is expected to take, with the margin.

        `shape` is what its tickets have in common; None: that all rows have.
        """
        seconds = self.expect(rows) * self.margin
        return seconds if shape is None else seconds * self._shapes.factor(shape)

    @property
    def longest_s(self) -> float:
        """The seconds that no batch is predicted to exceed."""
        return self.predict(self.buckets[-1]) * self._shapes.longest

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
        factor = self.margin
        return max(
            bucket / (median * factor or math.inf)
            for bucket, median in zip(self.buckets, self._medians, strict=True)
        )

    def seed(self, rows: int, seconds: float) -> None:
        """Record a warm-up run: it says how long, not how well we predict."""
        self._learn(rows, seconds)

    def observe(self, rows: int, seconds: float, shape: Hashable = None) -> None:
        """Learn from a run that was predicted."""
        expected = self.expect(rows)
        if shape is not None and expected and seconds:
            learnt, factor = self._shapes.learnt(shape), self._shapes.factor(shape)
            self._shapes.note(shape, seconds / expected)
            if not learnt:
                return
            seconds /= factor
        missed = seconds > expected * self.margin
        self._margin = min(max(self._margin + STEP * (missed - MISS_RATE), 0.0), MAX_MARGIN)
        self.margin = math.exp(self._margin)
        if expected and seconds:
            level = self._level * self._drifted(seconds / expected)
            self._level = min(max(level, 1.0 / MOST_LEVEL), MOST_LEVEL)
        self._held.append((rows, seconds))
        if not self._drift.suspected or len(self._held) >= WINDOW:
            self._update()
            for each in self._held:
                self._learn(*each)
            self._held.clear()

    def _drifted(self, off: float) -> float:
        """Return by what the level changes after a run that took `off` times what was expected."""
        if self._hoping:
            self._hoping = False
            return off
        return math.exp(self._drift.note(math.log(off)))

    def _learn(self, rows: int, seconds: float) -> None:
        """Give a run to the nearest bucket, in proportion."""
        index = self._index[rows]
        if self._share[rows] < HALF:
            index -= 1
        expected, median = self.expect(rows), self._medians[index]
        here = seconds * median / expected if expected and median else seconds
        self._windows[index].add(here, here / self._level)
        self._update()

    def relax(self) -> None:
        """Expect the best again: what was learnt is old, and nothing runs that could correct it."""
        self._margin, self.margin, self._level = 0.0, 1.0, 1.0
        self._hoping = True
        for window in self._windows:
            window.restart()
        self._update()

    def _update(self) -> None:
        longest = 0.0
        for at, window in enumerate(self._windows):
            longest = max(longest, window.median * self._level)
            self._medians[at] = longest


class _Window:
    """The last runs of a bucket, and their median."""

    __slots__ = ("_best", "_order", "_sorted", "median")

    def __init__(self) -> None:
        self._order = deque[float]()
        self._sorted: list[float] = []
        self.median = UNKNOWN_S
        #: The shortest run there ever was, at whatever level.
        self._best = math.inf

    def add(self, seconds: float, levelled: float) -> None:
        self._best = min(self._best, seconds)
        self._remember(levelled)

    def restart(self) -> None:
        """Forget all but the best."""
        if self._order:
            self._order.clear()
            self._sorted.clear()
            self._remember(self._best)

    def _remember(self, seconds: float) -> None:
        self._order.append(seconds)
        insort(self._sorted, seconds)
        if len(self._order) > WINDOW:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]
        middle = len(self._sorted) // 2
        self.median = (self._sorted[middle] + self._sorted[~middle]) / 2


class RunTime:
    """The seconds a batch spends in the model alone: an average that forgets, and no margin.

    It decides where a batch runs, not whether it is in time, so it can be simple.
    """

    def __init__(self, buckets: Sequence[int]) -> None:
        self._most = buckets[-1]
        self._index = [bisect_left(buckets, rows) for rows in range(self._most + 1)]
        self._averages = [UNKNOWN_S] * len(buckets)

    def predict(self, rows: int) -> float:
        """Return the seconds that `rows` took of late, or as many as fit into a batch."""
        return self._averages[self._index[min(rows, self._most)]]

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from a run."""
        index = self._index[rows]
        average = self._averages[index]
        self._averages[index] = average + FORGETTING * (seconds - average) if average else seconds

    seed = observe
