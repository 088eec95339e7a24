"""Callers in a batch are strangers. In virtual time, with an instance that only pretends."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd.errors import Expired, Infeasible, ModelFailed, NotReady, Poison, Shed
from inferd.inference.batch import Batch
from inferd.inference.batcher import Batcher
from inferd.inference.permits import CorePermits
from inferd.inference.request import Request, Tensors
from inferd.inference.scheduling import (
    Drop,
    LatencyModel,
    Policy,
    Reason,
    RunTime,
    Scheduler,
    Ticket,
    Turns,
    buckets_of,
)
from inferd.telemetry.statistics import ModelStatistics
from support.instances import Unwatched

RUN_S = 0.010


class Stop:
    stopped = False

    def now(self) -> None:
        self.stopped = True


class PretendInstance:
    """Takes `RUN_S` for any batch; adds one to every element; 13 is poison."""

    def __init__(self) -> None:
        self.takes_s = RUN_S
        #: Whether a good request would be answered after one that was not.
        self.acquits = False
        self.batches: list[list[float]] = []
        self.stops: list[Stop] = []

    def stopper(self) -> Stop:
        self.stops.append(Stop())
        return self.stops[-1]

    def submit(self, batch: Batch, done: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(self.takes_s, self.finish, batch, done)

    def finish(self, batch: Batch, done: Callable[[], None]) -> None:
        self.run_here(batch)
        batch.began -= self.takes_s
        done()

    def run_here(self, batch: Batch) -> None:
        self.batches.append([float(each.inputs["x"][0]) for each in batch.requests])
        batch.run(self, asyncio.get_running_loop().time)
        if batch.failed and self.acquits:
            batch.acquit()

    def stop(self) -> Stop:
        return Stop()

    def run(self, inputs: Tensors, outputs: object, stop: object) -> list[NDArray[Any]]:
        if (inputs["x"] == 13).any():
            raise ModelFailed("13 is not supported")
        return [inputs["x"] + 1]


class Fixture:
    def __init__(
        self,
        *,
        max_batch: int = 4,
        max_queue: int = 8,
        guard_s: float = 0.001,
        inline_below_s: float = 0.0,
        kind: type[Scheduler] = Scheduler,
        permits: CorePermits | None = None,
        threads: int = 1,
        max_delay_s: float = 0.0,
    ) -> None:
        policy = Policy(
            max_batch=max_batch, max_queue=max_queue, guard_s=guard_s, max_delay_s=max_delay_s
        )
        self.latency = LatencyModel(buckets_of(max_batch))
        self.latency.seed(1, RUN_S)
        self.instance = PretendInstance()
        self.statistics = ModelStatistics("m", "1", latency_bounds_s=(0.1,), batch_bounds=(1, 4))
        self.loop = asyncio.get_running_loop()
        self.asked: list[Request] = []
        self.turns = Turns()
        self.scheduler = kind(policy, self.latency, self.turns)
        self.batcher = Batcher(
            self.scheduler,
            [self.instance],
            self.statistics,
            run_time=RunTime(buckets_of(max_batch)),
            inline_below_s=inline_below_s,
            guard_s=guard_s,
            clock=self.loop.time,
            watch=Unwatched(),
            permits=permits,
            threads=threads,
            turns=self.turns,
        )

    def ask(self, value: float, *, within_s: float = 1.0) -> Request:
        now = self.loop.time()
        request = Request(outputs=("y",), rows=1, deadline=now + within_s, arrived=now)
        request.inputs = {"x": np.array([value])}
        request.future = self.loop.create_future()
        self.batcher.admit(request)
        return request

    def ask_like_a_caller(self, value: float) -> Tensors | None:
        """Return the answer if there is one at once; queue the request if there is none."""
        now = self.loop.time()
        request = Request(outputs=("y",), rows=1, deadline=now + 1.0, arrived=now)
        request.inputs = {"x": np.array([value])}
        if self.batcher.runs_here(request):
            answer = self.batcher.run_here(request)
            if answer is not None:
                return answer
        self.batcher.admit(request)
        request.future = self.loop.create_future()
        self.asked.append(request)
        return None

    def leave(self, request: Request) -> None:
        request.future.cancel()
        self.batcher.cancel(request)


async def answer(request: Request) -> float:
    return float((await request.future)["y"][0])


async def test_what_arrives_in_one_turn_runs_in_one_batch() -> None:
    it = Fixture()

    requests = [it.ask(value) for value in (1, 2, 3)]

    assert [await answer(each) for each in requests] == [2, 3, 4]
    assert it.instance.batches == [[1, 2, 3]]


async def test_what_arrives_during_a_run_runs_next() -> None:
    it = Fixture()
    first = it.ask(1)
    await asyncio.sleep(RUN_S / 2)
    others = [it.ask(2), it.ask(3)]

    await asyncio.gather(*(answer(each) for each in (first, *others)))

    assert it.instance.batches == [[1], [2, 3]]


async def test_a_caller_who_left_the_queue_is_never_run() -> None:
    it = Fixture()
    first = it.ask(1)
    await asyncio.sleep(RUN_S / 2)
    gone, stays = it.ask(2), it.ask(3)
    it.leave(gone)

    assert [await answer(first), await answer(stays)] == [2, 4]
    assert it.instance.batches == [[1], [3]]


@pytest.mark.parametrize("who", [0, 1, 2])
async def test_a_caller_who_leaves_a_running_batch_harms_nobody(who: int) -> None:
    it = Fixture()
    requests = [it.ask(value) for value in (1, 2, 3)]
    await asyncio.sleep(RUN_S / 2)
    it.leave(requests[who])

    left = [each for at, each in enumerate(requests) if at != who]
    assert [await answer(each) for each in left] == [v + 1 for v in (1, 2, 3) if v != who + 1]
    assert not it.instance.stops[0].stopped


async def test_a_batch_that_everyone_has_left_is_stopped() -> None:
    it = Fixture()
    requests = [it.ask(value) for value in (1, 2)]
    await asyncio.sleep(RUN_S / 2)

    it.leave(requests[0])
    assert not it.instance.stops[0].stopped
    it.leave(requests[1])

    assert it.instance.stops[0].stopped


async def test_poison_fails_alone() -> None:
    it = Fixture()
    requests = [it.ask(value) for value in (1, 13, 2, 3)]

    assert [await answer(requests[at]) for at in (0, 2, 3)] == [2, 3, 4]
    with pytest.raises(ModelFailed, match="13 is not supported"):
        await requests[1].future


async def test_when_a_run_takes_too_long_the_late_hear_of_it_before_their_deadline() -> None:
    it = Fixture(max_batch=1)
    it.instance.takes_s = 0.050
    first = it.ask(1)
    await asyncio.sleep(0.001)
    second = it.ask(2, within_s=0.025)

    with pytest.raises(Expired):
        await second.future

    assert it.loop.time() <= 0.026 - RUN_S
    assert await answer(first) == 2
    assert it.instance.batches == [[1]]


async def test_nobody_is_given_up_long_before_it_is_too_late() -> None:
    it = Fixture(max_batch=1, max_queue=64)
    it.instance.takes_s = 1.0
    it.ask(0)
    await asyncio.sleep(0)
    early: list[float] = []

    async def waits(within_s: float) -> None:
        request = it.ask(1, within_s=within_s)
        with pytest.raises(Expired):
            await request.future
        early.append(within_s - RUN_S - 0.001 - it.loop.time())

    async with asyncio.TaskGroup() as tasks:
        for at in range(8):
            tasks.create_task(waits(0.1 + 0.005 * at))

    assert len(early) == 8
    assert all(0 <= each <= 0.0015 for each in early), "timers are a millisecond early, once"


async def test_a_running_member_is_told_at_its_deadline_and_the_rest_get_answers() -> None:
    it = Fixture()
    it.instance.takes_s = 0.050
    requests = [it.ask(1, within_s=0.0115), it.ask(2)]

    with pytest.raises(Expired):
        await requests[0].future

    assert it.loop.time() <= 0.0115
    assert await answer(requests[1]) == 3


async def test_the_hopeless_and_the_too_many_are_refused_at_once() -> None:
    it = Fixture(max_queue=1)

    with pytest.raises(Infeasible):
        it.ask(1, within_s=0.005)
    it.ask(2)
    with pytest.raises(Shed, match="Exceeds maximum queue size") as shed:
        it.ask(3)

    assert RUN_S <= (shed.value.retry_after_s or 0) <= 1.25 * RUN_S
    assert it.loop.time() == 0.0


async def test_who_cannot_be_served_in_time_hears_so_before_the_instance_is_free() -> None:
    it = Fixture(max_batch=1)
    it.ask(1)
    await asyncio.sleep(RUN_S / 2)

    with pytest.raises(Shed, match="too little time") as shed:
        it.ask(2, within_s=0.012)

    assert it.loop.time() == RUN_S / 2
    assert shed.value.retry_after_s == -1, "an idle run would not fit any more by then"


# -- what is counted -----------------------------------------------------------------------


async def test_nothing_is_wasted_where_everyone_gets_an_answer() -> None:
    it = Fixture()
    requests = [it.ask(value) for value in (1, 13, 2)]

    await asyncio.gather(*(each.future for each in requests), return_exceptions=True)

    assert it.statistics.wasted_s == 0, "that one of them is poison was not known"
    assert it.statistics.busy_s > 0
    assert it.statistics.instances == 1


async def test_what_was_run_for_those_who_left_or_were_late_was_wasted() -> None:
    it = Fixture()
    it.instance.takes_s = 0.050
    late, gone, *others = [it.ask(1, within_s=0.0115), *(it.ask(each) for each in (2, 3, 4))]
    await asyncio.sleep(RUN_S / 2)
    it.leave(gone)

    assert [await answer(each) for each in others] == [4, 5]

    with pytest.raises(Expired):
        await late.future
    assert it.statistics.wasted_s == pytest.approx(0.050 * 2 / 4)


async def test_how_long_a_batch_took_is_compared_with_what_was_predicted() -> None:
    it = Fixture()
    predicted_s = it.latency.predict(2)
    requests = [it.ask(value) for value in (1, 2)]

    await asyncio.gather(*(answer(each) for each in requests))

    assert it.statistics.prediction.count == 1
    assert it.statistics.prediction.sum == pytest.approx(RUN_S / predicted_s)


async def test_a_batch_that_was_run_in_pieces_says_nothing_of_predictions() -> None:
    it = Fixture()
    requests = [it.ask(value) for value in (1, 13)]

    await asyncio.gather(*(each.future for each in requests), return_exceptions=True)

    assert it.statistics.execution_count == 1
    assert it.statistics.prediction.count == 0


class Evicting(Scheduler):
    """Gives up the last in the queue whenever it is asked, for the sake of the others."""

    let_in: list[Request]

    def enter(self, now: float, ticket: Ticket) -> Drop | None:
        refused = super().enter(now, ticket)
        if refused is None:
            self.let_in = [*getattr(self, "let_in", []), cast(Request, ticket)]
        return refused

    def given_up(self, now: float) -> list[Drop]:
        victim = self.let_in.pop()
        self.cancel(victim)
        return [Drop(victim, Reason.SHED, retry_after_s=0.25)]


async def test_who_makes_room_for_others_is_told_so_and_counted() -> None:
    it = Fixture(kind=Evicting)
    stays, goes = it.ask(1), it.ask(2)

    with pytest.raises(Shed, match="had to make room for others") as evicted:
        await goes.future

    assert evicted.value.retry_after_s == 0.25
    assert await answer(stays) == 2
    assert it.instance.batches == [[1]]
    assert it.statistics.evicted_count == 1


async def test_who_is_late_has_not_made_room() -> None:
    it = Fixture(max_batch=1)
    it.instance.takes_s = 0.050
    first = it.ask(1)
    await asyncio.sleep(0.001)
    second = it.ask(2, within_s=0.025)

    with pytest.raises(Expired):
        await second.future

    assert await answer(first) == 2
    assert it.statistics.evicted_count == 0


# -- runs that are shorter than the way to a thread ----------------------------------------


async def test_a_short_run_that_comes_alone_happens_at_once() -> None:
    it = Fixture(inline_below_s=1.0)

    for value in (1, 2, 3):
        answer = it.ask_like_a_caller(value)
        assert answer is not None
        assert answer["y"].tolist() == [value + 1]
        await asyncio.sleep(0)

    assert it.instance.batches == [[1], [2], [3]]
    assert it.batcher.waiting() == 0


async def test_a_long_run_never_holds_up_the_loop() -> None:
    it = Fixture(inline_below_s=0.0)

    assert it.ask_like_a_caller(1) is None
    assert it.instance.batches == []


async def test_those_who_come_together_leave_together_without_a_thread() -> None:
    it = Fixture(inline_below_s=1.0)
    first = it.ask_like_a_caller(1)
    others = [it.ask_like_a_caller(value) for value in (2, 3, 4)]

    assert first is not None, "nobody knows yet that more are to come"
    assert others == [None, None, None]
    assert [await answer(each) for each in it.asked] == [3, 4, 5]
    assert it.instance.batches == [[1], [2, 3, 4]]
    assert it.loop.time() == 0.0


async def test_after_a_turn_with_many_the_first_of_the_next_waits_for_company() -> None:
    it = Fixture(inline_below_s=1.0)
    for value in (1, 2, 3):
        it.ask_like_a_caller(value)
    await asyncio.sleep(0)

    again = [it.ask_like_a_caller(value) for value in (4, 5)]
    await asyncio.sleep(0)
    alone = it.ask_like_a_caller(6)
    await asyncio.sleep(0)
    alone_again = it.ask_like_a_caller(7)

    assert again == [None, None]
    assert alone is None, "it comes after many"
    assert alone_again is not None
    assert it.instance.batches == [[1], [2, 3], [4, 5], [6], [7]]


async def test_poison_that_runs_at_once_is_its_callers_alone() -> None:
    it = Fixture(inline_below_s=1.0)

    it.instance.acquits = True

    with pytest.raises(Poison, match="13 is not supported"):
        it.ask_like_a_caller(13)
    await asyncio.sleep(0)

    assert it.ask_like_a_caller(1) is not None


async def test_nothing_runs_at_once_after_the_end() -> None:
    it = Fixture(inline_below_s=1.0)
    await it.batcher.drain()

    with pytest.raises(NotReady):
        it.ask_like_a_caller(1)


async def test_draining_answers_everyone_and_then_takes_no_more() -> None:
    it = Fixture(max_batch=1)
    requests = [it.ask(value) for value in (1, 2)]

    await it.batcher.drain()

    assert [await answer(each) for each in requests] == [2, 3]
    with pytest.raises(NotReady):
        it.ask(3)


async def test_draining_an_idle_batcher_returns() -> None:
    await Fixture().batcher.drain()


async def test_models_that_share_a_core_take_turns_the_most_urgent_first() -> None:
    permits = CorePermits(1)
    first, patient, urgent = (Fixture(permits=permits) for _ in range(3))
    running = first.ask(1.0)
    await asyncio.sleep(RUN_S / 10)
    waiting = [patient.ask(2.0, within_s=0.5), urgent.ask(3.0, within_s=0.1)]
    await asyncio.sleep(RUN_S / 10)
    waiting += [patient.ask(4.0, within_s=0.5), first.ask(5.0, within_s=0.9)]

    await asyncio.gather(*(each.future for each in (running, *waiting)))

    order = sorted((each.run_began, each.inputs["x"][0]) for each in (running, *waiting))
    assert [value for _, value in order] == [1.0, 3.0, 2.0, 4.0, 5.0]
    assert patient.instance.batches == [[2.0, 4.0]], "who waits for a core gets company"
    assert patient.turns.seconds > urgent.turns.seconds > 0.0


async def test_who_leaves_while_waiting_for_a_core_holds_nobody_up() -> None:
    permits = CorePermits(1)
    first, leaving, last = (Fixture(permits=permits) for _ in range(3))
    running = first.ask(1.0)
    await asyncio.sleep(RUN_S / 10)
    gone, waiting = leaving.ask(2.0, within_s=0.1), last.ask(3.0)
    await asyncio.sleep(RUN_S / 10)

    gone.future.cancel()
    leaving.batcher.cancel(gone)

    await asyncio.wait_for(asyncio.gather(running.future, waiting.future), 1.0)
    assert leaving.instance.batches == []


async def test_who_waits_for_a_core_in_vain_is_told_in_time() -> None:
    permits = CorePermits(1)
    first, late = Fixture(permits=permits), Fixture(permits=permits)
    first.instance.takes_s = 20 * RUN_S
    running = first.ask(1.0)
    await asyncio.sleep(RUN_S / 10)
    waiting = late.ask(2.0, within_s=3 * RUN_S)

    with pytest.raises(Expired):
        await waiting.future

    assert asyncio.get_running_loop().time() <= waiting.deadline
    await running.future


async def test_a_run_on_the_event_loop_needs_no_core() -> None:
    permits = CorePermits(1)
    first, short = Fixture(permits=permits), Fixture(permits=permits, inline_below_s=1.0)
    running = first.ask(1.0)
    await asyncio.sleep(RUN_S / 10)

    together = [short.ask(2.0), short.ask(3.0)]
    await asyncio.gather(*(each.future for each in together))

    assert not running.future.done()
    await running.future


class CountsLooks(Scheduler):
    looks = 0

    def given_up(self, now: float) -> list[Drop]:
        self.looks += 1
        assert self.looks < 100  # or a loop that never waits would keep the test for ever
        return super().given_up(now)


async def test_who_has_waited_for_company_and_now_for_a_core_does_not_keep_the_loop_busy() -> None:
    permits = CorePermits(1)
    first = Fixture(permits=permits)
    delays = Fixture(permits=permits, max_delay_s=RUN_S / 10, kind=CountsLooks)
    running = first.ask(1.0)
    await asyncio.sleep(RUN_S / 10)

    waiting = delays.ask(2.0)
    await asyncio.gather(running.future, waiting.future)

    assert waiting.picked == running.run_ended
    assert cast(CountsLooks, delays.scheduler).looks < 20


async def test_who_has_waited_for_company_is_not_due_at_once() -> None:
    permits = CorePermits(1)
    first, meek = Fixture(permits=permits), Fixture(permits=permits)
    delays = Fixture(permits=permits, max_delay_s=RUN_S / 100)
    running = first.ask(1.0)
    await asyncio.sleep(RUN_S / 10)
    waiting = [delays.ask(2.0)]
    await asyncio.sleep(RUN_S / 10)
    waiting.append(meek.ask(3.0))

    await asyncio.gather(*(each.future for each in (running, *waiting)))

    assert waiting[1].picked == running.run_ended < waiting[0].picked


async def test_a_model_that_may_wait_for_company_does_not_go_before_all_others() -> None:
    permits = CorePermits(1)
    greedy, meek = Fixture(permits=permits, max_delay_s=RUN_S / 100), Fixture(permits=permits)
    asked = []
    for at in range(30):
        if greedy.batcher.waiting() < 4:
            asked += [greedy.ask(1.0) for _ in range(4)]
        if at == 4:
            waiting = meek.ask(2.0, within_s=5 * RUN_S)
        await asyncio.sleep(RUN_S / 2)

    assert await answer(waiting) == 3.0
    await asyncio.gather(*(each.future for each in asked))


async def test_who_leaves_lets_others_take_the_cores_that_were_kept_for_it() -> None:
    permits = CorePermits(2)
    first, small = Fixture(permits=permits), Fixture(permits=permits)
    large = Fixture(permits=permits, threads=2)
    running = first.ask(1.0)
    await asyncio.sleep(RUN_S / 10)
    gone = large.ask(2.0, within_s=0.1)
    await asyncio.sleep(RUN_S / 10)
    waiting = small.ask(3.0)
    await asyncio.sleep(RUN_S / 10)
    assert not small.instance.stops, "a core is free, but somebody more urgent waits for both"

    large.leave(gone)
    await asyncio.sleep(RUN_S / 10)

    assert small.instance.stops, "while the first still runs"
    await asyncio.gather(running.future, waiting.future)


async def test_work_on_another_device_waits_for_nobody() -> None:
    permits = CorePermits(1)
    first, second = Fixture(permits=permits), Fixture(permits=permits)
    device = Fixture(permits=permits, threads=0)
    running = [first.ask(1.0)]
    await asyncio.sleep(RUN_S / 10)
    running.append(second.ask(2.0, within_s=0.1))
    await asyncio.sleep(RUN_S / 10)

    on_device = device.ask(3.0)
    await asyncio.gather(on_device.future, *(each.future for each in running))

    assert on_device.picked < running[0].run_ended


async def test_poison_makes_batches_smaller_and_leavers_do_not() -> None:
    it = Fixture()
    for _ in range(3):
        requests = [it.ask(value) for value in (1, 2)]
        await asyncio.sleep(RUN_S / 2)
        for request in requests:
            it.leave(request)
        await asyncio.sleep(2 * RUN_S)

    async def sizes_of_batches() -> list[int]:
        """Have four good inputs run that come together, and return the rows of each batch."""
        it.instance.batches.clear()
        await asyncio.gather(*(it.ask(value).future for value in (1, 2, 3, 4)))
        return [len(batch) for batch in it.instance.batches]

    after_leavers = await sizes_of_batches()
    for _ in range(80):
        requests = [it.ask(value) for value in (1, 13, 2, 13)]
        await asyncio.gather(*(each.future for each in requests), return_exceptions=True)

    assert after_leavers == [4]
    assert await sizes_of_batches() == [1, 1, 1, 1]
