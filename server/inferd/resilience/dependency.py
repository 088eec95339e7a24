"""One thing that can be slow or broken, and everything that stands between it and its callers.

A guarded function is called like the bare one; in between, in this order, are the budget (what is
left of the deadline, and no more than the dependency's own timeout), the breaker, the limit, and
for what may be done twice the hedge and the retry. What is decided is decided by the pure classes
of this package. All of it has to cost next to nothing while all is well, so there is one function
and not a tower of them, and its timer is shared (`alarms`).
"""

import asyncio
import math
import random as random_numbers
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast

from inferd.call import CRITICALITY, Call, Criticality
from inferd.config import resilience as config
from inferd.deadline import Clock, Deadline
from inferd.errors import CircuitOpen, InferdError, NoBudget, Saturated, TimedOut
from inferd.resilience.alarms import EARLY_S, Alarms
from inferd.resilience.attempt import Attempt, Hedged
from inferd.resilience.breaker import Breaker
from inferd.resilience.concurrency import ConcurrencyLimit
from inferd.resilience.faults.points import FaultPoint
from inferd.resilience.outcome import Outcome, outcome_of
from inferd.resilience.quantile import LiveQuantile
from inferd.resilience.spare import Spare

P = ParamSpec("P")
Value = TypeVar("Value")

ENOUGH = 0.9
"""A call says something about the dependency if it had the time that this share of them take."""
LEAST_S = 0.0005
"""A call with less time than this left is not begun."""

SHARES: Mapping[str, float] = {Criticality.SHEDDABLE_PLUS: 0.8, Criticality.SHEDDABLE: 0.6}
"""The part of the limit that such calls may fill; the rest is for those who matter more."""

# Looked up once: an enum's members take long to find.
_SUCCESS, _FAILURE, _IGNORED = Outcome.SUCCESS, Outcome.FAILURE, Outcome.IGNORED


class Observes(Protocol):
    """A histogram."""

    def observe(self, value: float) -> None:
        """Count a value, in seconds."""


class Traced(Protocol):
    """The span of a call."""

    def child(self, name: str, begin_s: float, end_s: float, outcome: str) -> None:
        """Record a span below it, in monotonic seconds."""


