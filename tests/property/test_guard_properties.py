"""Whatever a dependency and its callers do, a guard keeps its books and leaves nothing behind.

Calls come at any time, leave at any time, and have any deadline; the function that they call
answers, fails, hangs, takes its time to clean up, and takes no notice of cancellations. All of it
in virtual time.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.call import CRITICALITY, Call
from inferd.config import resilience as config
from inferd.deadline import NEVER, Deadline
from inferd.errors import DependencyFailed, InferdError, NotFound
from inferd.resilience.breaker import Breaker
from inferd.resilience.dependency import Dependency
from inferd.resilience.outcome import Outcome
from support.guards import a_dependency
from support.virtual_time import VirtualTimeLoop

#: Of what a deadline may be exceeded by in virtual time: what sums of floats cost.
EXACT = 1e-9
LONGEST_MS = 60

milliseconds = st.integers(0, 10 * LONGEST_MS).map(lambda tenths: tenths / 10)
Manner = Literal["plain", "stubborn", "translating", "untidy"]


@dataclass
class Act:
    """What one attempt does: for how long, how it ends, and how it takes a cancellation."""

    ms: float
    ends: Literal["answer", "fail", "not found", "time out", "crash"]
    manner: Manner

    async def __call__(self) -> int:
        try:
            await asyncio.sleep(self.ms / 1000)
        except asyncio.CancelledError:
            if self.manner == "stubborn":
                return 1
            if self.manner == "translating":
                raise DependencyFailed("the connection was lost") from None
            if self.manner == "untidy":
                await asyncio.sleep(0.003)
            raise
        match self.ends:
            case "fail":
                raise DependencyFailed("it is broken")
            case "not found":
                raise NotFound("there is no such thing")
            case "time out":
                raise TimeoutError
            case "crash":
                raise ZeroDivisionError
        return 1


@dataclass
class Caller:
    """One call: when it comes, how long it has, and when it leaves, if it does."""

    at_ms: float
    within_ms: float | None
    leaves_ms: float | None
    criticality: str
    acts: list[Act]
    begun: int = 0
    ended: str = ""

    async def serve(self, call: Call, deadline: Deadline) -> int:
        act = self.acts[min(self.begun, len(self.acts) - 1)]
        self.begun += 1
        return await act()


acts = st.builds(
    Act,
    ms=milliseconds,
    ends=st.sampled_from(["answer", "answer", "answer", "fail", "not found", "time out", "crash"]),
    manner=st.sampled_from(["plain", "plain", "plain", "stubborn", "translating", "untidy"]),
)
callers = st.builds(
    Caller,
    at_ms=milliseconds,
    within_ms=st.one_of(st.none(), milliseconds),
    leaves_ms=st.one_of(st.none(), st.none(), milliseconds),
    criticality=st.sampled_from(["", "CRITICAL_PLUS", "SHEDDABLE"]),
    acts=st.lists(acts, min_size=1, max_size=3),
)
guards = st.fixed_dictionaries(
    {
        "timeout_ms": st.sampled_from([2.0, 20.0, 1000.0]),
        "breaker": st.builds(
            config.Breaker,
            mode=st.sampled_from(["on", "on", "off", "metrics_only"]),
            minimum_calls=st.sampled_from([1, 3, 20]),
            open_s=st.sampled_from([0.005, 0.02]),
            probes=st.sampled_from([1, 2]),
            probe_timeout_s=st.just(0.01),
            slow_ms=st.sampled_from([0.0, 5.0]),
        ),
        "limit": st.builds(
            config.Limit,
            mode=st.sampled_from(["adaptive", "fixed", "off"]),
            initial=st.sampled_from([2, 10]),
        ),
        "retry": st.builds(config.Retry, attempts=st.integers(1, 3)),
        "extra_burst": st.sampled_from([1, 3, 100]),
    }
)


class Books(Breaker):
    """A breaker whose every permit is followed."""

    __slots__ = ("open", "settled")

    def __init__(self, settings: config.Breaker) -> None:
        super().__init__(settings, random=lambda: 0.5)
        self.open: Counter[int] = Counter()
        self.settled: Counter[Outcome] = Counter()

    def admit(self, now: float) -> int:
        permit = super().admit(now)
        if permit:
            self.open[permit] += 1
        return permit

    def settle(self, permit: int, outcome: Outcome, seconds: float, now: float) -> None:
        assert seconds >= 0
        assert self.open[permit] > 0, "settled twice, or never admitted"
        self.open[permit] -= 1
        self.settled[outcome] += 1
        super().settle(permit, outcome, seconds, now)


@dataclass
class World:
    """All callers of one dependency."""

    settings: dict[str, Any]
    repeatable: bool
    hedge_ms: float | None
    callers: list[Caller]
    complaints: list[dict[str, Any]] = field(default_factory=list)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, complaint: self.complaints.append(complaint))
        dependency = a_dependency(**self.settings)
        dependency.breaker = books = Books(dependency.settings.breaker)
        if self.hedge_ms is not None:
            dependency.hedge_after_s = self.hedge_ms / 1000
        await asyncio.gather(*(self._call(dependency, each) for each in self.callers))
        await asyncio.sleep(0.1)  # hedges that lost clean up

        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task is left"
        assert dependency.limit.in_flight == 0
        assert not len(dependency.alarms)
        assert not +books.open, "permits that were never settled"
        assert not self.complaints
        self._check_counts(dependency, books)

    def _check_counts(self, dependency: Dependency, books: Books) -> None:
        refused = sum(dependency.unanswered[each] for each in ("no_budget", "breaker_open"))
        attempts = dependency.answered + dependency.unanswered.total()
        calls = sum(bool(each.ended) for each in self.callers)
        assert books.settled.total() == attempts - refused
        assert books.settled[Outcome.SUCCESS] == dependency.answered
        assert calls <= attempts <= calls + dependency.retries
        if not any(each.leaves_ms is not None for each in self.callers):
            assert attempts == calls + dependency.retries
        assert dependency.hedges_won <= dependency.hedges
        begun = sum(each.begun for each in self.callers)
        asked = attempts - refused - dependency.unanswered["limited"]
        assert asked <= begun <= asked + dependency.hedges
        extra = dependency.hedges + dependency.retries
        settings = dependency.settings
        assert extra <= settings.extra_burst + settings.extra_share * calls + EXACT

    async def _call(self, dependency: Dependency, caller: Caller) -> None:
        await asyncio.sleep(caller.at_ms / 1000)
        task = asyncio.ensure_future(self._ask(dependency, caller))
        await asyncio.sleep(0)
        if caller.leaves_ms is not None:
            await asyncio.sleep(caller.leaves_ms / 1000)
            task.cancel()
        await task  # which raises what it finds wrong

    async def _ask(self, dependency: Dependency, caller: Caller) -> None:
        task, clock = asyncio.current_task(), dependency.clock
        assert task is not None
        began = clock()
        deadline = NEVER if caller.within_ms is None else Deadline(began + caller.within_ms / 1000)
        metadata = {CRITICALITY: caller.criticality} if caller.criticality else {}
        call = Call("/a.B/C", arrived=began, deadline=deadline, metadata=metadata)
        try:
            answer = await dependency.guards(caller.serve, repeatable=self.repeatable)(
                call, deadline
            )
            assert answer == 1
            caller.ended = "answered"
        except (InferdError, TimeoutError, ZeroDivisionError) as error:
            caller.ended = type(error).__name__
        except asyncio.CancelledError:
            caller.ended = "cancelled"
            assert task.cancelling() == 1, "cancelled, but by nobody"
        assert task.cancelling() <= (caller.leaves_ms is not None), "a cancellation is left"
        if task.cancelling() and all(each.manner in ("plain", "untidy") for each in caller.acts):
            assert caller.ended == "cancelled", "a caller who left was answered"
        tidying_s = 0.003 if any(each.manner == "untidy" for each in caller.acts) else 0.0
        assert clock() <= deadline.at + tidying_s + EXACT, "it is late"


@given(
    guard=guards,
    repeatable=st.booleans(),
    hedge_ms=st.one_of(st.none(), milliseconds),
    calls=st.lists(callers, min_size=1, max_size=12),
)
@settings(deadline=None, max_examples=300)
def test_a_guard_keeps_its_books_and_leaves_nothing_behind(
    guard: dict[str, Any], repeatable: bool, hedge_ms: float | None, calls: list[Caller]
) -> None:
    world = World(guard, repeatable, hedge_ms, calls)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(world.run())

    assert all(each.ended for each in calls)
