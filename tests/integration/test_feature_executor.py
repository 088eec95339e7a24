"""Functions on threads, for which the event loop does not wait."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from inferd.errors import Exhausted
from inferd.features.compute import executor as module
from inferd.features.compute.executor import Executor
from inferd.telemetry.tables import Executor as Counted
from support.caches import until

AMPLE_S = 30.0


class Gate:
    """Functions that wait until it is opened, and note that they were begun."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self._open = threading.Event()

    def passes(self, number: int) -> Callable[[], int]:
        def work() -> int:
            self.begun.append(number)
            assert self._open.wait(AMPLE_S)
            return number

        return work

    def open(self) -> None:
        self._open.set()


@asynccontextmanager
async def an_executor(threads: int = 2, most_waiting: int = 2) -> AsyncIterator[Executor]:
    executor = Executor(threads, most_waiting=most_waiting)
    try:
        yield executor
    finally:
        await executor.close()


async def test_functions_run_beside_the_loop_and_each_other() -> None:
    both = threading.Barrier(2, timeout=AMPLE_S)

    async with an_executor() as executor:
        places = await asyncio.gather(executor.run(both.wait), executor.run(both.wait))

    assert sorted(places) == [0, 1]


async def test_what_comes_on_top_is_refused_at_once_and_the_rest_has_its_turn() -> None:
    gate = Gate()
    async with an_executor() as executor:
        counted: Counted = executor
        admitted = [asyncio.ensure_future(executor.run(gate.passes(each))) for each in range(4)]
        await until(lambda: len(gate.begun) == 2)

        with pytest.raises(Exhausted, match="2 functions run, and 2 wait"):
            await executor.run(gate.passes(4))
        assert (counted.running, counted.waiting, counted.refused) == (2, 2, 1)
        gate.open()

        assert await asyncio.gather(*admitted) == [0, 1, 2, 3]
        assert (counted.running, counted.waiting, counted.finished) == (0, 0, 4)


async def test_what_nobody_waits_for_is_not_begun_and_makes_room() -> None:
    gate = Gate()
    async with an_executor(1, 1) as executor:
        first = asyncio.ensure_future(executor.run(gate.passes(0)))
        left = asyncio.ensure_future(executor.run(gate.passes(1)))
        await until(lambda: gate.begun == [0])
        left.cancel()
        await asyncio.wait([left])

        stays = asyncio.ensure_future(executor.run(gate.passes(2)))
        await asyncio.sleep(0)
        gate.open()

        assert [*await asyncio.gather(first, stays)] == [0, 2]
        assert gate.begun == [0, 2]


async def test_a_thread_is_taken_until_its_function_returns_whoever_left() -> None:
    gate = Gate()
    async with an_executor(1, 0) as executor:
        left = asyncio.ensure_future(executor.run(gate.passes(0)))
        await until(lambda: gate.begun == [0])
        left.cancel()
        await asyncio.wait([left])

        with pytest.raises(Exhausted):
            await executor.run(gate.passes(1))
        gate.open()
        await until(lambda: executor.running == 0)

        assert await executor.run(gate.passes(2)) == 2


@pytest.mark.parametrize("error", [ValueError("x"), StopIteration(), SystemExit(3)])
async def test_what_a_function_raises_is_told_and_ends_no_thread(error: BaseException) -> None:
    def work() -> None:
        raise error

    async with an_executor(1) as executor:
        for _ in range(3):
            with pytest.raises((ValueError, RuntimeError)):
                await executor.run(work)

        assert await executor.run(lambda: 1) == 1


async def test_a_function_that_does_not_return_does_not_keep_it_from_closing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "END_S", 0.01)
    gate = Gate()
    executor = Executor(1, most_waiting=1)
    runs = asyncio.ensure_future(executor.run(gate.passes(0)))
    waits = asyncio.ensure_future(executor.run(gate.passes(1)))
    await until(lambda: gate.begun == [0])

    with caplog.at_level(logging.WARNING):
        await executor.close()

    assert [each.message for each in caplog.records] == [
        "compute-0 still runs a function; left behind"
    ]
    assert waits.cancelled()
    gate.open()
    assert await runs == 0
    assert gate.begun == [0]
