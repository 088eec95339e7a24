"""What a cache of several levels counts. Only the event loop writes."""

from collections.abc import Iterable

from inferd.telemetry.statistics import Histogram

SECONDS = (1e-6, 2e-6, 5e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.1, 1.0)
"""Bounds, for what a level takes to answer."""


class LevelStatistics:
    """One level. A key that it was asked for is a hit or a miss, unless it did not answer."""

    __slots__ = ("corrupt", "dropped", "errors", "hits", "misses", "seconds")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        #: How often it was asked or told something and failed, was late, or was left alone.
        self.errors = 0
        #: What it had and was no value. A miss, too.
        self.corrupt = 0
        #: What was not put into it because too much waited.
        self.dropped = 0
        #: What answers took, in seconds.
        self.seconds = Histogram(SECONDS)

    @property
    def hit_ratio(self) -> float:
        """The share of hits, 0 before anybody asked."""
        return self.hits / ((self.hits + self.misses) or 1)


class CacheStatistics:
    """One cache, with all its levels."""

    def __init__(self, cache: str, levels: Iterable[str]) -> None:
        self.cache = cache
        #: `l1` first.
        self.levels = {name: LevelStatistics() for name in levels}
        #: Keys that were answered without a load.
        self.hits = 0
        #: Keys that loads answered, whether somebody waited for it or not.
        self.loaded = 0
        #: What loads took that did not fail, in seconds.
        self.load_seconds = Histogram(SECONDS)
        #: Hits of L1 that were not fresh, and those that said that there is nothing.
        self.stale = 0
        self.negative = 0
        #: Keys that others' writes had this process forget.
        self.invalidated = 0

    def nearest(self, keys: int, missing: int, stale: int, negative: int, seconds: float) -> None:
        """Count a look into memory."""
        l1 = self.levels["l1"]
        l1.hits += keys - missing
        l1.misses += missing
        l1.seconds.observe(seconds)
        self.hits += keys - missing
        self.stale += stale
        self.negative += negative

    @property
    def hit_ratio(self) -> float:
        """The share of keys that were answered without a load, 0 before anybody asked."""
        l1 = self.levels["l1"]
        return self.hits / ((l1.hits + l1.misses) or 1)
