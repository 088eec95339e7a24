"""The Prometheus view of recommendations: what lists are made of, and what there is for them."""

from collections.abc import Iterator, Mapping, Sized
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.metrics import family, histograms
from inferd.telemetry.statistics import Histogram


class Serving(Protocol):
    """What answers."""

    @property
    def answered(self) -> Mapping[tuple[str, bool], int]:
        """Lists by what they were made of, and whether something was done without."""

    @property
    def short(self) -> int:
        """Lists with fewer items than were asked for."""

    @property
    def stages(self) -> Mapping[str, Histogram]:
        """What stages took, in seconds."""


class Stocking(Protocol):
    """What changes items."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Items by what became of them."""


class Interactions(Protocol):
    """What records interactions."""

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """Interactions by what was done and what became of it."""


class Cache(Protocol):
    """What keeps lists."""

    @property
    def hits(self) -> int:
        """Lists that were there."""

    @property
    def misses(self) -> int:
        """Lists that were not."""

    @property
    def bytes(self) -> int:
        """How much is taken, about."""


class RecommendationMetrics(Collector):
    """All that is counted of recommendations."""

    def __init__(
        self,
        serving: Serving,
        stocking: Stocking,
        interactions: Interactions,
        *,
        catalogue: Sized,
        cache: Cache,
        behaviour: Sized,
    ) -> None:
        self._serving = serving
        self._stocking = stocking
        self._interactions = interactions
        self._catalogue = catalogue
        self._cache = cache
        self._behaviour = behaviour

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        it, cache = self._serving, self._cache
        yield family(
            "inferd_recommendation_lists",
            "Lists, by what they were made of and whether something was done without",
            "counter",
            [
                ({"source": made.lower(), "degraded": str(degraded).lower()}, n)
                for (made, degraded), n in it.answered.items()
            ],
        )
        yield family(
            "inferd_recommendation_short_lists",
            "Lists with fewer items than were asked for",
            "counter",
            [({}, it.short)],
        )
        yield histograms(
            "inferd_recommendation_stage_seconds",
            "What the stages of a list took",
            [({"stage": stage}, each) for stage, each in it.stages.items()],
        )
        yield family(
            "inferd_recommendation_cache",
            "Lists that were looked for in the cache",
            "counter",
            [({"found": "hit"}, cache.hits), ({"found": "miss"}, cache.misses)],
        )
        yield family(
            "inferd_recommendation_cache_bytes",
            "What cached lists take, about",
            "gauge",
            [({}, cache.bytes)],
        )
        yield from self._items()

    def _items(self) -> Iterator[Metric]:
        yield family(
            "inferd_recommendation_items",
            "Items of the catalogue",
            "gauge",
            [({}, len(self._catalogue))],
        )
        yield family(
            "inferd_recommendation_behaviour_items",
            "Items of which it is known what users do with them",
            "gauge",
            [({}, len(self._behaviour) - 1)],
        )
        yield family(
            "inferd_recommendation_item_changes",
            "Items that came, went or were refused",
            "counter",
            [({"became": became.lower()}, n) for became, n in self._stocking.counts.items()],
        )
        yield family(
            "inferd_recommendation_interactions",
            "Interactions, by what was done and what became of it",
            "counter",
            [
                ({"act": act, "became": became.lower()}, n)
                for (act, became), n in self._interactions.counts.items()
            ],
        )
