"""How many rows a batch should have at most.

As many as the model takes; fewer while some inputs make runs fail. A batch that fails is halved
until the culprit stands alone, and everyone in it waits for that. The larger the batch, the
likelier there is one in it, and the longer it takes to find: with one bad input in a hundred,
batches of 64 spend most of their time on it, and batches of 16 do not.
"""

from inferd.inference.scheduling.latency import LatencyModel

#: The weight of the last batch.
FORGETTING = 0.02
#: Fewer bad inputs than this are not worth smaller batches.
RARE = 1e-4
#: If all batches fail, that says no more than that nearly all do.
MOST = 0.99


class Bound:
    """Learns how often batches fail, and what size serves most rows in a second then."""

    __slots__ = ("_failed", "_latency", "_max_batch", "_rows", "rows")

    def __init__(self, max_batch: int, latency: LatencyModel) -> None:
        self._max_batch = max_batch
        self._latency = latency
        #: Of late, on average: the share of batches that failed, and their rows.
        self._failed = 0.0
        self._rows = 1.0
        #: The bound.
        self.rows = max_batch

    def note(self, rows: int, *, failed: bool) -> None:
        """Learn from a batch of strangers."""
        self._failed += FORGETTING * (failed - self._failed)
        self._rows += FORGETTING * (rows - self._rows)
        #: The likeliest share of good rows, if the failed batches were this size.
        good = (1.0 - min(self._failed, MOST)) ** (1.0 / self._rows)
        self.rows = self._max_batch if 1.0 - good < RARE else self._best(good)

    def _best(self, good: float) -> int:
        sizes = [size for size in self._latency.buckets if size <= self._max_batch]
        return max(sizes, key=lambda rows: rows / (self._seconds(rows, good) or 1.0))

    def _seconds(self, rows: int, good: float) -> float:
        """Return what a batch takes with its search, where so many of the rows are good.

        It fails when one row is bad, and then its halves are run, and so on.
        """
        seconds, parts = self._latency.expect(rows), 1
        while rows > 1:
            fails = 1.0 - good**rows
            parts, rows = 2 * parts, (rows + 1) // 2
            seconds += fails * parts * self._latency.expect(rows)
        return seconds
