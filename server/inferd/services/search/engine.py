"""How hits are found and ranked: the index, and a learnt model. Each has its budget.

The index may be slow: then what it answered before to the same question is given, however old. The
model may be slow, or down: hits that it has not scored when its time is over stay in the order of
their words. What is made here is for everybody; nobody's user id comes this far.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from inferd.cache.local import Local
from inferd.call import Call
from inferd.config import resilience
from inferd.config.resilience import Cascade, Rung, Stage
from inferd.config.search import Search as Settings
from inferd.config.search.ranking import SearchRanker
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, InferdError, InvalidRequest, Unavailable
from inferd.resilience.degradation import ABSENT
from inferd.resilience.endpoint import Answer, Endpoint
from inferd.resilience.stale import LastAnswers, Stale
from inferd.resilience.toolbox import Toolbox
from inferd.services.search.behaviour import SearchBehaviour
from inferd.services.search.features import SearchFeatures
from inferd.services.search.finding import Ranked, Scored, ordered
from inferd.services.search.index import TextIndex
from inferd.services.search.query.relaxation import relaxations
from inferd.services.search.query.understood import Understood
from inferd.services.search.text_query import Facet, Filter, Scores, Sort, TextQuery

METHOD: Final = "/inferd.v1.SearchService/Search"
RETRIEVAL, RANKING = "retrieval", "ranking"
INDEX, CACHED, ASKED = "index", "cached", "asked"

Value = TypeVar("Value")


class Version(Protocol):
    """A version of a model."""

    @property
    def version(self) -> str:
        """Its number."""


class Models(Protocol):
    """The models that this server has."""

    def find(self, name: str, version: str = "", call: Call | None = None) -> Version | None:
        """Return the ready version that is meant for a call, or None."""

    async def run(
        self,
        name: str,
        inputs: Mapping[str, npt.NDArray[Any]],
        *,
        call: Call,
        deadline: Deadline,
        version: str = "",
        outputs: Sequence[str] = (),
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Return what a model makes of these inputs. Raises `InferdError`."""


class Wanted(NamedTuple):
    """What is to be found, whoever asks. It can be hashed."""

    understood: Understood
    filters: tuple[Filter, ...]
    sort: tuple[Sort, ...]
    facets: tuple[Facet, ...]
    without: frozenset[str]
    by_relevance: bool
    #: Whether a model is to rank.
    learnt: bool
    #: The filters in words: to a hash the flag `true` is the number 1.
    said: str = ""


@dataclass(slots=True)
class Work:
    """One search on its way."""

    wanted: Wanted
    #: Of the index; None: the newest.
    epoch: int | None
    #: The model that ranks, as "name/version".
    ranker: str
    #: Of the query (`SearchBehaviour.changes`): what was clicked counts for the next answer.
    clicks: int
    #: When ranking stops where it is.
    soft: float
    now_us: int
    #: Seconds by stage, in their order.
    timings: dict[str, float] = field(default_factory=dict)


class Key(NamedTuple):
    """All that makes a difference to a ranking."""

    wanted: Wanted
    epoch: int
    ranker: str
    clicks: int


def cascade(settings: Settings) -> Cascade:
    """Return the stages of a search, unless the configuration says otherwise."""
    index = Rung(name=INDEX, cap_ms=settings.index_ms, seed_ms=3)
    stages = [Stage(name=RETRIEVAL, ladder=(index, Rung(name=CACHED, seed_ms=0.05)))]
    if settings.ranker is not None:
        asked = Rung(name=ASKED, cap_ms=settings.ranker.timeout_ms, seed_ms=2)
        stages.append(Stage(name=RANKING, ladder=(asked, Rung(name=ABSENT, seed_ms=0.01))))
    return Cascade(stages=tuple(stages), default_deadline_ms=settings.deadline_ms)


