"""The instances of one model version: who serves, who was taken out, who is being built anew.

An instance that fails run after run goes, and so does one whose run hangs; inputs that the model
fails at are no fault of it (`control` tells). The successor is a new session that runs every size
before it serves, as after a load, and then a trial on its own thread.

What is decided is decided in `inferd.resilience.outliers`; here are the waits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from inferd.deadline import Clock
from inferd.errors import LoadFailed, ModelFailed, NotReady
from inferd.inference.batch import Batch
from inferd.inference.faulty import Point, any_broken
from inferd.inference.request import Request
from inferd.inference.scheduling import LatencyModel
from inferd.inference.warmup import Sample
from inferd.inference.watch import Instance
from inferd.resilience.outliers import Outliers
from inferd.telemetry.statistics import ModelStatistics

log = logging.getLogger(__name__)

#: How long a thread may take to end once its version is unloaded.
THREAD_END_S = 5.0


class Thread(Instance, Protocol):
    """An instance that can be done without: a `Worker`, or a test's stand-in."""

    @property
    def session(self) -> object:
        """What it runs, perhaps together with others."""

    def leave(self) -> None:
        """End after the last batch, whenever that will be."""

    def close(self, *, timeout_s: float) -> None:
        """End after the last batch, and wait for that a while. Blocks."""


Build = Callable[[int], Awaitable[Thread]]
"""Returns a new instance for an index, warm, or raises `LoadFailed`."""


class Service(Protocol):
    """Where instances serve: a `Batcher`."""

    def put_in(self, instance: Instance) -> None:
        """Have a new instance serve, too."""


@dataclass(frozen=True, slots=True)
class InstanceState:
    """What there is to say of one instance."""

    index: int
    in_service: bool
    #: Why it is not, or was not last.
    why: str
    ejections: int


@dataclass(slots=True, eq=False)
class _Seat:
    """The place of one instance, whoever has it."""

    index: int
    thread: Thread | None
    why: str = ""
    ejections: int = 0


