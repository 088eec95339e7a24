"""Instances that fail or hang go, and others come. In virtual time, with pretended threads."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

import pytest

from inferd.config.resilience import Outliers as Config
from inferd.errors import ModelFailed, NotReady, Shed, TimedOut
from inferd.inference.permits import CorePermits
from inferd.inference.request import Tensors
from support.instances import BUILD_S, HUNG_S, PAUSE_S, RUN_S, SETTINGS, Version

# -- runs that fail ----------------------------------------------------------------------------


async def test_an_instance_that_only_fails_is_replaced_by_a_new_one() -> None:
    it = Version()
    it.threads[0].fails = True
    await it.fail(3)
    await asyncio.sleep(2 * RUN_S)
    assert (it.statistics.instances, it.statistics.ejections) == (0, 1)
    assert it.threads[0].left

    await asyncio.sleep(PAUSE_S + BUILD_S + RUN_S)

    assert await it.answer() == 2.0
    assert (it.statistics.instances, it.statistics.rebuilds) == (1, 1)
    assert it.built[0].ran == [[0.0], [1.0]], "first the trial, then whoever asks"


async def test_poison_costs_no_instance_its_place() -> None:
    it = Version()

    await it.fail(20, 13.0)

    assert it.statistics.ejections == 0
    assert await it.answer() == 2.0


async def test_one_good_run_in_between_is_enough_to_stay() -> None:
    it = Version()
    for _ in range(3):
        it.threads[0].fails = True
        await it.fail(2)
        it.threads[0].fails = False
        await it.answer()

    assert it.statistics.ejections == 0


async def test_a_run_that_everybody_left_says_nothing() -> None:
    it = Version()
    it.threads[0].fails = True
    for _ in range(5):
        request = it.ask()
        await asyncio.sleep(RUN_S / 2)
        request.future.cancel()
        it.batcher.cancel(request)
        await asyncio.sleep(RUN_S)

    await it.fail(2)

    assert it.statistics.ejections == 0


async def test_runs_on_the_event_loop_count_too() -> None:
    it = Version(inline_below_s=1.0)
    it.threads[0].fails = True

    await it.fail(3)
    await asyncio.sleep(2 * RUN_S)

    assert it.statistics.ejections == 1


async def test_the_others_serve_while_one_is_replaced() -> None:
    it = Version(2)
    it.threads[1].fails = True
    await it.fail(3)  # one after the other, so it has all the work
    await asyncio.sleep(2 * RUN_S)

    assert it.statistics.instances == 1
    assert await it.answer() == 2.0
    assert it.changes == [], "the version served all the time"
    assert "1 of 2 instances are out of service: out of order" in it.instances.trouble()


# -- runs that hang ----------------------------------------------------------------------------


async def test_a_hung_run_is_given_up_and_its_callers_can_go_elsewhere() -> None:
    it = Version()
    it.threads[0].hangs = True
    request = it.ask()

    with pytest.raises(ModelFailed, match="did not answer within 100 ms and was given up"):
        await request.future

    assert it.loop.time() == pytest.approx(HUNG_S, abs=0.002)
    assert it.threads[0].stops[0].stopped
    assert it.threads[0].left
    assert it.statistics.ejections == 1


async def test_who_is_late_before_the_run_is_given_up_hears_of_it_in_time() -> None:
    it = Version()
    it.threads[0].hangs = True
    request = it.ask(within_s=0.05)

    with pytest.raises(TimedOut, match="longer than was predicted"):
        await request.future
    assert it.loop.time() <= 0.05

    await asyncio.sleep(HUNG_S)
    assert it.statistics.ejections == 1, "though nobody waited for it any more"


@pytest.mark.parametrize(("within_s", "ejections"), [(0.09, 0), (0.11, 1)])
async def test_runs_that_all_give_up_on_have_failed_if_that_took_long(
    within_s: float, ejections: int
) -> None:
    it = Version(settings=SETTINGS.model_copy(update={"hung_min_ms": 1000.0}))
    it.threads[0].endless = True

    for _ in range(SETTINGS.consecutive_failures):
        with pytest.raises(TimedOut):
            await it.ask(within_s=within_s).future
        await asyncio.sleep(RUN_S)

    # Ten times as long as predicted: 100 ms.
    assert it.statistics.ejections == ejections


async def test_a_hung_run_that_comes_to_itself_changes_nothing() -> None:
    it = Version()
    it.threads[0].hangs = True
    with pytest.raises(ModelFailed):
        await it.ask().future
    await asyncio.sleep(PAUSE_S + BUILD_S + 2 * RUN_S)

    it.threads[0].wake()

    assert await it.answer() == 2.0
    assert it.statistics.instances == 1
    assert it.threads[0].ran == [[1.0]]


async def test_a_hung_run_gives_its_core_back() -> None:
    permits = CorePermits(1)
    it, other = Version(permits=permits), Version(permits=permits)
    it.threads[0].hangs = True
    hung = it.ask()
    await asyncio.sleep(RUN_S)

    assert await other.answer() == 2.0

    assert other.loop.time() < HUNG_S + 3 * RUN_S
    with pytest.raises(ModelFailed):
        await hung.future


async def test_after_the_process_was_stopped_a_run_gets_its_time_again() -> None:
    it = Version()
    request = it.ask(within_s=60.0)
    await asyncio.sleep(RUN_S / 2)

    it.delay_s = 10.0  # as after SIGSTOP and SIGCONT
    it.batcher.look()

    assert float((await request.future)["y"][0]) == 2.0
    assert it.statistics.ejections == 0


async def test_a_run_that_hangs_after_the_process_was_stopped_is_given_up_all_the_same() -> None:
    it = Version()
    it.threads[0].hangs = True
    request = it.ask(within_s=60.0)
    await asyncio.sleep(RUN_S)
    it.delay_s = 10.0
    it.batcher.look()

    with pytest.raises(ModelFailed):
        await request.future

    assert it.loop.time() == pytest.approx(HUNG_S + RUN_S, abs=0.003)


async def test_who_would_have_been_in_time_with_all_instances_is_refused_with_fewer() -> None:
    async def let_in(*, hung: bool) -> int:
        it, count = Version(2), 0
        it.threads[1].hangs = hung
        first = it.ask()
        await asyncio.sleep(HUNG_S + RUN_S)
        assert first.future.done()
        first.future.exception()
        for _ in range(20):
            with contextlib.suppress(Shed):
                it.ask(within_s=3.5 * RUN_S)
                count += 1
        await asyncio.sleep(5 * RUN_S)
        return count

    assert await let_in(hung=True) == 3
    assert await let_in(hung=False) == 6


# -- while nobody serves -------------------------------------------------------------------------


async def test_without_an_instance_nobody_waits_in_vain() -> None:
    it = Version()
    it.threads[0].hangs = True
    hung, waiting = it.ask(), it.ask()
    await asyncio.sleep(HUNG_S + 0.002)

    with pytest.raises(NotReady, match="'m' version 1 has no instance in service"):
        await waiting.future
    with pytest.raises(
        NotReady, match="1 of 1 instances are out of service: a run hung"
    ) as not_yet:
        it.ask()

    assert not_yet.value.retry_after_s == pytest.approx(PAUSE_S, abs=0.01)
    assert isinstance(hung.future.exception(), ModelFailed)
    assert it.changes == [False]
    await asyncio.sleep(PAUSE_S + BUILD_S + 2 * RUN_S)
    assert it.changes == [False, True]


async def test_a_rebuild_that_fails_is_tried_again_later_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = Version()
    it.problem = "the disk has gone"
    it.threads[0].hangs = True
    with caplog.at_level(logging.WARNING), pytest.raises(ModelFailed):
        await it.ask().future
    await asyncio.sleep(PAUSE_S * (1 + 2 + 4) + 4 * BUILD_S)

    told = [each.getMessage() for each in caplog.records]
    assert told == [
        "m/1#0 is taken out of service: a run hung",
        "m/1#0 cannot be rebuilt: the disk has gone",
    ]
    assert "the disk has gone" in it.instances.trouble()

    it.problem = ""
    await asyncio.sleep(1.0 + BUILD_S + 2 * RUN_S)
    assert await it.answer() == 2.0


async def test_a_successor_that_fails_its_trial_never_serves() -> None:
    it = Version()
    it.threads[0].hangs = it.successors_fail = True
    with pytest.raises(ModelFailed):
        await it.ask().future

    await asyncio.sleep(3.0)

    assert len(it.built) > 2
    assert all(each.left and each.ran == [[0.0]] for each in it.built)
    assert it.statistics.instances == it.statistics.rebuilds == 0


async def test_one_is_built_at_a_time() -> None:
    it = Version(2)
    for thread in it.threads:
        thread.hangs = True
    for request in [it.ask(), it.ask()]:
        with pytest.raises(ModelFailed):
            await request.future

    await asyncio.sleep(PAUSE_S + BUILD_S + RUN_S + 0.01)
    assert it.statistics.instances == 1
    await asyncio.sleep(BUILD_S + RUN_S)
    assert it.statistics.instances == 2


async def test_memory_is_that_of_the_sessions_in_service() -> None:
    it = Version(2)
    it.threads[1].session = it.threads[0].session
    it.threads[1].hangs = True
    with pytest.raises(ModelFailed):
        await it.ask().future
    assert it.statistics.memory_bytes == 100, "the other instance still runs it"

    await asyncio.sleep(PAUSE_S + BUILD_S + 2 * RUN_S)

    assert it.statistics.memory_bytes == 200, "the new one has a session of its own"


async def test_where_it_is_not_wanted_nobody_goes() -> None:
    it = Version(settings=Config(enabled=False))
    it.threads[0].fails = True

    await it.fail(20)

    assert it.statistics.ejections == 0


class Point:
    fault: object | None = None

    def before_on_thread(self, stopped: Callable[[], bool]) -> None:
        pass

    def after(self, value: Tensors) -> Tensors:
        return value


async def test_what_is_broken_on_purpose_does_not_run_on_the_event_loop() -> None:
    point = Point()
    it = Version(inline_below_s=1.0, points=(point,))
    await it.answer()
    assert it.loop.time() == 0.0

    point.fault = ("latency",)
    await it.answer()

    assert it.loop.time() == pytest.approx(RUN_S)
