"""The Prometheus view of search: what was found and how, and what there is to be found."""

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
        """Answers by where the ranking was from, and whether something was done without."""

    @property
    def nothing_found(self) -> int:
        """Answers without a hit."""

    @property
    def relaxed(self) -> Mapping[str, int]:
        """Answers to less than what was asked, by how."""

    @property
    def stages(self) -> Mapping[str, Histogram]:
        """What stages took, in seconds."""


class Engine(Protocol):
    """What finds and ranks."""

    @property
    def cached(self) -> tuple[int, int]:
        """How often a ranking was in the cache, and how often it was not."""


class Stocking(Protocol):
    """What changes documents."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Documents by what became of them."""


class Clicks(Protocol):
    """What counts clicks."""

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """By what was done and what became of it."""


class Index(Protocol):
    """What there is, once it is open."""

    @property
    def documents(self) -> int:
        """How many documents there are."""

    @property
    def segments(self) -> int:
        """In how many parts the index is."""


class SearchMetrics(Collector):
    """All that is counted of search."""

    def __init__(
        self,
        serving: Serving,
        engine: Engine,
        *,
        stocking: Stocking,
        clicks: Clicks,
        suggested: Sized,
        index: Index,
    ) -> None:
        self._serving = serving
        self._engine = engine
        self._stocking = stocking
        self._clicks = clicks
        self._suggested = suggested
        self._index = index

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        it = self._serving
        yield family(
            "inferd_search_answers",
            "Answers, by where the ranking was from and whether something was done without",
            "counter",
            [
                ({"source": source.lower(), "degraded": str(degraded).lower()}, n)
                for (source, degraded), n in it.answered.items()
            ],
        )
        yield family(
            "inferd_search_nothing_found",
            "Answers without a hit",
            "counter",
            [({}, it.nothing_found)],
        )
        yield family(
            "inferd_search_relaxed",
            "Answers to less than what was asked, because nothing fitted that",
            "counter",
            [({"how": how}, n) for how, n in it.relaxed.items()],
        )
        yield histograms(
            "inferd_search_stage_seconds",
            "What the stages of a search took",
            [({"stage": stage}, each) for stage, each in it.stages.items()],
        )
        hits, misses = self._engine.cached
        yield family(
            "inferd_search_cache",
            "Rankings that were looked for in the cache",
            "counter",
            [({"found": "hit"}, hits), ({"found": "miss"}, misses)],
        )
        yield from self._documents()

    def _documents(self) -> Iterator[Metric]:
        yield family(
            "inferd_search_documents",
            "Documents that can be found",
            "gauge",
            [({}, self._index.documents)],
        )
        yield family(
            "inferd_search_segments",
            "Parts that the index is in",
            "gauge",
            [({}, self._index.segments)],
        )
        yield family(
            "inferd_search_suggested_texts",
            "Texts that may be suggested",
            "gauge",
            [({}, len(self._suggested))],
        )
        yield family(
            "inferd_search_document_changes",
            "Documents that came, went or were refused",
            "counter",
            [({"became": became.lower()}, n) for became, n in self._stocking.counts.items()],
        )
        yield family(
            "inferd_search_clicks",
            "What users did with what they found, and what became of it",
            "counter",
            [
                ({"act": act, "became": became.lower()}, n)
                for (act, became), n in self._clicks.counts.items()
            ],
        )
