"""Permits for cores: no more threads than cores, and the most urgent first."""

import asyncio
import math

import pytest

from inferd.inference.permits import PATIENCE_S, CorePermits


class Model:
    """Wants to run one batch, and runs it as soon as it may."""

    def __init__(self, permits: CorePermits, due_at: float, threads: int = 1) -> None:
        self.permits, self.due_at, self.threads = permits, due_at, threads
        self.runs = False

    def due(self, now: float) -> float:
        return self.due_at

    def look(self) -> None:
        now = asyncio.get_running_loop().time()
        self.runs = self.runs or self.permits.take(self.threads, self, now)


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


async def test_nobody_is_overtaken_who_has_been_patient() -> None:
    permits = CorePermits(1)
    running, unsure, later = Model(permits, 0.0), Model(permits, math.inf), Model(permits, 9.0)
    running.look()
    unsure.look()
    later.look()
    await asyncio.sleep(PATIENCE_S / 2)
    urgent = Model(permits, -1.0)
    urgent.look()
    order = []

    await asyncio.sleep(PATIENCE_S / 2)
    urgent.look()  # tells how late it is
    for _ in range(3):
        permits.give_back(1)
        await turn()
        order.append([model.runs for model in (unsure, later, urgent)])

    assert order == [[True, False, False], [True, True, False], [True, True, True]]


async def test_who_cannot_say_when_it_is_due_lets_others_pass_until_then() -> None:
    permits = CorePermits(1)
    running, unsure, later = Model(permits, 0.0), Model(permits, math.inf), Model(permits, 9.0)
    for model in (running, unsure, later):
        model.look()

    permits.give_back(1)
    await turn()

    assert later.runs
    assert not unsure.runs


async def test_when_several_cores_get_free_several_go_in_whatever_order_they_asked() -> None:
    permits = CorePermits(2)
    running = Model(permits, 0.0, threads=2)
    last, first = Model(permits, 2.0), Model(permits, 1.0)
    for model in (running, last, first):
        model.look()

    permits.give_back(2)
    await turn()

    assert first.runs
    assert last.runs


async def test_who_is_less_urgent_than_it_was_lets_the_others_pass() -> None:
    permits = CorePermits(2)
    running, large, small = Model(permits, 0.0), Model(permits, 1.0, threads=2), Model(permits, 2.0)
    for model in (running, large, small):
        model.look()

    large.due_at = 3.0
    large.look()
    await turn()

    assert small.runs
    assert not large.runs


async def test_who_withdraws_lets_the_others_pass() -> None:
    permits = CorePermits(2)
    running, large, small = Model(permits, 0.0), Model(permits, 1.0, threads=2), Model(permits, 2.0)
    for model in (running, large, small):
        model.look()

    permits.withdraw(large)
    await turn()

    assert small.runs
    assert not large.runs
