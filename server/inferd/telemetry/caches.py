"""The Prometheus view of caches: what each level had, what it did not answer, and what was loaded.

As with all metrics nothing is recorded here; a scrape reads what caches count.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.metrics import family, histograms
from inferd.telemetry.statistics import Histogram


class Level(Protocol):
    """What one level counts."""

    hits: int
    misses: int
    errors: int
    corrupt: int
    dropped: int
    seconds: Histogram

    @property
    def hit_ratio(self) -> float:
        """The share of hits."""


class Statistics(Protocol):
    """What a cache counts."""

    @property
    def levels(self) -> Mapping[str, Level]:
        """By name."""

    loaded: int
    load_seconds: Histogram
    stale: int
    negative: int
    invalidated: int

    @property
    def hit_ratio(self) -> float:
        """The share of keys that were answered without a load."""


class Memory(Protocol):
    """What is in this process."""

    bytes: int
    evictions: int
    expired: int

    def __len__(self) -> int:
        """Return how many entries there are."""


class Loads(Protocol):
    """The loads of a cache."""

    joined: int
    failures: int
    cancellations: int


class Cache(Protocol):
    """A cache of several levels."""

    name: str

    @property
    def statistics(self) -> Statistics:
        """What it counts."""

    @property
    def local(self) -> Memory:
        """Its first level."""

    @property
    def flights(self) -> Loads:
        """What it loads."""


class Tracked(Protocol):
    """What tells this process of others' writes."""

    @property
    def live(self) -> bool:
        """Whether it does now."""

    losses: int
    keys: int


class TrackingMetrics(Collector):
    """Whether this process is told what others write."""

    def __init__(self, tracking: Tracked) -> None:
        self._tracking = tracking

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        it = self._tracking
        name = "inferd_cache_tracking"
        yield family(
            f"{name}_live", "1 while others' writes are told", "gauge", [({}, float(it.live))]
        )
        yield family(f"{name}_losses", "How often that ended", "counter", [({}, it.losses)])
        yield family(f"{name}_keys", "Keys that were written", "counter", [({}, it.keys)])


class CacheMetrics(Collector):
    """All that caches count."""

    def __init__(self, caches: Sequence[Cache]) -> None:
        self._caches = caches

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        levels = [
            ({"cache": cache.name, "level": name}, level)
            for cache in self._caches
            for name, level in cache.statistics.levels.items()
        ]
        for name, documentation, of_level in _OF_LEVELS:
            rows = [(labels, of_level(level)) for labels, level in levels]
            yield family(name, documentation, "counter", rows)
        yield family(
            "inferd_cache_level_hit_ratio",
            "The share of keys that a level had, of those it was asked for and answered",
            "gauge",
            [(labels, level.hit_ratio) for labels, level in levels],
        )
        yield histograms(
            "inferd_cache_seconds",
            "What levels took to answer, for however many keys at once",
            [(labels, level.seconds) for labels, level in levels],
        )
        caches = [({"cache": cache.name}, cache) for cache in self._caches]
        for name, documentation, kind, of_cache in _OF_CACHES:
            yield family(
                name, documentation, kind, [(labels, of_cache(it)) for labels, it in caches]
            )
        yield histograms(
            "inferd_cache_load_seconds",
            "What loads took that did not fail",
            [(labels, it.statistics.load_seconds) for labels, it in caches],
        )


_OF_LEVELS: Sequence[tuple[str, str, Callable[[Level], float]]] = [
    ("inferd_cache_hits", "Keys that a level had", lambda it: it.hits),
    ("inferd_cache_misses", "Keys that a level did not have", lambda it: it.misses),
    ("inferd_cache_errors", "Commands that a level did not answer", lambda it: it.errors),
    ("inferd_cache_corrupt", "Entries that could not be read: misses", lambda it: it.corrupt),
    ("inferd_cache_dropped", "Entries not put there: too many waited", lambda it: it.dropped),
]

_OF_CACHES: Sequence[tuple[str, str, str, Callable[[Cache], float]]] = [
    (
        "inferd_cache_hit_ratio",
        "The share of keys that were answered without a load",
        "gauge",
        lambda it: it.statistics.hit_ratio,
    ),
    ("inferd_cache_loaded", "Keys loaded", "counter", lambda it: it.statistics.loaded),
    ("inferd_cache_load_failures", "Loads that failed", "counter", lambda it: it.flights.failures),
    (
        "inferd_cache_load_cancellations",
        "Loads that everybody left",
        "counter",
        lambda it: it.flights.cancellations,
    ),
    (
        "inferd_cache_joined",
        "Keys for which somebody waited for what others had asked for",
        "counter",
        lambda it: it.flights.joined,
    ),
    (
        "inferd_cache_stale",
        "Hits that were not fresh any more, and are fetched again",
        "counter",
        lambda it: it.statistics.stale,
    ),
    (
        "inferd_cache_negative",
        "Hits that say that there is nothing",
        "counter",
        lambda it: it.statistics.negative,
    ),
    (
        "inferd_cache_invalidated",
        "Keys forgotten because somebody wrote them",
        "counter",
        lambda it: it.statistics.invalidated,
    ),
    ("inferd_cache_entries", "Entries in this process", "gauge", lambda it: len(it.local)),
    ("inferd_cache_bytes", "What they take", "gauge", lambda it: it.local.bytes),
    (
        "inferd_cache_evictions",
        "Entries that made room",
        "counter",
        lambda it: it.local.evictions,
    ),
    ("inferd_cache_expired", "Entries that were over", "counter", lambda it: it.local.expired),
]