class Instances:
    """Watches over the instances of a version. Lives on the event loop."""

    service: Service
    """Set once, before anybody is asked."""

    def __init__(
        self,
        threads: Sequence[Thread],
        statistics: ModelStatistics,
        outliers: Outliers,
        *,
        trial: Sample,
        outputs: tuple[str, ...],
        latency: LatencyModel,
        session_bytes: int,
        build: Build,
        points: Collection[Point] = (),
        changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        """Try successors with `trial`, a request that the model is known to answer.

        `points` are where any of them can be broken on purpose; `changed` is called when the last
        instance has gone, or the first is back.
        """
        self._seats = [_Seat(index, thread) for index, thread in enumerate(threads)]
        self._statistics = statistics
        self._outliers = outliers
        self._trial = trial
        self._outputs = outputs
        self._latency = latency
        self._session_bytes = session_bytes
        self._build = build
        self._points = points
        self._changed = changed
        self._clock = clock
        self._name = f"{statistics.model}/{statistics.version}"
        #: One is built at a time: whoever serves needs the cores.
        self._building = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        #: When somebody will be built next, and how long that took last.
        self._retry_at = self._build_s = 0.0
        self._count_memory()

    def listing(self) -> list[InstanceState]:
        """Return what there is to say of each."""
        return [
            InstanceState(seat.index, seat.thread is not None, seat.why, seat.ejections)
            for seat in self._seats
        ]

    def trouble(self) -> str:
        """Return why not all of them serve; nothing, if they do."""
        out = [seat for seat in self._seats if seat.thread is None]
        if not out:
            return ""
        return f"{len(out)} of {len(self._seats)} instances are out of service: {out[0].why}"

    async def close(self) -> None:
        """Build nothing any more, and let the threads end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for seat in self._seats:
            if seat.thread is not None:
                await asyncio.to_thread(seat.thread.close, timeout_s=THREAD_END_S)

    # -- what the batcher asks ---------------------------------------------------------

    @property
    def broken(self) -> bool:
        """Whether something is wrong on purpose, so that no run may hold up the event loop."""
        # Asked before every run; unless faults are enabled, there are no points.
        return bool(self._points) and any_broken(self._points)

    @property
    def all_well(self) -> bool:
        """Whether a good run is no news."""
        return self._outliers.all_well

    def limit_s(self, predicted_s: float) -> float:
        """Return how long a run may take that was predicted to take so long."""
        return self._outliers.limit_s(predicted_s)

    def overdue_s(self, predicted_s: float) -> float:
        """Return after how long a run that everybody has left counts as a failed one."""
        return self._outliers.overdue_s(predicted_s)

    def passes(self, instance: Instance, *, good: bool) -> bool:
        """Note a run; whether another may follow."""
        return not self._outliers.ran(self._seat_of(instance).index, good=good)

    def replace(self, instance: Instance, why: str) -> None:
        """Let an instance go, and build a successor."""
        seat = self._seat_of(instance)
        log.warning("%s#%d is taken out of service: %s", self._name, seat.index, why)
        if seat.thread is not None:
            seat.thread.leave()
        seat.thread, seat.why = None, why
        seat.ejections += 1
        self._statistics.ejections += 1
        self._count_memory()
        name = f"instance {self._name}#{seat.index}"
        task = asyncio.get_running_loop().create_task(
            self._replace(seat, self._pause_s(seat)), name=name
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not self._statistics.instances:
            self._changed()

    def absence(self) -> NotReady:
        """Return why nobody serves."""
        model, version = self._statistics.model, self._statistics.version
        rest_s = self._retry_at - self._clock()
        return NotReady(
            f"'{model}' version {version} has no instance in service: {self.trouble()}",
            retry_after_s=rest_s if rest_s > 0 else None,
        )

    # -- successors ----------------------------------------------------------------------

    def _count_memory(self) -> None:
        """Tell what the sessions take. One that hangs may still be there, and does not count."""
        sessions = {id(seat.thread.session) for seat in self._seats if seat.thread}
        self._statistics.memory_bytes = self._session_bytes * len(sessions)

    def _seat_of(self, instance: Instance) -> _Seat:
        return next(seat for seat in self._seats if seat.thread is instance)

    def _pause_s(self, seat: _Seat) -> float:
        pause_s = self._outliers.pause_s(seat.index, self._build_s)
        self._retry_at = self._clock() + pause_s
        return pause_s

    async def _replace(self, seat: _Seat, pause_s: float) -> None:
        """Build a successor, after a pause, until one does well."""
        while True:
            await asyncio.sleep(pause_s)
            async with self._building:
                problem = await self._successor(seat)
            if not problem:
                return
            if problem != seat.why:
                log.warning("%s#%d cannot be rebuilt: %s", self._name, seat.index, problem)
            seat.why = problem
            pause_s = self._pause_s(seat)

    async def _successor(self, seat: _Seat) -> str:
        """Put a new instance into service, or return why there is none."""
        began = self._clock()
        try:
            thread = await self._build(seat.index)
        except LoadFailed as failure:
            return str(failure)
        except Exception as error:
            log.exception("rebuilding %s#%d", self._name, seat.index)
            return f"{type(error).__name__} while rebuilding; see the log"
        finally:
            self._build_s = self._clock() - began
        try:
            problem = await self._problem(thread)
            if not problem:
                seat.thread = thread
        finally:
            if seat.thread is None:
                thread.leave()
        if seat.thread is not None:
            self._count_memory()
            self._statistics.rebuilds += 1
            log.info("%s#%d is back in service", self._name, seat.index)
            self.service.put_in(seat.thread)
            if self._statistics.instances == 1:
                self._changed()
        return problem

    async def _problem(self, instance: Instance) -> str:
        """Return what is wrong with an instance; nothing, if it answers the trial request.

        That needs a core, and does not wait for one: it is one small run, and rare.
        """
        now, done = self._clock(), asyncio.Event()
        trial = self._trial
        request = Request(outputs=self._outputs, rows=trial.rows, deadline=now, arrived=now)
        request.inputs = trial.inputs
        request.future = asyncio.get_running_loop().create_future()
        batch = Batch([request], instance.stopper())
        instance.submit(batch, done.set)
        try:
            async with asyncio.timeout(self._outliers.limit_s(self._latency.predict(trial.rows))):
                await done.wait()
        except TimeoutError:
            return "a run hung"
        finally:
            batch.end()
        result = batch.results[0]
        return str(result) if isinstance(result, ModelFailed) else ""
