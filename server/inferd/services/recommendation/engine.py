"""How a list is made: where the user is, candidates, scores, ranking. Each step has its budget.

Every step has its share of the time, and something that takes its place: a user without a vector is
known by what others did, candidates may be only what is popular, and where no model says anything
the places at which sources found candidates do. So there is a list whatever hangs, and it says what
it did without.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from inferd.call import Call
from inferd.config import resilience
from inferd.config.recommendation import Recommendation as Settings
from inferd.config.resilience import Cascade, Rung, Stage
from inferd.deadline import Deadline
from inferd.errors import InferdError, Internal
from inferd.resilience.degradation import ABSENT, Degradation
from inferd.resilience.endpoint import Answer, Endpoint
from inferd.resilience.parallel import Parallel
from inferd.resilience.toolbox import Toolbox
from inferd.services.recommendation import profile_reading
from inferd.services.recommendation.asking import Outputs, Scorer, UserTower
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.cold_start import ColdStart, chance, new_places
from inferd.services.recommendation.columns import Table
from inferd.services.recommendation.ensemble import Blend, Ensemble, fused
from inferd.services.recommendation.features import PairFeatures
from inferd.services.recommendation.gathering import Gathered, Gathering, eligible, lost, newest
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.making import (
    NOTHING_LISTED,
    Detail,
    Entry,
    Listed,
    Made,
    Workings,
)
from inferd.services.recommendation.profile import Profile
from inferd.services.recommendation.ranking import Pool, Ranked, Ranking, RankingRules, rank
from inferd.services.recommendation.sources import Wanted
from inferd.services.recommendation.tuning import UNTUNED, Tuning
from inferd.services.recommendation.vocabulary import Seen
from inferd.services.recommendation.wishes import Wish

METHOD: Final = "/inferd.v1.RecommendationService/GetRecommendations"
VECTOR, CANDIDATES, RANKING = "user_vector", "candidates", "ranking"
POPULAR_SOURCES: Final = ("popular", "trending")
REASONS: Final = {
    "vectors": "for_you",
    "covisits": "goes_together",
    "category": "of_your_categories",
}
"""What a source says of why an item is in a list, if it is not the source's name."""
POPULARITY: Final = np.array([0.0, 1.0, 1.0, 2.0, 3.0, 0.0], np.float32)
"""What acts say of how popular an item is, in the order of `Act`."""
FEWEST: Final = 200
"""Items that are candidates where no source finds any."""

_UNGUARDED = resilience.Limit(mode="off")

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A list that is to be made."""

    wish: Wish
    profile: Profile
    #: What there is to be recommended, and which of its changes that is.
    table: Table
    epoch: int
    tuning: Tuning = UNTUNED
    #: Only these sources; empty: all.
    only: Sequence[str] = ()
    #: What is told of an answer that has all it needs.
    made: Made = Made.COMPUTED
    now_us: int
    random: Random

    @property
    def history(self) -> Sequence[Seen]:
        """What the user did, newest first, with this session's items."""
        return self.profile.history


@dataclass(slots=True)
class Work:
    """What is known of a list while it is made."""

    task: Task
    vector: Vectors | None = None
    gathered: Gathered | None = None
    blend: Blend | None = None
    #: Of rankers, by name: who is asked.
    versions: dict[str, str] = field(default_factory=dict)
    #: What rankers were told, by what they have in common.
    told: dict[object, Vectors] = field(default_factory=dict)
    ranking: Ranking | None = None
    #: Seconds by stage, in their order.
    timings: dict[str, float] = field(default_factory=dict)
    listed: Listed = NOTHING_LISTED


def cascade(settings: Settings) -> Cascade:
    """Return the stages of a list, unless the configuration says otherwise."""
    none = Rung(name=ABSENT, seed_ms=0.01)
    users = settings.user_vectors
    stages = [profile_reading.stage(settings.profile)]
    if users is not None:
        asked = Rung(name="asked", cap_ms=users.timeout_ms, seed_ms=1)
        stages.append(Stage(name=VECTOR, ladder=(asked, none)))
    found = Rung(name="sources", seed_ms=2)
    stages.append(Stage(name=CANDIDATES, ladder=(found, Rung(name="popular", seed_ms=0.3))))
    stages += [
        Stage(
            name=each.name,
            ladder=(Rung(name="asked", cap_ms=each.timeout_ms, seed_ms=3), none),
            beside_previous=number > 0,
        )
        for number, each in enumerate(settings.rankers)
    ]
    ranked = Rung(name="ranked", seed_ms=2)
    stages.append(Stage(name=RANKING, ladder=(ranked, Rung(name="by_score", seed_ms=0.5))))
    return Cascade(stages=tuple(stages), default_deadline_ms=settings.deadline_ms)


