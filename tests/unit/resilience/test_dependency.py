"""What stands between a caller and a dependency, layer by layer."""

import asyncio
import contextlib
from typing import Any

import pytest

from inferd.call import CRITICALITY, Call
from inferd.config import resilience as config
from inferd.config.faults import Corrupt, Drop, Error
from inferd.deadline import NEVER, Deadline
from inferd.errors import (
    CircuitOpen,
    DependencyFailed,
    FaultInjected,
    InferdError,
    InvalidRequest,
    NoBudget,
    NotFound,
    Saturated,
    Shed,
    TimedOut,
)
from inferd.resilience.alarms import EARLY_S
from inferd.resilience.breaker import State
from inferd.resilience.dependency import Dependency
from support.garbage import garbage_left_by
from support.guards import Act, Scripted, a_call, a_dependency, a_toolbox, cancelling, now, used_to

BROKEN = DependencyFailed("it is broken")
TOUCHY = config.Breaker(minimum_calls=2, open_s=1.0, open_jitter=0.0, probes=1)
FIXED = config.Limit(mode="fixed", initial=10)


async def ask(
    dependency: Dependency, *acts: Act, within_s: float = 10.0, criticality: str = ""
) -> int | InferdError:
    """Return the answer, or the error that there was instead."""
    call = a_call(within_s, {CRITICALITY: criticality} if criticality else {})
    try:
        return await dependency.guards(Scripted(*acts))(call, call.deadline)
    except InferdError as error:
        return error


class TestTime:
    async def test_the_callers_deadline_is_passed_on(self) -> None:
        dependency, script, call = a_dependency(), Scripted(0.0), a_call(0.5)

        await dependency.guards(script)(call, call.deadline)

        assert script.until == [call.deadline.at]

    async def test_a_dependency_never_takes_longer_than_its_own_timeout(self) -> None:
        dependency, script = a_dependency(timeout_ms=200), Scripted(5.0)

        with pytest.raises(TimedOut):
            await dependency.guards(script)(a_call(), NEVER)

        assert script.until == [0.2]
        assert now() == pytest.approx(0.2, abs=EARLY_S)
        assert script.cancelled == [1]
        assert cancelling() == 0

    @pytest.mark.parametrize("left_s", [-1.0, 0.0, 0.0004])
    async def test_without_time_it_is_not_asked(self, left_s: float) -> None:
        dependency, script = a_dependency(), Scripted(0.0)

        with pytest.raises(NoBudget, match="no time is left to ask it"):
            await dependency.guards(script)(a_call(), Deadline(left_s))

        assert script.attempts == 0
        assert dependency.unanswered == {"no_budget": 1}
        assert dependency.breaker.counts(now()).calls == 0

    def test_a_timeout_must_be_finite(self) -> None:
        with pytest.raises(ValueError, match="timeout_ms"):
            config.Dependency(timeout_ms=float("inf"))


