"""Permits for cores: no more threads than cores, and the most urgent first."""

import asyncio

import pytest

from inferd.inference.permits import CorePermits


class Model:
    """Wants to run one batch, and runs it as soon as it may."""

    def __init__(self, permits: CorePermits, due: float, threads: int = 1) -> None:
        self.permits, self.due, self.threads = permits, due, threads
        self.runs = False

    def look(self) -> None:
        self.runs = self.runs or self.permits.take(self.threads, self, self.due)


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_so_many_run_as_there_are_cores() -> None:
    permits = CorePermits(2)
    models = [Model(permits, due) for due in (3.0, 2.0, 1.0)]
    for model in models:
        model.look()

    assert [model.runs for model in models] == [True, True, False]
    permits.give_back(1)
    await turn()
    assert models[2].runs


async def test_who_is_due_first_goes_first_whoever_asks_first() -> None:
    permits = CorePermits(1)
    running, patient, urgent = (Model(permits, due) for due in (0.0, 2.0, 1.0))
    for model in (running, patient, urgent):
        model.look()

    permits.give_back(1)
    newcomer = Model(permits, 3.0)
    newcomer.look()
    await turn()

    assert (urgent.runs, patient.runs, newcomer.runs) == (True, False, False)


async def test_a_run_with_several_threads_waits_for_as_many_cores() -> None:
    permits = CorePermits(2)
    one, two, greedy = Model(permits, 0.0), Model(permits, 1.0, threads=2), Model(permits, 2.0)
    for model in (one, two, greedy):
        model.look()

    assert not two.runs
    assert not greedy.runs, "a core is free, but somebody more urgent waits for both"
    permits.give_back(1)
    await turn()
    assert two.runs


@pytest.mark.parametrize("threads", [2, 99])
async def test_more_threads_than_cores_need_them_all(threads: int) -> None:
    permits = CorePermits(2)
    model, other = Model(permits, 0.0, threads=threads), Model(permits, 1.0)

    model.look()
    other.look()
    assert (model.runs, other.runs) == (True, False)

    permits.give_back(threads)
    await turn()
    assert other.runs


async def test_work_on_another_device_needs_no_core() -> None:
    permits = CorePermits(1)
    busy, device = Model(permits, 0.0), Model(permits, 1.0, threads=0)

    busy.look()
    device.look()

    assert device.runs


async def test_who_withdraws_lets_the_others_pass() -> None:
    permits = CorePermits(2)
    running, large, small = Model(permits, 0.0), Model(permits, 1.0, threads=2), Model(permits, 2.0)
    for model in (running, large, small):
        model.look()

    permits.withdraw(large)
    await turn()

    assert small.runs
    assert not large.runs
