"""Answers single requests by running batches: the scheduler's shell.

It has the clock, the futures and the instances; every decision is the scheduler's.
Callers in a batch are strangers: whatever happens to one of them - cancelled, late,
refused, poisonous - the others never notice.

A request is admitted, or refused, the moment it arrives; what runs is decided when the turn
of the event loop is over, so that a burst becomes a batch and not a batch of one with a queue
behind it. Only what comes alone, turn after turn, runs without waiting for the turn's end.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, cast

from inferd.deadline import Clock
from inferd.errors import Infeasible, InferdError, ModelFailed, NotReady, Shed
from inferd.inference.active import Active, late
from inferd.inference.batch import Batch, Stopper
from inferd.inference.permits import CorePermits
from inferd.inference.request import Request, Tensors
from inferd.inference.scheduling import Drop, Reason, Resizable, Run, RunTime, Turns
from inferd.inference.watch import Instance, Watch
from inferd.telemetry.statistics import ModelStatistics

#: libuv's timers have whole milliseconds: ask that much early rather than be late.
TIMER_RESOLUTION_S = 0.001
#: One in so many runs on the loop is learnt from: they are short, many and much alike.
LEARN_EVERY = 8

#: Why those are given up who were let in and are not late.
_MADE_ROOM = frozenset({Reason.SHED, Reason.QUEUE_FULL})
_EVICTED = "the request had to make room for others"


class BatchTracer(Protocol):
    """Records a batch as a span that links to those of its members."""

    def batch(
        self, model: str, version: str, members: Sequence[object], *, rows: int, closed: str,
        start_s: float, end_s: float,
    ) -> None:  # fmt: skip
        """Record one batch; `members` are the spans of the traced requests in it."""


class Batcher:
    """Runs the requests to one model version. Lives on the event loop."""

    def __init__(
        self,
        scheduler: Resizable,
        instances: Sequence[Instance],
        statistics: ModelStatistics,
        *,
        run_time: RunTime,
        inline_below_s: float,
        guard_s: float,
        clock: Clock,
        watch: Watch,
        tracer: BatchTracer | None = None,
        permits: CorePermits | None = None,
        threads: int = 1,
        turns: Turns | None = None,
    ) -> None:
        """Take `permits` for the `threads` of each run, and note in `turns` how long that took.

        No threads: the work is another device's, and needs no core. `watch` is told how runs
        went, and decides who serves.
        """
        self._watch = watch
        #: Whether the watch wants to know of good runs, too.
        self._wary = False
        self._permits = permits if threads else None
        self._threads = threads
        self._turns = turns or Turns()
        #: Whether the next batch waits for cores, and is called when there are some.
        self._held = False
        self._scheduler = scheduler
        self._idle = list(instances)
        self._statistics = statistics
        #: Decides what runs on the loop.
        self._run_time = run_time
        self._inline_below_s = inline_below_s
        self._guard_s = guard_s
        self._clock = clock
        self._tracer = tracer
        self._loop = asyncio.get_running_loop()
        #: Requests admitted in this turn of the loop, and whether there were more in the last.
        self._this_turn = 0
        self._in_bulk = False
        self._active: list[Active] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._ran_here = 0
        self._never: Stopper | None = None
        #: Says why nobody is let in, while that is so.
        self._refusal: Callable[[], InferdError] | None = None
        self._drained: asyncio.Event = asyncio.Event()
        statistics.queue_depth = self.waiting
        statistics.instances = len(instances)

    def waiting(self) -> int:
        """Return the requests that have not left the queue."""
        return len(self._scheduler)

    def admit(self, request: Request) -> None:
        """Queue a request, or raise why not. It needs no tensors before it is looked at.

        That is after the caller has given up the event loop: by then it has its inputs, and
        a future, which gets the answer, or the reason for none.
        """
        if self._refusal is not None:
            raise self._refusal()
        drop = self._scheduler.enter(self._clock(), request)
        if drop is not None:
            raise _error_of(drop)
        self._count_in_turn()

    def cancel(self, request: Request) -> None:
        """Forget a request whose caller has gone."""
        if not self._scheduler.cancel(request):
            self._stop_if_deserted(request)
        elif self._held and not self.waiting():
            self._let_pass()
        self._notice_drained()

    async def drain(self) -> None:
        """Return when every request taken in has been answered; then take in no more."""
        while self.waiting() or self._active:
            self._drained.clear()
            await self._drained.wait()
        self._refusal = _closed
        if self._timer:
            self._timer.cancel()

    # -- instances come and go ---------------------------------------------------------

    def _take_out(self, instance: Instance, why: str) -> None:
        """Do without an instance, which is not idle. Without any, nobody need wait."""
        self._wary = True
        self._resize(-1)
        self._watch.replace(instance, why)
        if not self._statistics.instances and self._refusal is None:
            self._refusal = self._watch.absence
            self._send_away()
        if not self._idle:
            self._let_pass()

    def _send_away(self) -> None:
        """Tell all who wait that nobody serves."""
        for ticket in self._scheduler.waiting():
            self._scheduler.cancel(ticket)
            request = cast(Request, ticket)
            if not request.gone:
                request.future.set_exception(self._watch.absence())

    def put_in(self, instance: Instance) -> None:
        """Have a new instance serve, too."""
        self._resize(+1)
        if self._refusal == self._watch.absence:
            self._refusal = None
        self._idle.append(instance)
        self.look()

    def _resize(self, by: int) -> None:
        self._statistics.instances += by
        self._scheduler.resize(self._statistics.instances)

    # -- one look: drop, run ---------------------------------------------------------

    def _count_in_turn(self) -> None:
        if not self._this_turn:
            self._loop.call_soon(self._turn_over)
        self._this_turn += 1

    def _turn_over(self) -> None:
        self._in_bulk = self._this_turn > 1
        self._this_turn = 0
        if len(self._scheduler):
            self.look()

    def look(self) -> None:
        """Drop who is late, and run what can be run now."""
        self._look(self._clock())

    def _look(self, now: float) -> None:
        self._refuse(self._scheduler.given_up(now))
        self._look_at_runs(now)
        while self._idle and (started := self._next(now)):
            now = self._clock()  # what was decided may have been decided a little ahead of time
            self._start(*started, now)
        self._set_timer(now)
        self._notice_drained()

    def _next(self, now: float) -> tuple[Run, int] | None:
        """Return the batch that should start now, and the permits that it has for its cores."""
        scheduler, permits, threads = self._scheduler, self._permits, self._threads
        if permits is not None and not len(scheduler):
            self._let_pass()
            return None
        if permits is None or self._is_short(len(scheduler)):
            run = scheduler.pick(now)
            return (run, 0) if run else None
        self._held = not permits.take(threads, self, now)
        if self._held:
            self._turns.hold(now)
            return None
        run = scheduler.pick(now)
        if run is None:
            permits.give_back(threads)
            return None
        self._turns.go(now)
        return run, threads

    def due(self, now: float) -> float:
        """Return when the next batch must have started; infinity: nobody knows."""
        wake = self._scheduler.wake_at(now)
        return wake if wake > now else math.inf  # it could leave at once, and may have time or not

    def _let_pass(self) -> None:
        """Wait for cores no more: there is nothing to run."""
        if self._held and self._permits is not None:
            self._held = False
            self._permits.withdraw(self)
            self._turns.give_up()

    def _start(self, run: Run, permits: int, now: float) -> None:
        run.picked_at = now
        requests = cast(Sequence[Request], run.tickets)
        for request in requests:
            request.picked, request.batch_rows = now, run.rows
        if self._is_short(run.rows):
            self._settle(run, self._run_on_loop(requests))
            self._give_back(permits)
            return
        instance = self._idle.pop()
        batch = Batch(requests, instance.stopper())
        active = Active(
            run,
            batch,
            instance,
            permits=permits,
            limit_s=self._watch.limit_s(run.predicted_s),
            guard_s=self._guard_s,
            now=now,
        )
        self._active.append(active)
        instance.submit(batch, partial(self._come_back, active))

    def _give_back(self, permits: int) -> None:
        if self._permits is not None and permits:
            self._permits.give_back(permits)

    def _come_back(self, active: Active) -> None:
        if active not in self._active:
            return  # it was taken for hung, and nobody waits for it any more
        self._active.remove(active)
        self._idle.append(active.instance)
        self._give_back(active.permits)
        run = active.run
        took_s = self._clock() - run.picked_at
        self._note(active.instance, active.batch, took_s >= self._watch.overdue_s(run.predicted_s))
        self._settle(run, active.batch)
        self._look(self._clock())

    def _note(self, instance: Instance, batch: Batch, overdue: bool = False) -> None:
        """Tell the watch how a run went, and do without the instance if it says so.

        One that was stopped, because all had left, says nothing unless it was `overdue`.
        """
        failed = batch.failed
        if not (failed or self._wary) or (failed and batch.stopped and not overdue):
            return
        passes = self._watch.passes(instance, good=not failed)
        self._wary = not self._watch.all_well
        if not passes:
            self._idle.remove(instance)
            self._take_out(instance, str(batch.results[0]))

    # -- the short way: no thread, and for those who come alone no queue --------------

    def _is_short(self, rows: int) -> bool:
        """Whether a run takes less than the way to a thread and back."""
        return self._run_time.predict(rows) < self._inline_below_s and not self._watch.broken

    def runs_here(self, request: Request) -> bool:
        """Whether to run a request at once: it is short and, as far as is known, alone."""
        alone = not (self._this_turn or self._in_bulk or self._active)
        return alone and self._is_short(request.rows)

    def run_here(self, request: Request) -> Tensors | None:
        """Run one request on the event loop, now, or return None if it must wait after all.

        Raises why there is no answer.
        """
        if self._refusal is not None:
            raise self._refusal()
        now = self._clock()
        run = self._scheduler.run_at_once(now, request)
        if run is None:
            return None
        self._count_in_turn()
        if isinstance(run, Drop):
            raise _error_of(run)
        request.picked, request.batch_rows = now, run.rows
        batch = self._run_on_loop((request,))
        self._ran_here += 1
        now = self._learn(run, batch, learn=self._ran_here % LEARN_EVERY == 0)
        if now > request.deadline:
            self._statistics.wasted(batch.ended - batch.began)
        request.run_began, request.run_ended = batch.assembled, batch.computed
        result = batch.results[0]
        if isinstance(result, ModelFailed):
            raise type(result)(str(result))
        return result

    def _run_on_loop(self, requests: Sequence[Request]) -> Batch:
        instance = self._idle[-1]
        # Nobody can leave while the loop is busy: one that is never used does for all.
        self._never = self._never or instance.stopper()
        batch = Batch(requests, self._never)
        instance.run_here(batch)
        self._note(instance, batch)
        return batch

    # -- what came of it ------------------------------------------------------------

    def _settle(self, run: Run, batch: Batch) -> None:
        """Learn from a batch that has been run, and answer its members."""
        now = self._learn(run, batch)
        began, ended, lost = batch.assembled, batch.computed, 0
        for request, result in zip(batch.requests, batch.results, strict=True):
            request.run_began, request.run_ended = began, ended
            future = request.future
            if future.done():
                lost += 1
                continue
            if isinstance(result, ModelFailed):
                future.set_exception(type(result)(str(result)))
            elif now > request.deadline:
                lost += 1
                future.set_exception(late())
            else:
                future.set_result(result)
        if lost:
            share = lost / len(batch.requests)
            self._statistics.wasted((batch.ended - batch.began) * share)
        # Runs when all of them have been resumed, and have sent their answers.
        self._loop.call_soon(self._answered, now)

    def _answered(self, since: float) -> None:
        self._scheduler.answered(self._clock() - since)

    def _learn(self, run: Run, batch: Batch, *, learn: bool = True) -> float:
        """Give the scheduler a run back, and count the batch. Returns the time."""
        now = self._clock()
        if not batch.clean:
            learn = False
            # One that was stopped, because all had left, did not fail.
            run.failed = len(batch.requests) > 1 and not all(each.gone for each in batch.requests)
        self._scheduler.finished(now, run, learn=learn)
        if learn:
            self._run_time.observe(run.rows, batch.computed - batch.assembled)
            self._statistics.predicted(run.predicted_s, now - run.picked_at)
        self._statistics.batch_done(
            size=len(batch.requests),
            rows=run.rows,
            reason=run.closed,
            input_s=batch.assembled - batch.began,
            infer_s=batch.computed - batch.assembled,
            output_s=batch.ended - batch.computed,
            padding=batch.padding,
        )
        if self._tracer is not None:
            self._trace(self._tracer, run, batch)
        return now

    def _trace(self, tracer: BatchTracer, run: Run, batch: Batch) -> None:
        spans = [request.span for request in batch.requests if request.span is not None]
        if spans:
            tracer.batch(
                self._statistics.model,
                self._statistics.version,
                spans,
                rows=run.rows,
                closed=run.closed,
                start_s=batch.began,
                end_s=batch.ended,
            )

    # -- those who get no answer --------------------------------------------------

    def _refuse(self, drops: Sequence[Drop]) -> None:
        for drop in drops:
            request = cast(Request, drop.ticket)
            if request.gone:
                continue
            if drop.reason in _MADE_ROOM:
                self._statistics.evicted()
                error: InferdError = Shed(_EVICTED, retry_after_s=drop.retry_after_s)
            else:
                error = _error_of(drop)
            request.future.set_exception(error)

    def _look_at_runs(self, now: float) -> None:
        """Answer the members of running batches who are about to be late; give up what hangs."""
        for active in self._active[:]:
            if active.wake_at <= now:
                hangs = active.hangs(now)
                active.expire(now)
                if hangs:
                    self._give_up(active, now)

    def _give_up(self, active: Active, now: float) -> None:
        """Go on without a run that hangs, and without its instance."""
        self._active.remove(active)
        self._give_back(active.permits)
        self._scheduler.finished(now, active.run, learn=False)
        took_s = now - active.run.picked_at
        self._statistics.wasted(took_s)
        active.fail(f"the model did not answer within {took_s * 1e3:.0f} ms and was given up")
        self._take_out(active.instance, "a run hung")

    def _stop_if_deserted(self, request: Request) -> None:
        for active in self._active:
            if request in active.batch.requests:
                if all(each.gone for each in active.batch.requests):
                    active.batch.end()
                return

    # -- when to look again -------------------------------------------------------

    def _set_timer(self, now: float) -> None:
        """Wake up for the next decision that nothing else will wake us for."""
        wake = self._scheduler.wake_at(now)
        if self._held:  # what could leave at once would wake the loop at once, again and again
            wake = max(wake, now + 2 * TIMER_RESOLUTION_S)
        for active in self._active:
            wake = min(wake, active.wake_at)
        # A timer that rings too early costs one look; re-arming costs every call.
        if wake >= self._timer_at or wake == math.inf:
            return
        if self._timer:
            self._timer.cancel()
        self._timer_at = wake
        # From the clock: `now` may be ahead of it, and the next `now` would be further ahead.
        delay = max(0.0, wake - self._clock() - TIMER_RESOLUTION_S)
        self._timer = self._loop.call_later(delay, self._ring)

    def _ring(self) -> None:
        # Up to a millisecond early: act as if it were time, or the loop would spin until then.
        due, self._timer, self._timer_at = self._timer_at, None, math.inf
        self._look(max(self._clock(), due))

    def _notice_drained(self) -> None:
        if not self._active and not self.waiting():
            self._drained.set()


def _closed() -> InferdError:
    return NotReady("the model version has been unloaded", retry_after_s=None)


def _error_of(drop: Drop) -> InferdError:
    match drop.reason:
        case Reason.SHED:
            text = "the requests before this one leave it too little time"
            return Shed(text, retry_after_s=drop.retry_after_s)
        case Reason.INFEASIBLE:
            return Infeasible("the time left until the deadline is shorter than a run of the model")
        case Reason.QUEUE_FULL:
            return Shed("Exceeds maximum queue size", retry_after_s=drop.retry_after_s)
        case _:
            return late()