class TestBreaker:
    async def test_a_dependency_that_fails_is_left_alone_and_tried_again(self) -> None:
        dependency = a_dependency(breaker=TOUCHY)
        script = Scripted(BROKEN, BROKEN, 0.0)
        guarded = dependency.guards(script)
        for _ in range(2):
            with pytest.raises(DependencyFailed):
                await guarded(a_call(), NEVER)

        with pytest.raises(CircuitOpen) as caught:
            await guarded(a_call(), NEVER)

        assert caught.value.retry_after_s == pytest.approx(1.0)
        assert script.attempts == 2
        await asyncio.sleep(1.0)
        assert await guarded(a_call(), NEVER) == 3
        assert dependency.breaker.state is State.CLOSED
        assert dependency.unanswered == {"dependency_failed": 2, "breaker_open": 1}

    @pytest.mark.parametrize("error", [InvalidRequest("no"), NotFound("no"), Shed("no")])
    async def test_errors_that_are_not_its_fault_do_not_count(self, error: InferdError) -> None:
        dependency = a_dependency(breaker=TOUCHY)

        for _ in range(10):
            assert await ask(dependency, error) is error

        assert dependency.breaker.state is State.CLOSED
        assert dependency.breaker.counts(now()).calls == 0

    async def test_callers_who_leave_do_not_count(self) -> None:
        dependency = a_dependency(breaker=TOUCHY)

        for _ in range(10):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await ask(dependency, 5.0)

        assert dependency.breaker.counts(now()).calls == 0
        assert dependency.unanswered == {"cancelled": 10}

    async def test_callers_with_too_little_time_do_not_count_and_those_with_enough_do(
        self,
    ) -> None:
        dependency = a_dependency(breaker=TOUCHY)
        used_to(dependency, 0.1)

        for _ in range(10):
            assert isinstance(await ask(dependency, 5.0, within_s=0.05), TimedOut)
        assert dependency.breaker.counts(now()).calls == 0
        for _ in range(2):
            assert isinstance(await ask(dependency, 5.0, within_s=0.2), TimedOut)

        assert dependency.breaker.state is State.OPEN

    async def test_an_alarm_that_rings_early_takes_nothing_from_the_time_that_is_enough(
        self,
    ) -> None:
        dependency = a_dependency(breaker=TOUCHY)
        used_to(dependency, 0.1)

        for _ in range(10):
            just_enough_s = dependency.enough_s + EARLY_S / 2
            assert isinstance(await ask(dependency, 5.0, within_s=just_enough_s), TimedOut)

        assert dependency.breaker.counts(now()).calls == 0

    async def test_a_timeout_of_its_own_counts_as_a_failure(self) -> None:
        dependency = a_dependency(breaker=TOUCHY)
        call = a_call()

        for _ in range(2):
            with pytest.raises(TimeoutError):
                await dependency.guards(Scripted(TimeoutError()))(call, call.deadline)

        assert dependency.breaker.state is State.OPEN
        assert dependency.unanswered == {"failed": 2}

    async def test_a_call_that_is_refused_by_the_limit_gives_its_probe_back(self) -> None:
        dependency = a_dependency(breaker=TOUCHY, limit=FIXED)
        for _ in range(2):
            await ask(dependency, BROKEN)
        await asyncio.sleep(1.0)
        dependency.limit.fix(0.5)
        others = asyncio.ensure_future(asyncio.sleep(0))
        dependency.limit.acquire()

        assert isinstance(await ask(dependency, 0.0), Saturated)

        dependency.limit.fix(None)
        assert await ask(dependency, 0.0) == 1
        await others


class TestLimit:
    async def test_beyond_the_limit_nobody_is_let_in(self) -> None:
        dependency = a_dependency(limit=FIXED)

        answers = await asyncio.gather(*(ask(dependency, 0.1) for _ in range(12)))

        assert [type(each) for each in answers] == [int] * 10 + [Saturated] * 2
        assert dependency.limit.in_flight == 0
        assert dependency.unanswered == {"limited": 2}

    @pytest.mark.parametrize(
        ("criticality", "admitted"),
        [
            ("CRITICAL_PLUS", 10), ("CRITICAL", 10), ("SHEDDABLE_PLUS", 8), ("SHEDDABLE", 6),
            ("sheddable", 6), ("nonsense", 10),
        ],
    )  # fmt: skip
    async def test_calls_that_can_be_spared_may_fill_a_part_of_it(
        self, criticality: str, admitted: int
    ) -> None:
        dependency = a_dependency(limit=FIXED)

        answers = await asyncio.gather(
            *(ask(dependency, 0.1, criticality=criticality) for _ in range(12))
        )

        assert sum(isinstance(each, int) for each in answers) == admitted


class TestFaults:
    async def test_what_is_broken_on_purpose_fails_and_counts(self) -> None:
        dependency = a_dependency(breaker=TOUCHY)
        broken(dependency, Error())

        assert isinstance(await ask(dependency, 0.0), FaultInjected)

        assert dependency.breaker.counts(now()).failures == 1

    async def test_what_is_dropped_takes_too_long(self) -> None:
        dependency = a_dependency()
        broken(dependency, Drop())

        assert isinstance(await ask(dependency, 0.0, within_s=0.1), TimedOut)

    async def test_what_is_corrupted_is_not_what_was_answered(self) -> None:
        dependency = a_dependency()
        broken(dependency, Corrupt())

        assert await ask(dependency, 0.0) != 1


def broken(dependency: Dependency, fault: Any) -> None:
    from inferd.resilience.faults.injection import Injection

    dependency.fault.arm([Injection(1, dependency.name, fault, now())])


