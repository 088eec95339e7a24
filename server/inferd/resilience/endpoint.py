"""An endpoint's stages: each takes the best way that there is time, health and room for.

A stage is a ladder of rungs, from best to cheapest. A rung is left out when the endpoint's load is
above what it is for, or when too little time is left for it (`budget`); it is left for the next
one when it fails, whoever's fault that is. What an answer was made of is said with it: every rung
that is not the first is a degradation, with the reason why the first one did not serve.

    answer = endpoint.answering(call)
    with answer:
        profile = await self._profile(answer, user_id)
        scores = await self._scores(answer, profile, items)
"""

import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar, cast

from inferd.call import CRITICALITY, Call
from inferd.config.resilience import Cascade
from inferd.deadline import Clock, Deadline
from inferd.errors import InferdError, Internal, InvalidRequest, NoBudget
from inferd.resilience.budget import Budgets, StageBudget
from inferd.resilience.degradation import (
    ABSENT,
    OVERLOADED,
    STALE,
    TRAILER,
    Degradation,
    trailer,
)
from inferd.resilience.load import FEELS, Capacity, Demand
from inferd.resilience.stale import Stale

log = logging.getLogger(__name__)

P = ParamSpec("P")
Value = TypeVar("Value")

Way = Callable[Concatenate[Call, Deadline, P], Coroutine[Any, Any, Value | Stale[Value]]]
"""What a rung does, guarded or not: `async (call, deadline, ...) -> value`."""


class BadCascade(ValueError):
    """A cascade has not the stages or rungs that its service has."""


class Endpoint:
    """The stages of one method, and how they fared. Lives on the event loop."""

    def __init__(
        self,
        method: str,
        cascade: Cascade,
        *,
        clock: Clock,
        busy: Callable[[], float] = lambda: 0.0,
        capacity: Capacity | None = None,
    ) -> None:
        """Know the load by `capacity` and by how `busy` the event loop is, from 0 to 1."""
        self.method = method
        self.cascade = cascade
        self.budgets = Budgets(cascade)
        #: Stages of the cascade that nobody has asked for, in order.
        self.unclaimed = [*self.budgets.stages]
        #: Answers that were degraded, by stage, source and reason.
        self.degraded: Counter[tuple[str, str, str]] = Counter()
        self.clock = clock
        self._busy = busy
        self._capacity = capacity
        self._demand = Demand()
        self._default_s = cascade.default_deadline_ms / 1000

    def stage(self, name: str, **ways: Way[P, Value]) -> "Stage[P, Value]":
        """Return a stage of the cascade, with a way for each of its rungs, by name.

        Stages are asked for in the order in which they are taken. Raises `BadCascade` where names
        or order are not those of the configuration.
        """
        return Stage(self, *self._declared(name, ways, optional=False))

    def optional_stage(self, name: str, **ways: Way[P, Value]) -> "OptionalStage[P, Value]":
        """Return a stage that an answer can do without; else as `stage`."""
        return OptionalStage(self, *self._declared(name, ways, optional=True))

    def _declared(
        self, name: str, ways: Mapping[str, Way[P, Value]], *, optional: bool
    ) -> tuple[StageBudget, list[tuple[float, Way[P, Value]]]]:
        if name not in self.budgets.stages:
            known = ", ".join(self.budgets.stages)
            raise BadCascade(f"{self.method} has no stage {name}; there are {known}")
        declared = next(stage for stage in self.cascade.stages if stage.name == name)
        if declared.optional is not optional:
            must = "must" if optional else "cannot"
            raise BadCascade(f"stage {name} of {self.method} {must} be optional")
        if unknown := {rung.name for rung in declared.ladder} - set(ways):
            known = ", ".join(ways)
            raise BadCascade(
                f"stage {name} of {self.method} has no rung {min(unknown)}; there are {known}"
            )
        if name in self.unclaimed:
            if name != (first := self.unclaimed[0]):
                raise BadCascade(f"stage {name} of {self.method} must come before stage {first}")
            self.unclaimed.remove(name)
        rungs = [(rung.up_to_load, ways[rung.name]) for rung in declared.ladder]
        return self.budgets.stages[name], rungs

    def answering(self, call: Call) -> "Answer":
        """Begin to answer a call. The result is a context manager."""
        now = self.clock()
        load = self._arrived(now)
        if load and CRITICALITY in call.metadata:
            load *= FEELS[call.criticality]
        deadline = call.deadline
        if deadline.unlimited:
            deadline = deadline.tightened(self._default_s, now=now)
        return Answer(self, call, deadline, load)

    def load(self) -> float:
        """Return what is asked as a share of what can be served in full."""
        return self._share(self._demand.rate(self.clock()))

    def _arrived(self, now: float) -> float:
        return self._share(self._demand.arrived(now))

    def _share(self, rate: float) -> float:
        capacity = self._capacity() if self._capacity else 0.0
        return max(rate / capacity if capacity > 0 else 0.0, self._busy())


