"""A second attempt beside one that takes long: who wins, and what is left of the other."""

import asyncio
import math
from typing import Any

import pytest

from inferd.config.resilience import Breaker, Hedge, Retry
from inferd.errors import DependencyFailed, InvalidRequest, TimedOut
from inferd.resilience.alarms import EARLY_S
from inferd.resilience.dependency import Dependency
from support.guards import Act, Scripted, a_call, a_dependency, cancelling, now, used_to

ONCE = Retry(attempts=1)
FIRST, SECOND = DependencyFailed("the first failed"), DependencyFailed("the second failed")


class Pair:
    """What is asked of a dependency that is hedged after 10 ms or so, from a full second on."""

    def __init__(self, *acts: Act, **settings: Any) -> None:
        settings = {"retry": ONCE, **settings}
        self.dependency: Dependency = a_dependency(**settings)
        self.hedge_after_s = used_to(self.dependency, 0.01)
        self.script = Scripted(*acts)
        self._ask = self.dependency.guards(self.script, repeatable=True)
        self.began = math.nan

    async def ask(self, within_s: float = 1.0) -> int:
        call = a_call(within_s)
        self.began = now()
        return await self._ask(call, call.deadline)

    @property
    def took_s(self) -> float:
        return now() - self.began

    async def is_tidy(self) -> bool:
        """Whether nothing is left, a turn later."""
        await asyncio.sleep(0)
        return (
            self.script.under_way == 0
            and not len(self.dependency.alarms)
            and asyncio.all_tasks() == {asyncio.current_task()}
            and cancelling() == 0
        )


async def test_what_is_answered_as_usual_is_asked_for_once() -> None:
    pair = Pair(0.01)

    assert await pair.ask() == 1

    assert pair.script.attempts == 1
    assert pair.dependency.hedges == 0


async def test_a_hedge_that_answers_first_wins_and_the_first_attempt_is_cancelled() -> None:
    pair = Pair(5.0, 0.01)

    assert await pair.ask() == 2

    assert pair.took_s == pytest.approx(pair.hedge_after_s + 0.01, abs=EARLY_S)
    assert pair.script.cancelled == [1]
    assert (pair.dependency.hedges, pair.dependency.hedges_won) == (1, 1)
    assert await pair.is_tidy()


async def test_a_first_attempt_that_answers_after_all_wins_and_the_hedge_is_cancelled() -> None:
    pair = Pair(0.02, 5.0)

    assert await pair.ask() == 1

    assert pair.took_s == pytest.approx(0.02)
    assert (pair.dependency.hedges, pair.dependency.hedges_won) == (1, 0)
    assert await pair.is_tidy()
    assert pair.script.cancelled == [2]


async def test_a_hedge_is_never_begun_early() -> None:
    for phase in range(10):  # of the millisecond in which the call comes
        await asyncio.sleep(0.0001)
        pair = Pair(0.0101, 5.0)
        assert await pair.ask() == 1, phase
        assert pair.script.attempts == 1


async def test_when_the_first_fails_the_hedge_under_way_is_waited_for() -> None:
    pair = Pair((0.02, FIRST), 0.03)

    assert await pair.ask() == 2

    assert pair.took_s == pytest.approx(pair.hedge_after_s + 0.03, abs=EARLY_S)
    assert await pair.is_tidy()


async def test_when_the_hedge_fails_the_first_is_waited_for() -> None:
    pair = Pair(0.1, (0.01, SECOND))

    assert await pair.ask() == 1

    assert pair.took_s == pytest.approx(0.1)
    assert await pair.is_tidy()


@pytest.mark.parametrize(
    ("first_s", "second_s"), [(0.02, 0.01), (0.02, 0.05), (0.021, 0.01), (0.02, 0.0)]
)
async def test_when_both_fail_the_error_is_that_of_the_first(
    first_s: float, second_s: float
) -> None:
    pair = Pair((first_s, FIRST), (second_s, SECOND))

    with pytest.raises(DependencyFailed) as caught:
        await pair.ask()

    assert caught.value is FIRST
    assert pair.dependency.unanswered == {"dependency_failed": 1}
    assert await pair.is_tidy()


async def test_a_hedge_does_not_make_an_answer_late() -> None:
    pair = Pair(5.0, 5.0)

    with pytest.raises(TimedOut):
        await pair.ask(0.05)

    assert pair.took_s == pytest.approx(0.05, abs=EARLY_S)
    assert pair.script.attempts == 2
    assert await pair.is_tidy()
    assert sorted(pair.script.cancelled) == [1, 2]


async def test_time_is_up_while_the_hedge_is_waited_for_alone() -> None:
    pair = Pair((0.02, FIRST), 5.0)

    with pytest.raises(TimedOut):
        await pair.ask(0.05)

    assert pair.took_s == pytest.approx(0.05, abs=EARLY_S)
    assert await pair.is_tidy()
    assert pair.script.cancelled == [2]