class TestStatistics:
    async def test_every_attempt_is_counted_once(self) -> None:
        dependency = a_dependency(breaker=config.Breaker(mode="off"))
        for act in (0.0, 0.1, BROKEN, NotFound("no"), 5.0):
            await ask(dependency, act, within_s=1.0)

        assert dependency.answered == 2
        assert dependency.unanswered == {"dependency_failed": 1, "not_found": 1, "timed_out": 1}
        assert sum(dependency.durations.counts) == 2  # type: ignore[attr-defined]

    async def test_a_traced_call_has_a_span_for_each_attempt(self) -> None:
        class Span:
            children: list[tuple[str, float, float, str]] = []  # noqa: RUF012 - of this test

            def child(self, *child: Any) -> None:
                self.children.append(child)

        dependency = a_dependency()
        for act in (0.2, BROKEN):
            call = a_call()
            call.span = Span()
            with contextlib.suppress(DependencyFailed):
                await dependency.guards(Scripted(act))(call, call.deadline)

        dependency.breaker.force(State.FORCED_OPEN, now())
        call = a_call()
        call.span = Span()
        with pytest.raises(CircuitOpen):
            await dependency.guards(Scripted(0.2))(call, call.deadline)

        assert Span.children == [
            ("it", 0.0, 0.2, "ok"),
            ("it", 0.2, 0.2, "dependency_failed"),
            ("it", 0.2, 0.2, "breaker_open"),
        ]

    async def test_it_says_how_it_is(self) -> None:
        assert repr(a_dependency("redis")) == "Dependency(redis, closed, 0 under way)"


async def test_arguments_and_answers_pass_through() -> None:
    async def add(call: Call, deadline: Deadline, one: int, *, other: int) -> int:
        return one + other

    assert await a_dependency().guards(add)(a_call(), NEVER, 1, other=2) == 3


@pytest.mark.parametrize("repeatable", [False, True])
@pytest.mark.parametrize("seconds", [(0.0, 0.0), (0.03, 0.0), (0.03, 0.03), (5.0, 5.0)], ids=str)
async def test_no_call_leaves_garbage(repeatable: bool, seconds: tuple[float, float]) -> None:
    """What only the garbage collector can free is freed when it wants, and it stops the world."""
    dependency = a_dependency(breaker=config.Breaker(mode="off"))
    used_to(dependency, 0.01)
    attempts = 0

    async def fail(call: Call, deadline: Deadline) -> int:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(seconds[attempts % 2])
        raise DependencyFailed("it is broken")

    guarded = dependency.guards(fail, repeatable=repeatable)

    async def caller() -> None:
        with contextlib.suppress(DependencyFailed, TimedOut):
            await guarded(a_call(), Deadline(now() + 0.05))

    async def once() -> None:
        await asyncio.ensure_future(caller())
        await asyncio.sleep(0.1)

    assert await garbage_left_by(once) == 0


async def test_a_task_that_fails_leaves_no_garbage_either() -> None:
    dependency = a_dependency(breaker=config.Breaker(mode="off"))

    async def fail(call: Call, deadline: Deadline) -> int:
        raise DependencyFailed("it is broken")

    async def once() -> None:
        call = a_call()
        await asyncio.wait([asyncio.ensure_future(dependency.guards(fail)(call, NEVER))])

    assert await garbage_left_by(once) == 0


async def test_dependencies_share_their_alarms() -> None:
    toolbox = a_toolbox(asyncio.get_running_loop().time)

    one, other = toolbox.dependency("one"), toolbox.dependency("other")

    assert one.alarms is other.alarms


async def test_an_answer_that_is_none_is_a_failure() -> None:
    def check(value: int) -> None:
        if value < 0:
            raise DependencyFailed("it is negative")

    async def answers(call: Call, deadline: Deadline, value: int) -> int:
        return value

    dependency = a_dependency()
    guarded = dependency.guards(answers, check=check)
    call = a_call()

    assert await guarded(call, call.deadline, 1) == 1
    with pytest.raises(DependencyFailed, match="it is negative"):
        await guarded(call, call.deadline, -1)

    assert (dependency.answered, dict(dependency.unanswered)) == (1, {"dependency_failed": 1})
