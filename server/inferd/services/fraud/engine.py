"""How a decision is made: features, rules, models side by side, and the table of `verdict`.

Every step has its share of the time, and something that takes its place: features have defaults,
and rules and models that fail are counted. So there is a decision whatever hangs, and it says what
it did without. A rule that is sure ends it before any model is asked.

A transaction is told to the aggregates when its features have been read: it counts for the next
one, and not for itself, as it did when models were trained. No decision waits for that.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from inferd.call import Call
from inferd.config import resilience
from inferd.config.fraud_service import Fraud as Settings
from inferd.config.resilience import Cascade, Rung, Stage
from inferd.deadline import Deadline
from inferd.errors import InferdError, Internal
from inferd.features.online import OnlineFeatures
from inferd.features.values import Found, Lookup
from inferd.resilience.degradation import ABSENT, Degradation
from inferd.resilience.endpoint import Answer, Endpoint
from inferd.resilience.parallel import Parallel
from inferd.resilience.toolbox import Toolbox
from inferd.services.fraud import models
from inferd.services.fraud.features import NOTHING_NEEDED, Needs, Reading, Told
from inferd.services.fraud.intake import Taken
from inferd.services.fraud.models import Row, Said, Scorer
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.rulebook import Rulebook
from inferd.services.fraud.rules import Report, RuleSet, Values
from inferd.services.fraud.verdict import Verdict, after_models, before_models

METHOD = "/inferd.v1.FraudService/AssessTransaction"
FEATURES, RULES, DEFAULTS = "features", "rules", "defaults"
RECORD_SHARE = 0.35
"""Of the time that is left, what is kept back for putting the decision on record."""

_UNGUARDED = resilience.Limit(mode="off")

Value = TypeVar("Value")


class Asked(NamedTuple):
    """What became of one model."""

    name: str
    said: Said | None
    reason: str
    """Why it said nothing."""
    seconds: float


@dataclass(slots=True, kw_only=True)
class Decision:
    """What was decided, and all that it rests on."""

    taken: Taken
    at_us: int
    rules: RuleSet
    policy: Policy
    verdict: Verdict
    told: Told = NOTHING_NEEDED
    #: What lists said.
    lists: Mapping[str, bool] = field(default_factory=dict)
    report: Report | None = None
    asked: Sequence[Asked] = ()
    degradations: Sequence[Degradation] = ()
    #: Seconds by stage, in their order.
    timings: Mapping[str, float] = field(default_factory=dict)
    #: Since the request arrived.
    seconds: float = 0.0
    #: Whether its id is one for tests.
    test: bool = False


class Standing(NamedTuple):
    """What somebody said of those who are involved."""

    lists: Mapping[str, bool]
    snoozed: frozenset[str]


def cascade(settings: Settings) -> Cascade:
    """Return the stages of a decision, unless the configuration says otherwise."""
    read = Rung(name="store", cap_ms=settings.features_ms)
    evaluated = Rung(name="evaluated", seed_ms=0.1)
    none = Rung(name=ABSENT, seed_ms=0.01)
    return Cascade(
        stages=(
            Stage(name=FEATURES, ladder=(read, Rung(name=DEFAULTS, seed_ms=0.1))),
            Stage(name=RULES, ladder=(evaluated, none)),
            *(
                Stage(
                    name=each.name,
                    ladder=(Rung(name="asked", cap_ms=each.timeout_ms, seed_ms=2), none),
                    beside_previous=number > 0,
                )
                for number, each in enumerate(settings.models)
            ),
        ),
        default_deadline_ms=settings.deadline_ms,
    )


class Engine:
    """Decides on transactions. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        rulebook: Rulebook,
        needs: Needs,
        online: OnlineFeatures,
        *,
        scorers: Sequence[Scorer],
        toolbox: Toolbox,
        standing: Callable[[Taken], Standing],
        read: Callable[[Taken], None],
    ) -> None:
        """`standing` tells of lists and snoozes; `read` hears that features have been read."""
        self.rulebook = rulebook
        self._needs = needs
        self._online = online
        self._scorers = scorers
        self._standing = standing
        self._heard = read
        self._reading: tuple[RuleSet, Reading] | None = None
        self.endpoint: Endpoint = toolbox.endpoint(METHOD, cascade(settings))
        self._clock = self.endpoint.clock
        self._features = self.endpoint.stage(FEATURES, store=online.fetch, defaults=self._defaults)
        guard = toolbox.dependency("fraud_rules", resilience.Dependency(limit=_UNGUARDED))
        evaluated = guard.guards(self._evaluated)
        self._rules = self.endpoint.stage(RULES, evaluated=evaluated, none=_no_report)
        self._models = [(each, self._stage_of(each, toolbox)) for each in scorers]

    def _stage_of(
        self, scorer: Scorer, toolbox: Toolbox
    ) -> Callable[[Answer, Row], Coroutine[Any, Any, Said | None]]:
        timeout_ms = scorer.settings.timeout_ms
        guard = toolbox.dependency(
            f"fraud_{scorer.name}", resilience.Dependency(timeout_ms=timeout_ms)
        )
        asked = guard.guards(scorer.ask, check=models.finite)
        return self.endpoint.stage(scorer.name, asked=asked, none=_no_score)

    async def decide(self, call: Call, deadline: Deadline, taken: Taken) -> Decision:
        """Return a decision, in time to be put on record by the deadline."""
        now = self._clock()
        until = now + (1 - RECORD_SHARE) * deadline.remaining(now)
        part = Call(call.method, arrived=call.arrived, deadline=Deadline(until))
        part.metadata, part.peer, part.span = call.metadata, call.peer, call.span
        with self.endpoint.answering(part) as answer:
            return await self._decided(answer, taken)

    async def _decided(self, answer: Answer, taken: Taken) -> Decision:
        rules, policy = self.rulebook.rules, self.rulebook.policy
        timings: dict[str, float] = {}
        told = await self._timed(timings, FEATURES, self._read(answer, rules, taken))
        standing = self._standing(taken)
        values = {**taken.values, **told.values, **standing.lists}
        said = self._rules(answer, rules, values, standing.snoozed)
        report = await self._timed(timings, RULES, _or_none(answer, RULES, said))
        verdict, asked = before_models(report, features_failed=told.failed), list[Asked]()
        if verdict is None:
            assert report is not None, "or the verdict would be a conservative one"
            asked = await self._timed(timings, "models", self._ask_all(answer, values))
            scores = {name: None if said is None else said.raw for name, said, *_ in asked}
            verdict = after_models(report, scores, taken.payment, policy)
        if report is not None:
            self.rulebook.tally(report)
        return Decision(
            taken=taken,
            at_us=self._online.now_us(),
            rules=rules,
            policy=policy,
            verdict=verdict,
            told=told,
            lists=standing.lists,
            report=report,
            asked=asked,
            degradations=answer.degradations,
            timings=timings,
            seconds=self._clock() - answer.call.arrived,
        )

    async def _read(self, answer: Answer, rules: RuleSet, taken: Taken) -> Told:
        reading = self._reading_for(rules)
        told = NOTHING_NEEDED
        if len(reading):
            lookups = reading.lookups(taken.values)
            found = await _or_none(answer, FEATURES, self._features(answer, lookups))
            told = reading.told(found or self._online.defaults(lookups), self._online.now_us())
            if told.partly and not any(it.stage == FEATURES for it in answer.degradations):
                answer.degrade(Degradation(FEATURES, DEFAULTS, "TIMED_OUT"))
        self._heard(taken)
        return told

    def _reading_for(self, rules: RuleSet) -> Reading:
        if self._reading is None or self._reading[0] is not rules:
            inputs = [name for each in self._scorers for name in each.settings.inputs]
            self._reading = rules, self._needs.reading([*rules.variables, *inputs])
        return self._reading[1]

    async def _ask_all(self, answer: Answer, values: Values) -> list[Asked]:
        rows: dict[object, Row] = {}
        for scorer, _ in self._models:
            if scorer.told not in rows:
                rows[scorer.told] = scorer.row(values)
        async with Parallel() as at_once:
            tasks = [
                at_once.begin(self._ask(answer, scorer, stage, rows[scorer.told]))
                for scorer, stage in self._models
            ]
            return [await each for each in tasks]

    async def _ask(
        self,
        answer: Answer,
        scorer: Scorer,
        stage: Callable[[Answer, Row], Coroutine[Any, Any, Said | None]],
        row: Row,
    ) -> Asked:
        began = self._clock()
        said = await _or_none(answer, scorer.name, stage(answer, row))
        reasons = [it.reason for it in answer.degradations if it.stage == scorer.name]
        reason = reasons[0] if said is None and reasons else ""
        return Asked(scorer.name, said, reason, self._clock() - began)

    async def _timed(
        self, timings: dict[str, float], stage: str, doing: Coroutine[Any, Any, Value]
    ) -> Value:
        began = self._clock()
        try:
            return await doing
        finally:
            timings[stage] = self._clock() - began

    async def _defaults(
        self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]
    ) -> list[Found]:
        return self._online.defaults(lookups)

    async def _evaluated(
        self,
        call: Call,
        deadline: Deadline,
        rules: RuleSet,
        values: Values,
        snoozed: frozenset[str],
    ) -> Report | None:
        return rules.evaluate(values, snoozed=snoozed)


async def _or_none(
    answer: Answer, stage: str, doing: Coroutine[Any, Any, Value | None]
) -> Value | None:
    """Return what a stage returns; None if there was no time even for what takes its place."""
    try:
        return await doing
    except Exception as error:  # there is a decision nevertheless
        reason = error.reason if isinstance(error, InferdError) else Internal.reason
        answer.degrade(Degradation(stage, ABSENT, reason))
        return None


async def _no_report(
    call: Call, deadline: Deadline, rules: RuleSet, values: Values, snoozed: frozenset[str]
) -> Report | None:
    return None


async def _no_score(call: Call, deadline: Deadline, row: Row) -> Said | None:
    return None