class Engine:
    """Makes lists. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        behaviour: Behaviour,
        cold: ColdStart,
        profiles: profile_reading.ProfileReading,
        gathering: Gathering,
        tower: UserTower | None,
        scorers: Sequence[Scorer],
        rules: RankingRules,
        toolbox: Toolbox,
    ) -> None:
        self._settings = settings
        self._behaviour = behaviour
        self._cold = cold
        self._gathering = gathering
        self._scorers = scorers
        self._ensemble = Ensemble(settings.rankers)
        self._features = {
            each.told: PairFeatures(each.settings.inputs, missing=each.settings.missing)
            for each in scorers
        }
        self._rules = rules
        self._tower = tower
        #: By diversity.
        self._tuned: dict[float, RankingRules] = {}
        self.endpoint: Endpoint = toolbox.endpoint(METHOD, cascade(settings))
        self._clock = self.endpoint.clock
        self.profile = profiles.stage_of(self.endpoint)
        self._vector = self._vector_stage(tower, toolbox)
        local = toolbox.dependency(
            "recommendation_candidates", resilience.Dependency(limit=_UNGUARDED)
        )
        self._candidates = self.endpoint.stage(
            CANDIDATES, sources=local.guards(self._found), popular=self._popular
        )
        self._rankers = [(each, self._ranker_stage(each, toolbox)) for each in scorers]
        ranking = toolbox.dependency(
            "recommendation_ranking", resilience.Dependency(limit=_UNGUARDED)
        )
        self._ranking = self.endpoint.stage(
            RANKING, ranked=ranking.guards(self._ranked), by_score=self._by_score
        )

    def versions(self, call: Call) -> tuple[str, ...]:
        """Return the models that are asked for a call, as "name/version"."""
        towers = () if self._tower is None else (self._tower.version(call),)
        return (*towers, *(each.version(call) for each in self._scorers))

    async def make(self, answer: Answer, task: Task) -> Work:
        """Return a list that was made, and how.

        Raises `InferdError` if there is no time even for what is popular.
        """
        work = Work(task)
        before = len(answer.degradations)
        if self._vector is not None and task.history and not task.only:
            work.vector = await self._timed(
                work, VECTOR, _or_none(answer, VECTOR, self._vector(answer, task))
            )
        work.gathered = await self._timed(work, CANDIDATES, self._candidates(answer, work))
        for name in work.gathered.failed:
            answer.degrade(Degradation(CANDIDATES, name, Internal.reason))
        if not (task.only or self._cold.is_new(task.profile)):
            await self._timed(work, "scoring", self._score(answer, work))
        work.ranking = await self._timed(work, RANKING, self._ranking(answer, work))
        work.listed = self._listed(work, answer.degradations[before:])
        return work

    def directly(self, task: Task, near: Vectors | None = None) -> Listed:
        """Return a list without models and budgets: of what is like an item, or in demand.

        `near` is float32 [d]: what it is to be like. It takes less than a millisecond.
        """
        work = Work(task, vector=near)
        work.gathered = self._gathered(work, task.only)
        work.ranking = self._rank(work, self._rules)
        return self._listed(work, ())

    # -- where the user is -------------------------------------------------------------

    def _vector_stage(
        self, tower: UserTower | None, toolbox: Toolbox
    ) -> Callable[[Answer, Task], Coroutine[Any, Any, Vectors | None]] | None:
        settings = self._settings.user_vectors
        if tower is None or settings is None:
            return None
        guard = toolbox.dependency(
            "recommendation_users", resilience.Dependency(timeout_ms=settings.timeout_ms)
        )

        async def ask(call: Call, deadline: Deadline, task: Task) -> Vectors:
            return await tower.ask(call, deadline, task.history, task.table)

        return self.endpoint.stage(VECTOR, asked=guard.guards(ask), none=_no_vector)

    # -- candidates --------------------------------------------------------------------

    async def _found(self, call: Call, deadline: Deadline, work: Work) -> Gathered:
        return self._gathered(work, work.task.only)

    async def _popular(self, call: Call, deadline: Deadline, work: Work) -> Gathered:
        return self._gathered(work, POPULAR_SOURCES)

    def _gathered(self, work: Work, only: Sequence[str]) -> Gathered:
        task = work.task
        mask = eligible(task.table, task.wish.filters, task.now_us)
        context = task.wish.context.said()
        if task.made is Made.TRENDING:
            context["trending_category"] = task.wish.context.category
        wanted = Wanted(
            table=task.table,
            user_vector=work.vector,
            history=task.history,
            context=context,
            now_us=task.now_us,
            random=task.random,
            eligible=mask,
        )
        gathered = self._gathering.gather(wanted, dict(task.tuning.quotas), only)
        return gathered if len(gathered.rows) else newest(task.table, mask, FEWEST)

    # -- scores ------------------------------------------------------------------------

    def _ranker_stage(
        self, scorer: Scorer, toolbox: Toolbox
    ) -> Callable[[Answer, Vectors], Coroutine[Any, Any, Outputs | None]]:
        timeout_ms = scorer.settings.timeout_ms
        guard = toolbox.dependency(
            f"recommendation_{scorer.name}", resilience.Dependency(timeout_ms=timeout_ms)
        )
        return self.endpoint.stage(scorer.name, asked=guard.guards(scorer.ask), none=_no_score)

    async def _score(self, answer: Answer, work: Work) -> None:
        """Have candidates scored by all rankers at once, or by those that answer."""
        assert work.gathered is not None, "there are candidates by now"
        count = len(work.gathered.rows)
        weights = dict(work.task.tuning.weights)
        asked = [it for it in self._rankers if weights.get(it[0].name, 1.0) > 0]
        if not count or not asked:
            return
        for scorer, _ in asked:
            work.versions[scorer.name] = scorer.version(answer.call)
            if scorer.told not in work.told:
                work.told[scorer.told] = self._features_of(work, scorer)
        async with Parallel() as at_once:
            tasks = {
                scorer.name: at_once.begin(
                    _or_none(answer, scorer.name, stage(answer, work.told[scorer.told]))
                )
                for scorer, stage in asked
            }
            said = {name: await each for name, each in tasks.items()}
        heard = {name: it for name, it in said.items() if it is not None}
        blend = self._ensemble.blend(heard, count, weights)
        for each in blend.degradations:
            answer.degrade(each)
        work.blend = blend

    def _features_of(self, work: Work, scorer: Scorer) -> Vectors:
        task = work.task
        assert work.gathered is not None, "there are candidates by now"
        return self._features[scorer.told].rows(
            task.profile,
            task.table,
            work.gathered.rows,
            self._behaviour,
            task.wish.context,
            now_us=task.now_us,
            user_vector=work.vector,
        )

    # -- ranking -----------------------------------------------------------------------

    async def _ranked(self, call: Call, deadline: Deadline, work: Work) -> Ranking:
        diversity = work.task.tuning.diversity
        return self._rank(work, self._rules if diversity is None else self._rules_with(diversity))

    async def _by_score(self, call: Call, deadline: Deadline, work: Work) -> Ranking:
        return self._rank(work, self._rules_with(0.0))

    def _rules_with(self, diversity: float) -> RankingRules:
        rules = self._tuned.get(diversity)
        if rules is None:
            ranking = self._settings.ranking.model_copy(update={"diversity": diversity})
            rules = self._tuned[diversity] = RankingRules(ranking)
        return rules

    def _rank(self, work: Work, rules: RankingRules) -> Ranking:
        task, gathered = work.task, work.gathered
        assert gathered is not None, "there are candidates by now"
        wish = task.wish
        pool = Pool(
            table=task.table,
            rows=gathered.rows,
            scores=self._scores(work, gathered),
            reasons=[REASONS.get(source, source) for source in gathered.reasons],
            now_us=task.now_us,
            history=task.profile.history,
            filters=wish.filters,
            page=wish.context.page,
            include_seen=wish.include_seen,
            new=gathered.scores_of("new"),
            new_places=self._new_places(task),
        )
        return rank(pool, rules, wish.count)

    def _scores(self, work: Work, gathered: Gathered) -> npt.NDArray[np.float64]:
        """Return what candidates are worth, [k]: what rankers say, or what stands in for them."""
        task = work.task
        if work.blend is not None and work.blend.scores is not None:
            return work.blend.scores
        if task.only or not self._cold.is_new(task.profile):
            return fused([it.rows for it in gathered.found.values()], gathered.rows)
        slots = self._behaviour.slots_of(task.table, gathered.rows)
        counts = self._behaviour.counts(slots, "7d", task.now_us)
        popularity = counts @ POPULARITY
        return self._cold.scores(
            task.table,
            gathered.rows,
            popularity,
            task.profile,
            task.wish.context,
            now_us=task.now_us,
        )

    def _new_places(self, task: Task) -> frozenset[int]:
        if task.only:
            return frozenset()
        share = task.tuning.new_share
        settings = self._cold.settings
        dice = chance(task.wish.user_id, task.now_us, settings.window_s, "places")
        return new_places(task.wish.count, settings.explore_share if share is None else share, dice)

    # -- the whole ---------------------------------------------------------------------

    def _listed(self, work: Work, degradations: Sequence[Degradation]) -> Listed:
        task, ranking, gathered = work.task, work.ranking, work.gathered
        assert ranking is not None
        assert gathered is not None
        debug = task.wish.debug
        return Listed(
            entries=tuple(self._entry(work, each, debug=debug) for each in ranking.items),
            made=_made(task, gathered),
            epoch=task.epoch,
            models=self._models(work),
            degradations=tuple(degradations),
            workings=_workings(work) if debug else None,
        )

    def _models(self, work: Work) -> tuple[str, ...]:
        said = () if work.blend is None else work.blend.said
        return tuple(work.versions[name] for name in said)

    def _entry(self, work: Work, item: Ranked, *, debug: bool) -> Entry:
        id = work.task.table.ids[item.row]
        detail = self._detail(work, item.row, item.notes) if debug else None
        return Entry(id, item.score, item.reason, detail)

    def fate(self, work: Work, id: str) -> tuple[str, Detail | None]:
        """Return why an item is not in a list, and what is known of it."""
        assert work.gathered is not None
        assert work.ranking is not None
        row = work.task.table.row(id)
        if row is None:
            return "not_in_catalogue", None
        if row in work.gathered.rows:
            return work.ranking.fate(row) or "ranked_below", self._detail(work, row, ())
        task = work.task
        why = lost(task.table, task.wish.filters, row, task.now_us)
        return why or "no_candidate", None

    def _detail(self, work: Work, row: int, notes: Sequence[str]) -> Detail:
        assert work.gathered is not None
        at = np.flatnonzero(work.gathered.rows == row)
        features, scores = dict[str, float](), dict[str, float]()
        if len(at):
            for scorer in self._scorers:
                if scorer.told in work.told:
                    told: list[float] = work.told[scorer.told][at[0]].tolist()
                    features |= zip(scorer.settings.inputs, told, strict=True)
            said = {} if work.blend is None else work.blend.said
            scores = {name: float(each[at[0]]) for name, each in said.items()}
        return Detail(work.gathered.sources(row), features, scores, notes)

    async def _timed(self, work: Work, stage: str, doing: Coroutine[Any, Any, Value]) -> Value:
        began = self._clock()
        try:
            return await doing
        finally:
            work.timings[stage] = self._clock() - began


def _made(task: Task, gathered: Gathered) -> Made:
    """Return what the list is made of."""
    if task.made is not Made.COMPUTED:
        return task.made
    if not task.profile.known or {*gathered.found} <= {*POPULAR_SOURCES}:
        return Made.POPULAR
    return Made.COMPUTED if task.history else Made.COLD_START


def _workings(work: Work) -> Workings:
    assert work.gathered is not None
    assert work.ranking is not None
    left, there = dict[str, int](), len(work.gathered.rows)
    left[CANDIDATES] = there
    for why, rows in work.ranking.lost:
        if len(rows):
            there -= len(rows)
            left[why] = there
    return Workings(
        timings=work.timings,
        candidates={name: len(each.rows) for name, each in work.gathered.found.items()},
        left=left,
        interactions=len(work.task.history),
    )


async def _or_none(
    answer: Answer, stage: str, doing: Coroutine[Any, Any, Value | None]
) -> Value | None:
    """Return what a stage returns; None if there was no time even for what takes its place."""
    try:
        return await doing
    except Exception as error:  # there is a list nevertheless
        reason = error.reason if isinstance(error, InferdError) else Internal.reason
        answer.degrade(Degradation(stage, ABSENT, reason))
        return None


async def _no_vector(call: Call, deadline: Deadline, task: Task) -> Vectors | None:
    return None


async def _no_score(call: Call, deadline: Deadline, rows: Vectors) -> Outputs | None:
    return None