class Engine:
    """Finds and ranks. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        index: Callable[[], TextIndex],
        behaviour: SearchBehaviour,
        models: Models,
        toolbox: Toolbox,
    ) -> None:
        """`index` returns the index once it is open.

        Raises `ValueError` for a feature that is none.
        """
        self._settings = settings
        self._index = index
        self._behaviour = behaviour
        self._models = models
        self.endpoint: Endpoint = toolbox.endpoint(METHOD, cascade(settings))
        self._clock = self.endpoint.clock
        cache = settings.cache
        self._cache: Local[Ranked] = Local(max_entries=cache.max_entries)
        #: What was found last, by what was wanted, for when the index does not answer.
        self._before: LastAnswers[Ranked] = LastAnswers(
            max_entries=cache.max_entries, max_age_s=cache.stale_s
        )
        guard = toolbox.dependency(
            "search_index", resilience.Dependency(timeout_ms=settings.index_ms)
        )
        self._retrieval = self.endpoint.stage(
            RETRIEVAL, index=guard.guards(self._from_index), cached=self._from_before
        )
        self._ranking = self._ranking_stage(settings.ranker, toolbox)

    def ranker(self, call: Call) -> str:
        """Return the model that ranks for a call, as "name/version"; empty: none does."""
        it = self._settings.ranker
        if it is None:
            return ""
        found = self._models.find(it.model, it.version, call)
        return it.model if found is None else f"{it.model}/{found.version}"

    @property
    def cached(self) -> tuple[int, int]:
        """How often a ranking was in the cache, and how often it was not."""
        return self._cache.hits, self._cache.misses

    def known(self, work: Work, epoch: int) -> Ranked | None:
        """Return a ranking that is cached."""
        return self._cache.get(Key(work.wanted, epoch, work.ranker, work.clicks), self._clock())

    async def make(self, answer: Answer, work: Work) -> Ranked:
        """Return what is found, ranked for everybody. Raises `InferdError` if nothing can be."""
        degraded = len(answer.degradations)
        found = await self._timed(work, RETRIEVAL, self._retrieval(answer, work))
        if found.scored is None and self._ranking is not None and self._is_ranked(work, found):
            scored = await self._timed(work, RANKING, self._ranking(answer, work, found))
            if scored is not None:
                order = ordered(found.retrieved, scored)
                coverage = len(scored.scores) / max(1, len(found.retrieved.ids))
                found = found._replace(order=order, scored=scored, coverage=coverage)
            else:
                found = found._replace(coverage=0.0)
        whole = found.coverage == 1.0 and found.retrieved.complete
        if whole and len(answer.degradations) == degraded:
            self._keep(work, found)
        return found

    def _is_ranked(self, work: Work, found: Ranked) -> bool:
        return work.wanted.learnt and work.wanted.by_relevance and len(found.retrieved.ids) > 0

    def _keep(self, work: Work, found: Ranked) -> None:
        settings, now = self._settings.cache, self._clock()
        if not settings.ttl_s:
            return
        key = Key(work.wanted, found.retrieved.epoch, work.ranker, work.clicks)
        self._cache.put(key, found, now=now, ttl_s=settings.ttl_s)
        self._before.put(work.wanted, found, now)

    # -- the index ---------------------------------------------------------------------

    async def _from_index(self, call: Call, deadline: Deadline, work: Work) -> Ranked:
        wanted = work.wanted
        for understood in (wanted.understood, *relaxations(wanted.understood)):
            retrieved = await self._index().search(
                self.asked(wanted, understood), deadline, work.epoch
            )
            if retrieved.total or not wanted.by_relevance:
                break
        else:
            understood = wanted.understood
        order = tuple(range(len(retrieved.ids)))
        return Ranked(understood, retrieved, order, None, 1.0)

    def asked(
        self, wanted: Wanted, understood: Understood, offset: int = 0, size: int = 0
    ) -> TextQuery:
        """Return what the index is asked: the window, or `size` hits from `offset` on."""
        ranker = self._settings.ranker
        window = ranker.window if ranker is not None else self._settings.max_page_size
        return TextQuery(
            words=understood.words,
            filters=(*wanted.filters, *understood.filters),
            sort=wanted.sort,
            facets=() if size else wanted.facets,
            without=tuple(sorted(wanted.without)),
            offset=offset,
            window=size or window,
        )

    async def _from_before(
        self, call: Call, deadline: Deadline, work: Work
    ) -> Ranked | Stale[Ranked]:
        there = self._before.get(work.wanted, self._clock())
        if there is None or work.epoch not in {None, there.value.retrieved.epoch}:
            raise Unavailable("the index does not answer, and has not answered this before")
        return there

    # -- the model ---------------------------------------------------------------------

    def _ranking_stage(
        self, settings: SearchRanker | None, toolbox: Toolbox
    ) -> Callable[[Answer, Work, Ranked], Coroutine[Any, Any, Scored | None]] | None:
        if settings is None:
            return None
        features = SearchFeatures(settings.inputs, missing=settings.missing)
        guard = toolbox.dependency(
            "search_ranker", resilience.Dependency(timeout_ms=settings.timeout_ms)
        )

        async def ask(call: Call, deadline: Deadline, work: Work, found: Ranked) -> Scored:
            told = features.rows(found.understood, found.retrieved, self._behaviour, work.now_us)
            return await self._scored(settings, told, work, call, deadline)

        return self.endpoint.stage(RANKING, asked=guard.guards(ask), none=_unranked)

    async def _scored(
        self, it: SearchRanker, told: Scores, work: Work, call: Call, deadline: Deadline
    ) -> Scored:
        """Score hits, some at a time, until all are or the soft timeout is over.

        The first must be scored by the deadline; what comes after them may only take until then.
        """
        now = self._clock()
        soft = Deadline(min(work.soft, now + it.soft_timeout * deadline.remaining(now)))
        scores: list[Scores] = []
        for begin in range(0, len(told), it.at_once):
            if begin and soft.remaining(self._clock()) <= 0:
                break
            some, within = told[begin : begin + it.at_once], soft if begin else deadline
            try:
                scores.append(await self._asked(it, some, call, within))
            except InferdError:
                if not scores:
                    raise
                break  # what is ranked is ranked
        said = np.concatenate(scores)
        return Scored(said, told[: len(said)], work.ranker)

    async def _asked(
        self, it: SearchRanker, rows: Scores, call: Call, deadline: Deadline
    ) -> Scores:
        try:
            outputs = await self._models.run(
                it.model,
                {it.tensor: rows},
                call=call,
                deadline=deadline,
                version=it.version,
                outputs=(it.output,),
            )
        except InvalidRequest as error:
            raise DependencyFailed(f"{it.model} does not take what it is told: {error}") from error
        said: Scores = np.asarray(outputs[it.output], np.float32).reshape(len(rows), -1)[:, -1]
        if not np.isfinite(said).all():
            raise DependencyFailed(f"{it.model} says what is no number")
        return said

    async def _timed(self, work: Work, stage: str, doing: Coroutine[Any, Any, Value]) -> Value:
        began = self._clock()
        try:
            return await doing
        finally:
            work.timings[stage] = self._clock() - began


async def _unranked(call: Call, deadline: Deadline, work: Work, found: Ranked) -> Scored | None:
    return None
