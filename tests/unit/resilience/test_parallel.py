import asyncio

import pytest

from inferd.errors import DependencyFailed
from inferd.resilience.parallel import Parallel
from support.guards import now


class Stage:
    """Takes a while, and writes down how it ended."""

    def __init__(self) -> None:
        self.ended = ""

    async def run(
        self, seconds: float, *, error: Exception | None = None, tidying_s: float = 0.0
    ) -> float:
        self.ended = "no"
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.ended = "tidying"
            await asyncio.sleep(tidying_s)
            self.ended = "cancelled"
            raise
        self.ended = "yes"
        if error is not None:
            raise error
        return seconds


@pytest.fixture
def one() -> Stage:
    return Stage()


@pytest.fixture
def other() -> Stage:
    return Stage()


async def test_stages_run_at_the_same_time(one: Stage, other: Stage) -> None:
    async with Parallel() as at_once:
        first, second = at_once.begin(one.run(0.2)), at_once.begin(other.run(0.3))
        assert (await first, await second) == (0.2, 0.3)

    assert now() == pytest.approx(0.3)


async def test_who_does_not_need_a_straggler_does_not_wait_for_it(one: Stage, other: Stage) -> None:
    async def answer() -> str:
        async with Parallel() as at_once:
            at_once.begin(other.run(5.0))
            return "block" if await at_once.begin(one.run(0.1)) else "pass"

    assert await answer() == "block"

    assert now() == pytest.approx(0.1)
    assert other.ended == "cancelled"


async def test_an_error_of_the_block_ends_its_stages(one: Stage) -> None:
    async def answer() -> None:
        async with Parallel() as at_once:
            at_once.begin(one.run(5.0))
            await asyncio.sleep(0.1)
            raise DependencyFailed("no")

    with pytest.raises(DependencyFailed):
        await answer()

    assert one.ended == "cancelled"


async def test_an_error_of_a_stage_is_raised_to_whoever_awaits_it(one: Stage) -> None:
    with pytest.raises(DependencyFailed, match="no"):
        async with Parallel() as at_once:
            await at_once.begin(one.run(0.1, error=DependencyFailed("no")))


async def test_an_error_that_nobody_waited_for_is_no_news(
    one: Stage, other: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with Parallel() as at_once:
        at_once.begin(one.run(0.1, error=DependencyFailed("no")))
        await at_once.begin(other.run(0.2))
    del at_once

    await asyncio.sleep(0)
    assert not caplog.records


async def test_a_stage_that_has_not_begun_never_does(one: Stage) -> None:
    async with Parallel() as at_once:
        at_once.begin(one.run(1.0))

    assert not one.ended


async def test_who_is_cancelled_takes_the_stages_along(one: Stage) -> None:
    async def answer() -> None:
        async with Parallel() as at_once:
            await at_once.begin(one.run(5.0, tidying_s=0.1))

    task = asyncio.ensure_future(answer())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert one.ended == "cancelled"
    assert now() == pytest.approx(0.2)


async def test_leaving_waits_for_those_that_tidy_up_even_if_it_is_cancelled_then(
    one: Stage, other: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer() -> None:
        async with Parallel() as at_once:
            at_once.begin(one.run(5.0, tidying_s=0.5))
            await at_once.begin(other.run(0.1))

    task = asyncio.ensure_future(answer())
    await asyncio.sleep(0.2)
    assert one.ended == "tidying"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert one.ended == "cancelled"
    assert now() == pytest.approx(0.6)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not caplog.records