async def test_there_is_no_hedge_when_time_is_up_before() -> None:
    pair = Pair(5.0)

    with pytest.raises(TimedOut):
        await pair.ask(pair.hedge_after_s)

    assert pair.script.attempts == 1


async def test_both_are_told_the_same_deadline() -> None:
    pair = Pair(5.0, 0.01)

    await pair.ask(0.5)

    assert pair.script.until == [pytest.approx(pair.began + 0.5)] * 2


@pytest.mark.parametrize("after_s", [0.005, 0.02])
async def test_a_caller_who_leaves_takes_both_along(after_s: float) -> None:
    pair = Pair(5.0, 5.0)
    task = asyncio.ensure_future(pair.ask())
    await asyncio.sleep(after_s)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert await pair.is_tidy()
    assert pair.dependency.unanswered == {"cancelled": 1}


async def test_a_caller_who_leaves_while_the_hedge_is_waited_for_is_cancelled() -> None:
    pair = Pair((0.02, FIRST), 5.0)
    task = asyncio.ensure_future(pair.ask())
    await asyncio.sleep(0.03)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelling() == 1
    assert await pair.is_tidy()


@pytest.mark.parametrize("caller_first", [True, False])
async def test_a_caller_who_leaves_in_the_moment_the_hedge_wins_is_cancelled(
    caller_first: bool,
) -> None:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[int] = loop.create_future()
    dependency = a_dependency(retry=ONCE)
    used_to(dependency, 0.01)
    attempts = 0

    async def ask(*_: object) -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await asyncio.sleep(5)
        return await answered

    def both() -> None:
        if caller_first:
            task.cancel()
            answered.set_result(2)
        else:
            answered.set_result(2)
            # In two turns: when the hedge has ended, and its end is about to be noticed.
            loop.call_soon(task.cancel)

    call = a_call()
    task = asyncio.ensure_future(dependency.guards(ask, repeatable=True)(call, call.deadline))
    loop.call_later(0.05, both)

    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelling() == 1
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_first_attempt_that_cleans_up_past_the_deadline_is_cancelled_once() -> None:
    dependency = a_dependency(retry=ONCE)
    used_to(dependency, 0.01)
    attempts = 0

    async def ask(*_: object) -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            return 2
        try:
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(0.1)  # the hedge has won, and meanwhile the time is up
        return 1

    call = a_call(0.05)

    answer = await dependency.guards(ask, repeatable=True)(call, call.deadline)

    assert answer == 2
    assert cancelling() == 0


async def test_an_error_of_a_hedge_that_nobody_waits_for_is_no_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pair = Pair(0.02, (0.001, SECOND))

    assert await pair.ask() == 1

    assert await pair.is_tidy()
    del pair
    assert not caplog.records


async def test_hedges_are_a_share_of_the_calls() -> None:
    pair = Pair(5.0, extra_share=0.125, extra_burst=3, breaker=Breaker(mode="off"))

    for _ in range(80):
        with pytest.raises(TimedOut):
            await pair.ask(0.05)

    assert 3 + 80 / 8 - 1 <= pair.dependency.hedges <= 3 + 80 / 8


async def test_without_an_allowance_the_first_attempt_goes_on_alone() -> None:
    pair = Pair(0.05, extra_share=0.01, extra_burst=1)
    await pair.ask()

    with pytest.raises(TimedOut):
        await pair.ask(0.04)

    assert pair.dependency.hedges == 1
    assert await pair.is_tidy()


async def test_what_may_not_be_done_twice_is_not_hedged() -> None:
    dependency, script = a_dependency(), Scripted(0.5)
    used_to(dependency, 0.01)
    call = a_call()

    await dependency.guards(script)(call, call.deadline)

    assert script.attempts == 1


async def test_hedging_can_be_switched_off() -> None:
    pair = Pair(0.5, hedge=Hedge(enabled=False))

    assert await pair.ask() == 1

    assert pair.hedge_after_s == math.inf


async def test_nothing_is_hedged_before_it_is_known_how_long_it_takes() -> None:
    dependency, script = a_dependency(), Scripted(0.5)
    call = a_call()

    await dependency.guards(script, repeatable=True)(call, call.deadline)

    assert script.attempts == 1


async def test_a_hedge_waits_for_the_learnt_quantile_and_for_the_least_that_is_configured() -> None:
    learnt = a_dependency(hedge=Hedge(quantile=0.5, min_ms=1))
    for number in range(3200):
        learnt.learn(0.01 if number % 10 < 6 else 0.1)
    least = a_dependency(hedge=Hedge(min_ms=50))
    used_to(least, 0.01)

    assert learnt.hedge_after_s == pytest.approx(0.01, rel=0.06)
    assert least.hedge_after_s == 0.05


async def test_a_wrong_request_is_answered_at_once_by_either() -> None:
    pair = Pair((0.02, InvalidRequest("no")), 0.0)

    assert await pair.ask() == 2  # it is the same question: whoever answers it is right