class Dependency:
    """Guards the calls to one dependency, and knows how they fared. Lives on the event loop."""

    def __init__(
        self,
        name: str,
        settings: config.Dependency,
        *,
        alarms: Alarms,
        fault: FaultPoint,
        durations: Observes,
        clock: Clock,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        self.name = name
        self.settings = settings
        self.breaker = Breaker(settings.breaker, random=random)
        self.limit = ConcurrencyLimit(settings.limit)
        self.spare = Spare(settings.extra_share, settings.extra_burst)
        #: What answered attempts took.
        self.taken = LiveQuantile(seed_s=LEAST_S)
        self.durations = durations
        #: Attempts that were answered, and the others by the reason, in lower case.
        self.answered = 0
        self.unanswered: Counter[str] = Counter()
        self.retries = self.hedges = self.hedges_won = 0
        self.alarms = alarms
        self.fault = fault
        self.clock = clock
        self.timeout_s = settings.timeout_ms / 1000
        #: After how long to ask for a second time.
        self.hedge_after_s = math.inf
        #: A call says something about the dependency if it had this much time.
        self.enough_s = 0.0
        self._random = random

    def __repr__(self) -> str:
        return f"Dependency({self.name}, {self.breaker.state}, {self.limit.in_flight} under way)"

    def guards(
        self,
        function: Callable[Concatenate[Call, Deadline, P], Coroutine[Any, Any, Value]],
        *,
        repeatable: bool = False,
        check: Callable[[Value], None] | None = None,
    ) -> "Guarded[P, Value]":
        """Return `function` as it is called from now on: through this dependency's guard.

        Only what is `repeatable`, because doing it twice does no harm, is retried and hedged. An
        answer for which `check` raises is a failure. The result raises `NoBudget`, `CircuitOpen`,
        `Saturated` or `TimedOut` besides what `function` and `check` raise.
        """
        return (Repeatable if repeatable else Guarded)(self, function, check)

    def refuse(self, error: InferdError, call: Call, now: float) -> InferdError:
        """Count a call that is not made, and return why. Its span takes no time."""
        reason = _reason_of(error)
        self.unanswered[reason] += 1
        if call.span is not None:
            cast(Traced, call.span).child(self.name, now, now, reason)
        return error

    def learn(self, seconds: float) -> None:
        """Learn from an attempt that was answered."""
        self.answered += 1
        self.durations.observe(seconds)
        if self.taken.observe(seconds):
            self._quantiles_changed()

    def verdict(self, error: BaseException, had_s: float) -> Outcome:
        """Return what a failed attempt that had `had_s` seconds says about the dependency."""
        if isinstance(error, TimedOut | TimeoutError) and had_s - EARLY_S < self.enough_s:
            return _IGNORED  # it could not have been done in that time anyway
        return outcome_of(error)

    def retry_wait_s(self, error: Exception, failures: int, left_s: float) -> float | None:
        """Return the seconds to wait before an attempt is repeated; None: it is not."""
        retry = self.settings.retry
        if failures >= retry.attempts or isinstance(error, TimedOut):
            return None
        told_s = error.retry_after_s if isinstance(error, InferdError) else None
        if outcome_of(error) is not _FAILURE or (told_s or 0.0) < 0:
            return None
        wait_s = retry.backoff_ms / 1000 * 2.0 ** (failures - 1) * (0.5 + self._random())
        wait_s = max(wait_s, told_s or 0.0)
        if wait_s + self.enough_s > left_s or not self.spare.spend():
            return None
        self.retries += 1
        return wait_s

    def may_hedge(self) -> bool:
        """Return whether a second attempt may be made now, and count it if so."""
        if not self.spare.spend():
            return False
        self.hedges += 1
        return True

    def _quantiles_changed(self) -> None:
        hedge = self.settings.hedge
        self.enough_s = self.taken.at(ENOUGH)
        if hedge.enabled:
            self.hedge_after_s = max(self.taken.at(hedge.quantile), hedge.min_ms / 1000)


class Guarded(Generic[P, Value]):
    """A function behind a dependency's guard: called like the bare one."""

    _repeatable = False

    def __init__(
        self,
        dependency: Dependency,
        function: Callable[Concatenate[Call, Deadline, P], Coroutine[Any, Any, Value]],
        check: Callable[[Value], None] | None = None,
    ) -> None:
        self.dependency = dependency
        self._bare = function
        self._check = check
        self._function = function if check is None else self._checked

    async def __call__(
        self, call: Call, deadline: Deadline, /, *args: P.args, **kwargs: P.kwargs
    ) -> Value:
        """Call the function, within the deadline and what the dependency is good for."""
        it = self.dependency
        began = it.clock()
        timely = deadline.at - began <= it.timeout_s
        within = deadline if timely else Deadline(began + it.timeout_s)
        until = within.at
        if until - began < LEAST_S:
            raise it.refuse(NoBudget(f"no time is left to ask {it.name}"), call, began)
        breaker, limit = it.breaker, it.limit
        permit = breaker.admit(began)
        if not permit:
            text = f"{it.name} has failed too often of late, and is left alone for a while"
            again_s = breaker.retry_after(began)
            raise it.refuse(CircuitOpen(text, retry_after_s=again_s), call, began)
        share = SHARES.get(call.criticality, 1.0) if CRITICALITY in call.metadata else 1.0
        if not limit.acquire(share):
            breaker.settle(permit, _IGNORED, 0.0, began)
            text = f"as many calls to {it.name} are under way as it can take"
            raise it.refuse(Saturated(text), call, began)
        attempt: Attempt[Value]
        if self._repeatable:
            attempt = self._hedged(call, within, began, args, kwargs)
        else:
            attempt = Attempt(it.alarms, until, it.name)
        run = self._function if it.fault.fault is None else self._through_fault
        outcome, ended = _IGNORED, "cancelled"
        try:
            try:
                value = await run(call, within, *args, **kwargs)
            except BaseException as error:
                if not await attempt.was_answered(error):
                    raise
                value = attempt.answer
                it.hedges_won += 1  # it was another's
        except BaseException as error:
            outcome, ended = it.verdict(error, until - began), _reason_of(error)
            it.unanswered[ended] += 1
            raise
        else:
            outcome, ended = _SUCCESS, "ok"
            it.learn(it.clock() - began)
            return value
        finally:
            attempt.end()
            now = it.clock()
            breaker.settle(permit, outcome, now - began, now)
            limit.release(outcome, now - began, now)
            if call.span is not None:
                cast(Traced, call.span).child(it.name, began, now, ended)

    async def _checked(
        self, call: Call, deadline: Deadline, /, *args: P.args, **kwargs: P.kwargs
    ) -> Value:
        return self._valid(await self._bare(call, deadline, *args, **kwargs))

    async def _through_fault(
        self, call: Call, deadline: Deadline, /, *args: P.args, **kwargs: P.kwargs
    ) -> Value:
        point = self.dependency.fault
        await point.before(call)
        return self._valid(point.after(await self._bare(call, deadline, *args, **kwargs), call))

    def _valid(self, value: Value) -> Value:
        if self._check is not None:
            self._check(value)
        return value

    def _hedged(
        self, call: Call, within: Deadline, began: float, args: Any, kwargs: Any
    ) -> Attempt[Value]:
        it = self.dependency
        # One that rang early would spend a hedge on a call that is not slow.
        hedge_at = began + it.hedge_after_s + EARLY_S
        if hedge_at >= within.at:
            return Attempt(it.alarms, within.at, it.name)
        second = partial(self._second, call, within, *args, **kwargs)
        return Hedged(it.alarms, hedge_at, it.name, until=within.at, begin=second)

    def _second(
        self, call: Call, deadline: Deadline, /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, Value] | None:
        it = self.dependency
        if not it.may_hedge():
            return None
        run = self._function if it.fault.fault is None else self._through_fault
        return run(call, deadline, *args, **kwargs)


class Repeatable(Guarded[P, Value]):
    """A guarded function that may be called twice: it is hedged, and retried."""

    _repeatable = True

    async def __call__(
        self, call: Call, deadline: Deadline, /, *args: P.args, **kwargs: P.kwargs
    ) -> Value:
        """Call the function, a second time if that helps."""
        it, failures = self.dependency, 0
        it.spare.earn()
        while True:
            try:
                return await super().__call__(call, deadline, *args, **kwargs)
            except Exception as error:
                failures += 1
                wait_s = it.retry_wait_s(error, failures, deadline.at - it.clock())
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)


def _reason_of(error: BaseException) -> str:
    if isinstance(error, InferdError):
        return error.reason.lower()
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "failed"
