"""How long a batch will take: a small model that learns from every run.

Per bucket it keeps the median of the last runs; over all buckets, one safety margin that
learns from its own mistakes. After each run the margin rises when the run took longer
than predicted and falls otherwise, in proportions that make one run in ten exceed its
prediction in the long run, whatever the noise (adaptive conformal inference, Gibbs and
Candès 2021). A median alone is too hopeful; a high percentile of few runs believes every
outlier.
"""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from statistics import median

#: Runs remembered per bucket.
WINDOW = 32
#: The share of runs that may exceed their prediction.
MISS_RATE = 0.1
#: How fast the margin moves, in log-seconds per run, and how far it may go.
STEP = 0.05
MAX_MARGIN = 1.0
#: What an unmeasured model is thought to take: optimistic, so that it gets measured.
UNKNOWN_S = 0.0


class LatencyModel:
    """Predicts the seconds a batch takes, from hand-over to its results being back."""

    def __init__(self, buckets: Sequence[int]) -> None:
        self.buckets = tuple(buckets)
        self._samples = {bucket: deque[float](maxlen=WINDOW) for bucket in self.buckets}
        self._medians: dict[int, float] = {}
        self._margin = 0.0
        self._predictions = [UNKNOWN_S] * len(self.buckets)
        largest = self.buckets[-1]
        #: From rows to the index of the smallest bucket that holds them.
        self._index = [bisect_left(self.buckets, rows) for rows in range(largest + 1)]

    def predict(self, rows: int) -> float:
        """Return the seconds a batch of `rows` is expected to take, with the margin."""
        return self._predictions[self._index[rows]]

    def bucket(self, rows: int) -> int:
        """Return the smallest bucket that holds `rows`."""
        return self.buckets[self._index[rows]]

    def seed(self, rows: int, seconds: float) -> None:
        """Record a warm-up run: it says how long, not how well we predict."""
        self._remember(self.bucket(rows), seconds)

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from a run that was predicted."""
        missed = seconds > self.predict(rows)
        self._margin += STEP * (missed - MISS_RATE)
        self._margin = min(max(self._margin, 0.0), MAX_MARGIN)
        self._remember(self.bucket(rows), seconds)

    def _remember(self, bucket: int, seconds: float) -> None:
        samples = self._samples[bucket]
        samples.append(seconds)
        self._medians[bucket] = median(samples)
        factor, floor = math.exp(self._margin), 0.0
        for index, each in enumerate(self.buckets):
            # An unmeasured bucket takes at least what the one below takes.
            floor = max(floor, self._medians.get(each, 0.0))
            self._predictions[index] = floor * factor
