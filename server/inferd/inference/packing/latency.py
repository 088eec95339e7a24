"""How long batches take that are filled up: as long as the size they are filled up to."""

from bisect import bisect_left
from collections.abc import Hashable, Sequence

from inferd.inference.scheduling import LatencyModel


class PaddedLatency(LatencyModel):
    """Predicts and learns by the rows that are run, and not by those that were asked for."""

    def __init__(self, buckets: Sequence[int]) -> None:
        super().__init__(buckets)
        #: What lies between two buckets takes as long as the upper, and serves fewer.
        self.sizes = self.buckets
        self._filled = [buckets[bisect_left(buckets, rows)] for rows in range(self.buckets[-1] + 1)]

    def expect(self, rows: int) -> float:
        """Return the seconds a batch takes as often as not, when `rows` have been filled up."""
        return super().expect(self._filled[rows])

    def seed(self, rows: int, seconds: float) -> None:
        """Record a warm-up run of `rows` and their padding."""
        super().seed(self._filled[rows], seconds)

    def observe(self, rows: int, seconds: float, shape: Hashable = None) -> None:
        """Learn from a run of `rows` and their padding."""
        super().observe(self._filled[rows], seconds, shape)
