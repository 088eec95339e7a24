"""From a request to an answer: who it is for, which arms they are in, and a list, cached or made.

Whatever is one call's own (its id, how long it took, the arms) is put on after the cache. What arms
change about how a list is made is part of what it is cached by, and the arms themselves are not.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from inferd.call import Call
from inferd.deadline import Clock
from inferd.errors import InferdError, NotFound
from inferd.experiments.definitions import Asking
from inferd.experiments.experiments import Surface
from inferd.experiments.guardrails import Guardrails
from inferd.experiments.interleaving import team_draft
from inferd.experiments.log import Exposures, Outcomes
from inferd.experiments.plan import NOTHING, Assignments, Parameters
from inferd.resilience.endpoint import Answer
from inferd.services.recommendation import answers, wishes
from inferd.services.recommendation.answer_cache import AnswerCache, Key
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.cold_start import ColdStart, chance
from inferd.services.recommendation.context import bucket
from inferd.services.recommendation.engine import Engine
from inferd.services.recommendation.interactions import Interaction
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.making import NOTHING_LISTED, Listed, Made
from inferd.services.recommendation.profile import Profile, anonymous
from inferd.services.recommendation.tuning import UNTUNED, Tunable, Tuning
from inferd.services.recommendation.wishes import Bounds, Wish
from inferd.services.recommendation.work import Task, Work
from inferd.telemetry.statistics import Histogram
from inferd.v1 import recommendation_pb2 as pb

SURFACE: Final = "recommendation"
UNITS: Final = ("user_id", "session_id")
TRENDING_SOURCES: Final = ("trending",)
ATTRIBUTES: Final[Mapping[str, str]] = {
    "page": "string",
    "category": "string",
    "device_type": "string",
    "country": "string",
    "interactions": "int64",
}
"""What targeting sees of a request: what is not said is not known."""
SIMILAR_SOURCES: Final = ("vectors", "covisits", "category")


def asking(tunable: Tunable) -> Asking:
    """Return what experiments need to know of those who ask here."""
    return Asking(SURFACE, UNITS, ATTRIBUTES, tunable.parameters)


class Tested(NamedTuple):
    """What experiments there are, and where it is noted who saw what."""

    surface: Surface
    exposures: Exposures
    outcomes: Outcomes
    guardrails: Guardrails


class Serving:
    """Answers requests for lists. Lives on the event loop."""

    def __init__(
        self,
        engine: Engine,
        catalogue: Catalogue,
        cold: ColdStart,
        cache: AnswerCache,
        *,
        bounds: Bounds,
        tunable: Tunable,
        tested: Tested | None,
        bounds_s: Sequence[float],
        clock: Clock,
        now_us: Callable[[], int],
    ) -> None:
        """`bounds_s` are the upper bounds of histograms."""
        self._engine = engine
        self._catalogue = catalogue
        self._cold = cold
        self._cache = cache
        self._bounds = bounds
        self._tunable = tunable
        self._tested = tested
        self._bounds_s = bounds_s
        self._clock = clock
        self._now_us = now_us
        #: Lists by what they were made of, and whether something was done without.
        self.answered: Counter[tuple[str, bool]] = Counter()
        #: Lists that have fewer items than were asked for.
        self.short = 0
        #: What stages took.
        self.stages: dict[str, Histogram] = {}

    async def recommend(
        self, request: pb.GetRecommendationsRequest, call: Call
    ) -> pb.Recommendations:
        """Return what to show to a user now. Raises `InferdError`."""
        wish = wishes.recommendations(request, self._catalogue.table, self._bounds)
        with self._engine.endpoint.answering(call) as answer:
            profile = await self._profile(answer, wish)
            assigned = self._assigned(wish, profile)
            try:
                listed, made = await self._listed(answer, wish, profile, assigned)
                told = self._message(call, wish, listed, answer, made=made, arms=_arms(assigned))
            except InferdError:
                self._served(call, assigned, failed=True)
                raise
        self._served(call, assigned, listed, degraded=bool(answer.degradations))
        if self._tested is not None:
            self._tested.exposures.used(assigned, _unit(wish))
        return told

    async def explain(
        self, request: pb.ExplainRecommendationRequest, call: Call
    ) -> pb.ExplainRecommendationResponse:
        """Return why items are in an answer, or are not. Raises `InferdError`."""
        wish = wishes.recommendations(
            request.request, self._catalogue.table, self._bounds, under="request."
        )
        ids = wishes.asked_about(request.item_ids)
        wish = replace(wish, debug=True, skip_cache=True)
        with self._engine.endpoint.answering(call) as answer:
            profile = await self._profile(answer, wish)
            assigned = self._assigned(wish, profile)
            tuning = self._tunable.of(assigned.parameters)
            work = await self._engine.make(answer, self._task(wish, profile, tuning))
            told = self._message(
                call, wish, work.listed, answer, made=work.listed.made, arms=_arms(assigned)
            )
        ids = ids or [each.item_id for each in work.listed.entries]
        return pb.ExplainRecommendationResponse(
            recommendations=told, fates=[_fate(work, self._engine, id) for id in ids]
        )

    async def similar(self, request: pb.SimilarItemsRequest, call: Call) -> pb.Recommendations:
        """Return what is like an item. Raises `InferdError`."""
        table = self._catalogue.table
        wish = wishes.similar(request, table, self._bounds)
        row = table.row(request.item_id)
        if row is None:
            raise NotFound(f"there is no item {request.item_id!r:.140}")
        with self._engine.endpoint.answering(call) as answer:
            profile = anonymous("")
            if wish.user_id:
                profile = await self._engine.profile(answer, wish.user_id)
            task = self._task(wish, profile, UNTUNED, only=SIMILAR_SOURCES, made=Made.SIMILAR)
            return self._directly(answer, call, task, near=table.vectors[row])

    async def trending(self, request: pb.GetTrendingRequest, call: Call) -> pb.Recommendations:
        """Return what is in demand now. Raises `InferdError`."""
        wish = wishes.trending(request, self._catalogue.table, self._bounds)
        with self._engine.endpoint.answering(call) as answer:
            task = self._task(
                wish, anonymous(""), UNTUNED, only=TRENDING_SOURCES, made=Made.TRENDING
            )
            return self._directly(answer, call, task)

    def rehearse(self) -> None:
        """Make a list for nobody: what is only done the first time makes no caller wait."""
        wish = Wish(count=wishes.DEFAULT_COUNT, request_id="")
        self._engine.directly(self._task(wish, anonymous(""), UNTUNED))

    def heard(self, it: Interaction) -> None:
        """Have what a user did count: no list of before is given again, and experiments know."""
        self._cache.forget(it.user_id, self._clock())
        if self._tested is not None:
            self._tested.outcomes.happened(
                "user_id",
                it.user_id,
                it.act.name.lower(),
                float(it.quantity),
                at_us=it.time_us,
                request=it.request_id,
                item=it.item_id,
            )

    # -- steps -------------------------------------------------------------------------

    def _directly(
        self, answer: Answer, call: Call, task: Task, near: Vectors | None = None
    ) -> pb.Recommendations:
        listed = self._engine.directly(task, near)
        for each in listed.degradations:
            answer.degrade(each)
        return self._message(call, task.wish, listed, answer, made=listed.made)

    async def _profile(self, answer: Answer, wish: Wish) -> Profile:
        profile = await self._engine.profile(answer, wish.user_id)
        return profile.in_session(wish.context.recent_items)

    def _assigned(self, wish: Wish, profile: Profile) -> Assignments:
        if self._tested is None:
            return NOTHING
        said: dict[str, str | int] = {
            name: text for name, text in wish.context.said().items() if name in ATTRIBUTES
        }
        return self._tested.surface.assign(
            _unit(wish), {**said, "interactions": len(profile.history)}, wish.forced_arms
        )

    def _served(
        self,
        call: Call,
        assigned: Assignments,
        listed: Listed = NOTHING_LISTED,
        *,
        failed: bool = False,
        degraded: bool = False,
    ) -> None:
        """Have guardrails know what an answer was like."""
        if self._tested is not None:
            self._tested.guardrails.served(
                assigned,
                self._clock() - call.arrived,
                failed=failed,
                degraded=degraded,
                said=listed.entries[0].score if listed.entries else None,
            )

    async def _listed(
        self, answer: Answer, wish: Wish, profile: Profile, assigned: Assignments
    ) -> tuple[Listed, Made]:
        """Return the list for somebody in these arms, and where it is from."""
        contest = next((each for each in assigned.arms if each.teams), None)
        if contest is None:
            return await self._one(answer, wish, profile, assigned.parameters)
        teams = {
            team: await self._one(answer, wish, profile, {**assigned.parameters, **parameters})
            for team, parameters in contest.teams.items()
        }
        entries = {each.item_id: each for it, _ in teams.values() for each in it.entries}
        ranked = {team: [each.item_id for each in it.entries] for team, (it, _) in teams.items()}
        drawn = team_draft(ranked, wish.count, request=wish.request_id)
        if self._tested is not None and not contest.forced:
            unit = _unit(wish)[contest.unit]
            self._tested.outcomes.shown(
                contest.experiment, contest.unit, unit, wish.request_id, drawn.picks()
            )
        listed, made = next(iter(teams.values()))
        for other, other_made in teams.values():
            models = dict.fromkeys((*listed.models, *other.models))
            listed = listed._replace(models=tuple(models), epoch=max(listed.epoch, other.epoch))
            made = other_made if made is Made.CACHE else made
        return listed._replace(entries=tuple(entries[id] for id in drawn.items)), made

    async def _one(
        self, answer: Answer, wish: Wish, profile: Profile, parameters: Parameters
    ) -> tuple[Listed, Made]:
        """Return one list, cached or made."""
        tuning = self._tunable.of(parameters)
        task = self._task(wish, profile, tuning)
        key = self._key(task, answer.call)
        begun = self._clock()
        usable = profile.known and not (wish.skip_cache or wish.debug)
        if usable and (there := self._cache.get(key, begun)) is not None:
            return there, Made.CACHE
        work = await self._engine.make(answer, task)
        if usable and not answer.degradations:
            self._cache.put(key, work.listed, begun=begun, now=self._clock())
        self._observe(work)
        return work.listed, work.listed.made

    def _key(self, task: Task, call: Call) -> Key:
        wish = task.wish
        return Key(
            user_id=wish.user_id,
            stamp=task.profile.stamp,
            context=bucket(wish.context, task.now_us, self._cache.parts_of_day),
            wanted=(wish.filters, wish.include_seen),
            length=wish.count,
            tuning=task.tuning,
            models=self._engine.versions(call),
            epoch=task.epoch,
        )

    def _task(
        self,
        wish: Wish,
        profile: Profile,
        tuning: Tuning,
        *,
        only: Sequence[str] = (),
        made: Made = Made.COMPUTED,
    ) -> Task:
        now_us = self._now_us()
        window_s = self._cold.settings.window_s
        return Task(
            wish=wish,
            profile=profile,
            table=self._catalogue.table,
            epoch=self._catalogue.epoch,
            tuning=tuning,
            only=only,
            made=made,
            now_us=now_us,
            random=chance(wish.user_id, now_us, window_s, "candidates"),
        )

    def _message(
        self,
        call: Call,
        wish: Wish,
        listed: Listed,
        answer: Answer,
        *,
        made: Made,
        arms: Iterable[pb.ExperimentArm] = (),
    ) -> pb.Recommendations:
        now_us = self._now_us()
        self.answered[made.name, bool(answer.degradations)] += 1
        self.short += len(listed.entries) < wish.count
        self._cold.answered(wish.request_id, wish.context, now_us)
        return answers.told(
            listed,
            request_id=wish.request_id,
            made=made,
            degradations=answer.degradations,
            arms=arms,
            seconds=self._clock() - call.arrived,
            time_us=now_us,
        )

    def _observe(self, work: Work) -> None:
        for stage, seconds in work.timings.items():
            if stage not in self.stages:
                self.stages[stage] = Histogram(self._bounds_s)
            self.stages[stage].observe(seconds)


def _unit(wish: Wish) -> Mapping[str, str]:
    return {"user_id": wish.user_id, "session_id": wish.context.session_id}


def _arms(assigned: Assignments) -> list[pb.ExperimentArm]:
    return [
        pb.ExperimentArm(experiment=each.experiment, arm=each.arm, forced=each.forced)
        for each in assigned.arms
    ]


def _fate(work: Work, engine: Engine, id: str) -> pb.ExplainRecommendationResponse.Fate:
    fate = pb.ExplainRecommendationResponse.Fate(item_id=id)
    for position, each in enumerate(work.listed.entries):
        if each.item_id == id:
            fate.position = position
            if each.detail is not None:
                fate.debug.CopyFrom(answers.detail(each.detail))
            return fate
    fate.lost, detail = engine.fate(work, id)
    if detail is not None:
        fate.debug.CopyFrom(answers.detail(detail))
    return fate