class Answer:
    """One call on its way through the stages: its deadline, and what it has to do without."""

    __slots__ = ("_endpoint", "call", "deadline", "degradations", "load")

    def __init__(self, endpoint: Endpoint, call: Call, deadline: Deadline, load: float) -> None:
        self._endpoint = endpoint
        self.call = call
        self.deadline = deadline
        self.load = load
        self.degradations: list[Degradation] = []

    def __enter__(self) -> "Answer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.degradations and error is None:
            self.call.trailing.append((TRAILER, trailer(self.degradations)))
            for each in self.degradations:
                self._endpoint.degraded[each.stage, each.source, each.reason] += 1

    def degrade(self, degradation: Degradation) -> None:
        """Say what the answer does without."""
        self.degradations.append(degradation)


class _Ladder(Generic[P, Value]):
    """The rungs of a stage, and the budget of each."""

    def __init__(
        self, endpoint: Endpoint, budget: StageBudget, rungs: list[tuple[float, Way[P, Value]]]
    ) -> None:
        self._endpoint = endpoint
        self._budget = budget
        self._rungs = rungs
        #: Errors that are no one's but ours, and have been written down.
        self._written: set[tuple[str, type[BaseException]]] = set()

    async def _climb_down(
        self, answer: Answer, *args: P.args, **kwargs: P.kwargs
    ) -> "Value | _Unserved":
        """Return what the first rung that serves returns, or why none does.

        Raises `InvalidRequest` from any of them: no other way makes a better request of it.
        """
        budget, budgets, clock = self._budget, self._endpoint.budgets, self._endpoint.clock
        deadline, load = answer.deadline.at, answer.load
        reason = ""
        failure: Exception | None = None
        began = now = clock()
        spare = len(self._rungs) - (not budget.optional)
        try:
            for at, (up_to_load, way) in enumerate(self._rungs):
                if load > up_to_load and at < spare:
                    reason = reason or OVERLOADED
                    continue
                until = budgets.allot(budget, at, now, deadline)
                if not until:
                    reason = reason or NoBudget.reason
                    continue
                try:
                    value = await way(answer.call, Deadline(until), *args, **kwargs)
                except InvalidRequest:
                    raise
                except Exception as error:
                    failure, now = error, clock()
                    reason = reason or self._reason_of(budget.rungs[at].name, error)
                    continue
                before, now = now, clock()
                budgets.took(budget, at, now - before, now - began)
                if at or type(value) is Stale:
                    return self._degraded(answer, at, value, reason)
                return cast(Value, value)
            return _Unserved(reason, failure)
        finally:
            failure = None  # whose traceback leads here: it would keep all of this alive

    def _degraded(
        self, answer: Answer, at: int, served: Value | Stale[Value], reason: str
    ) -> Value:
        stale = cast(Stale[Value], served) if type(served) is Stale else None
        rung, age_s = self._budget.rungs[at].name, stale.age_s if stale else None
        answer.degrade(Degradation(self._budget.name, rung, reason or STALE, age_s))
        return stale.value if stale else cast(Value, served)

    def _reason_of(self, rung: str, error: Exception) -> str:
        if isinstance(error, InferdError):
            return error.reason
        if (rung, type(error)) not in self._written:
            # Once: while something is broken, this happens as often as there are calls.
            self._written.add((rung, type(error)))
            where = f"{self._endpoint.method}, stage {self._budget.name}, {rung}"
            log.error("unforeseen error in %s", where, exc_info=error)
        return Internal.reason


class Stage(_Ladder[P, Value]):
    """A stage that every answer needs: `await stage(answer, ...)`."""

    async def __call__(self, answer: Answer, *args: P.args, **kwargs: P.kwargs) -> Value:
        """Return what the first rung that serves returns.

        Raises `InvalidRequest` from any rung, and what the last one raised, or `NoBudget`.
        """
        value = await self._climb_down(answer, *args, **kwargs)
        if type(value) is _Unserved:
            error = value.failure or NoBudget(f"no time is left for {self._budget.name}")
            try:
                raise error
            finally:
                del error, value  # the error's traceback leads here
        return cast(Value, value)


class OptionalStage(_Ladder[P, Value]):
    """A stage that an answer can do without."""

    async def __call__(self, answer: Answer, *args: P.args, **kwargs: P.kwargs) -> Value | None:
        """Return what the first rung that serves returns; None if none does, which is said."""
        value = await self._climb_down(answer, *args, **kwargs)
        if type(value) is _Unserved:
            answer.degrade(Degradation(self._budget.name, ABSENT, value.reason))
            return None
        return cast(Value, value)


class _Unserved(NamedTuple):
    """No rung served: why the first did not, and what the last that was tried raised."""

    reason: str
    failure: Exception | None
