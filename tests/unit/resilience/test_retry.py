"""What is tried again, when, and how often."""

import asyncio
from typing import Any

import pytest

from inferd.config.resilience import Breaker, Hedge, Retry
from inferd.errors import (
    CircuitOpen,
    DependencyFailed,
    InferdError,
    InvalidRequest,
    ModelFailed,
    Saturated,
    Shed,
    TimedOut,
    Unavailable,
)
from inferd.resilience.dependency import Dependency
from support.guards import Scripted, a_call, a_dependency, now, used_to

BROKEN = DependencyFailed("it is broken")


def retried(attempts: int = 3, **settings: Any) -> Dependency:
    settings = {"retry": Retry(attempts=attempts, backoff_ms=10), **settings}
    return a_dependency(hedge=Hedge(enabled=False), **settings)


async def ask(dependency: Dependency, script: Scripted, within_s: float = 1.0) -> int:
    call = a_call(within_s)
    return await dependency.guards(script, repeatable=True)(call, call.deadline)


async def test_what_failed_is_tried_again_after_a_while_that_doubles() -> None:
    dependency, script = retried(), Scripted(BROKEN, BROKEN, 0.0)

    assert await ask(dependency, script) == 3

    assert now() == pytest.approx(0.01 + 0.02)
    assert dependency.retries == 2
    assert (dependency.answered, dependency.unanswered) == (1, {"dependency_failed": 2})


@pytest.mark.parametrize(("dice", "waits_s"), [(0.0, 0.005), (1.0, 0.015)])
async def test_the_wait_is_spread_by_half(dice: float, waits_s: float) -> None:
    dependency = retried(random=lambda: dice)

    await ask(dependency, Scripted(BROKEN, 0.0))

    assert now() == pytest.approx(waits_s)


async def test_after_the_last_attempt_its_error_is_raised() -> None:
    last = DependencyFailed("the last one")
    script = Scripted(BROKEN, BROKEN, last, 0.0)

    with pytest.raises(DependencyFailed) as caught:
        await ask(retried(), script)

    assert caught.value is last
    assert script.attempts == 3


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("no"), Shed("no"), Saturated("no"), CircuitOpen("no"), TimedOut("no"),
        ModelFailed("no"), Unavailable("no", retry_after_s=-1.0),
    ],
    ids=lambda error: error.reason,
)  # fmt: skip
async def test_what_will_not_change_or_took_its_time_is_not_tried_again(
    error: InferdError,
) -> None:
    script = Scripted(error, 0.0)

    with pytest.raises(type(error)):
        await ask(retried(), script)

    assert script.attempts == 1


async def test_who_was_told_when_to_return_does_not_return_before() -> None:
    busy = Unavailable("no", retry_after_s=0.3)

    assert await ask(retried(), Scripted(busy, 0.0)) == 2

    assert now() == pytest.approx(0.3)


async def test_it_is_not_tried_again_where_there_is_no_time_for_it() -> None:
    dependency = retried()
    used_to(dependency, 0.1)
    script = Scripted((0.15, BROKEN), 0.0)

    with pytest.raises(DependencyFailed):
        await ask(dependency, script, within_s=0.25)

    assert script.attempts == 1
    assert dependency.spare.tokens == 3


async def test_what_is_left_of_the_deadline_is_all_that_a_retry_has() -> None:
    script = Scripted((0.2, BROKEN), 5.0)

    with pytest.raises(TimedOut):
        await ask(retried(), script, within_s=0.5)

    assert script.until == [0.5, 0.5]
    assert now() == pytest.approx(0.5, abs=0.001)


async def test_when_everything_fails_retries_stop() -> None:
    dependency = retried(extra_share=0.125, extra_burst=3, breaker=Breaker(mode="off"))
    script = Scripted(BROKEN)

    for _ in range(80):
        with pytest.raises(DependencyFailed):
            await ask(dependency, script)

    assert 3 + 80 / 8 - 1 <= dependency.retries <= 3 + 80 / 8
    assert script.attempts == 80 + dependency.retries


async def test_a_breaker_that_opened_meanwhile_is_respected() -> None:
    dependency = retried(breaker=Breaker(minimum_calls=1))
    script = Scripted(BROKEN, 0.0)

    with pytest.raises(CircuitOpen):
        await ask(dependency, script)

    assert script.attempts == 1


async def test_what_may_not_be_done_twice_is_not_retried() -> None:
    dependency, script, call = retried(), Scripted(BROKEN, 0.0), a_call()

    with pytest.raises(DependencyFailed):
        await dependency.guards(script)(call, call.deadline)

    assert script.attempts == 1


async def test_a_caller_may_leave_between_attempts() -> None:
    dependency = retried()
    task = asyncio.ensure_future(ask(dependency, Scripted(BROKEN, 0.0)))
    await asyncio.sleep(0.005)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert dependency.limit.in_flight == 0
