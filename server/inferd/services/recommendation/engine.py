"""How a list is made: where the user is, candidates, scores, ranking. Each step has its budget.

Every step has its share of the time, and something that takes its place: a user without a vector is
known by what others did, candidates may be only what is popular, and where no model says anything
the places at which sources found candidates do. So there is a list whatever hangs, and it says what
it did without.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

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
from inferd.services.recommendation.choosing import Choosing
from inferd.services.recommendation.cold_start import ColdStart
from inferd.services.recommendation.ensemble import Ensemble
from inferd.services.recommendation.features import PairFeatures
from inferd.services.recommendation.gathering import Gathered, Gathering, eligible, with_newest
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.listing import CANDIDATES, POPULAR_SOURCES, fate, listed
from inferd.services.recommendation.making import Detail, Listed, Made
from inferd.services.recommendation.ranking import Ranking, RankingRules
from inferd.services.recommendation.sources import Wanted
from inferd.services.recommendation.work import Task, Work

METHOD: Final = "/inferd.v1.RecommendationService/GetRecommendations"
VECTOR, RANKING = "user_vector", "ranking"
FEWEST: Final = 200
"""Items that are candidates where sources find too few."""
_UNGUARDED = resilience.Limit(mode="off")

Value = TypeVar("Value")


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
        self._choosing = Choosing(rules, behaviour, cold)
        self._tower = tower
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
        for each in _failed(work.gathered):
            answer.degrade(each)
        if not (task.only or self._cold.is_new(task.profile)):
            await self._timed(work, "scoring", self._score(answer, work))
        work.ranking = await self._timed(work, RANKING, self._ranking(answer, work))
        work.listed = listed(work, answer.degradations[before:], self._scorers)
        return work

    def directly(self, task: Task, near: Vectors | None = None) -> Listed:
        """Return a list without models and budgets: of what is like an item, or in demand.

        `near` is float32 [d]: what it is to be like. It takes less than a millisecond.
        """
        work = Work(task, vector=near)
        work.gathered = self._gathered(work, task.only)
        work.ranking = self._choosing.ranked(work)
        return listed(work, _failed(work.gathered), self._scorers)

    def fate(self, work: Work, id: str) -> tuple[str, Detail | None]:
        """Return why an item is not in a list, and what is known of it."""
        return fate(work, id, self._scorers)

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
        least = 1
        if task.made is Made.COMPUTED:  # some of what the user did may not be shown again
            least = task.wish.count + len(task.history)
        if len(gathered.rows) >= least:
            return gathered
        return with_newest(gathered, task.table, mask, max(FEWEST, least))

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
        return self._choosing.ranked(work)

    async def _by_score(self, call: Call, deadline: Deadline, work: Work) -> Ranking:
        return self._choosing.by_score(work)

    async def _timed(self, work: Work, stage: str, doing: Coroutine[Any, Any, Value]) -> Value:
        began = self._clock()
        try:
            return await doing
        finally:
            work.timings[stage] = self._clock() - began


def _failed(gathered: Gathered) -> list[Degradation]:
    return [Degradation(CANDIDATES, name, Internal.reason) for name in gathered.failed]


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
