"""Who is cut short, who is cancelled, and who can tell. All in one task, as a guard does it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from inferd.errors import DependencyFailed, TimedOut
from inferd.resilience.alarms import Alarms
from inferd.resilience.attempt import Attempt
from support.guards import cancelling, now

BROKEN = DependencyFailed("it is broken")


def some_alarms() -> Alarms:
    return Alarms(asyncio.get_running_loop().time)


async def within(alarms: Alarms, at: float, it: Awaitable[int]) -> int:
    """Await something as a guard does."""
    attempt = Attempt[int](alarms, at, "the read")
    try:
        try:
            return await it
        except BaseException as error:
            if await attempt.was_answered(error):
                return attempt.answer
            raise
    finally:
        attempt.end()


async def answer(after_s: float = 0.1) -> int:
    await asyncio.sleep(after_s)
    return 1


async def test_what_ends_in_time_is_left_alone() -> None:
    alarms = some_alarms()

    assert await within(alarms, 0.5, answer()) == 1

    assert not len(alarms)
    await asyncio.sleep(1)
    assert cancelling() == 0


async def test_what_takes_too_long_is_cut_short() -> None:
    alarms = some_alarms()

    with pytest.raises(TimedOut, match="the read took longer than its share"):
        await within(alarms, 0.05, answer())

    assert now() == 0.05
    assert cancelling() == 0
    assert not len(alarms)


async def test_an_error_of_its_own_is_raised_as_it_is() -> None:
    async def fail() -> int:
        raise BROKEN

    with pytest.raises(DependencyFailed) as caught:
        await within(some_alarms(), 0.5, fail())

    assert caught.value is BROKEN


async def test_a_caller_who_leaves_is_not_told_that_it_took_too_long() -> None:
    alarms = some_alarms()
    task = asyncio.ensure_future(within(alarms, 0.5, answer()))
    await asyncio.sleep(0.05)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelling() == 1
    assert not len(alarms)


@pytest.mark.parametrize("alarm_first", [True, False])
async def test_a_caller_who_leaves_as_the_alarm_rings_is_cancelled(alarm_first: bool) -> None:
    alarms, loop = some_alarms(), asyncio.get_running_loop()
    attempts: list[Attempt[int]] = []

    async def caller() -> int:
        attempts.append(Attempt(alarms, 0.5, "the read"))
        try:
            return await answer()
        except asyncio.CancelledError as error:
            if await attempts[0].was_answered(error):
                return attempts[0].answer
            raise
        finally:
            attempts[0].end()

    def both() -> None:
        acts: list[Callable[[], object]] = [attempts[0].ring, task.cancel]
        for act in acts if alarm_first else reversed(acts):
            act()

    task = asyncio.ensure_future(caller())
    loop.call_later(0.05, both)

    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelling() == 1  # the caller's own, for whoever waits for it above


async def test_an_answer_in_the_moment_of_the_alarm_is_too_late() -> None:
    alarms, loop = some_alarms(), asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()
    attempts: list[Attempt[int]] = []

    def both() -> None:
        future.set_result(1)
        attempts[0].ring()

    attempts.append(Attempt(alarms, 1.0, "the read"))
    loop.call_later(0.05, both)
    with pytest.raises(asyncio.CancelledError) as caught:
        await future
    with pytest.raises(TimedOut):
        await attempts[0].was_answered(caught.value)
    attempts[0].end()

    assert cancelling() == 0


async def test_who_takes_no_notice_of_being_cut_short_leaves_no_cancellation_behind() -> None:
    async def stubborn() -> int:
        try:
            return await answer()
        except asyncio.CancelledError:
            return 2  # as `asyncio.wait_for` of Python 3.11 did in a race

    assert await within(some_alarms(), 0.05, stubborn()) == 2

    assert cancelling() == 0
    async with asyncio.timeout(1):  # which could not tell a cancellation of ours from another
        await asyncio.sleep(0.1)


async def test_what_fails_because_it_is_cut_short_took_too_long() -> None:
    async def translating() -> int:
        try:
            return await answer()
        except asyncio.CancelledError:
            raise BROKEN from None

    with pytest.raises(TimedOut):
        await within(some_alarms(), 0.05, translating())

    assert cancelling() == 0


@pytest.mark.parametrize("inner_at", [0.0499, 0.05, 0.0501])
async def test_of_two_attempts_one_in_the_other_nobody_mistakes_whose_time_is_up(
    inner_at: float,
) -> None:
    alarms = some_alarms()

    with pytest.raises(TimedOut):
        await within(alarms, 0.05, within(alarms, inner_at, answer()))

    assert cancelling() == 0
    assert not len(alarms)


async def test_time_that_is_up_for_the_inner_one_is_not_for_the_outer_one() -> None:
    alarms = some_alarms()

    async def fallback() -> int:
        try:
            return await within(alarms, 0.02, answer())
        except TimedOut:
            await asyncio.sleep(0.01)
            return 2

    assert await within(alarms, 0.05, fallback()) == 2
    assert cancelling() == 0


async def test_it_works_inside_and_outside_of_the_timeouts_of_asyncio() -> None:
    alarms = some_alarms()

    with pytest.raises(TimedOut):
        async with asyncio.timeout(1):
            await within(alarms, 0.05, answer())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await within(alarms, 1.0, answer())

    assert cancelling() == 0
    assert not len(alarms)


async def test_cleaning_up_takes_the_time_that_it_takes() -> None:
    async def untidy() -> int:
        try:
            return await answer()
        finally:
            await asyncio.sleep(0.3)

    with pytest.raises(TimedOut):
        await within(some_alarms(), 0.05, untidy())

    assert now() == pytest.approx(0.35)
    assert cancelling() == 0
