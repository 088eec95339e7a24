"""The instances of one model version: who serves, who was taken out, who is being built anew.

An instance that is suspect, because nobody got a right answer from its last runs, is tried with an
input that it has answered before: one caller's poison is no fault of the model. If it fails at
that, too, or a run of it hangs, it goes for good. Its successor is a new session that runs every
size before it serves, as after a load, and then the same trial, on its own thread.

What is decided is decided in `inferd.resilience.outliers`; here are the waits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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

    def take_out(self, instance: Instance) -> None:
        """Do without an instance."""

    def put_in(self, instance: Instance) -> None:
        """Have a new instance serve, too."""

    def put_back(self, instance: Instance) -> None:
        """Have an instance serve again that was only looked at."""


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
        """Try suspects with `trial`, a request that the model is known to answer.

        `points` are where any of them can be broken on purpose.

        `changed` is called when the first instance is there again, or the last has gone.
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
        self._retry_at = 0.0
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
        return any_broken(self._points)

    @property
    def all_well(self) -> bool:
        """Whether a good run is no news."""
        return self._outliers.all_well

    def limit_s(self, predicted_s: float) -> float:
        """Return how long a run may take that was predicted to take so long."""
        return self._outliers.limit_s(predicted_s)

    def passes(self, instance: Instance, *, good: bool) -> bool:
        """Note a run; whether another may follow. If not, the instance is tried."""
        seat = self._seat_of(instance)
        if not self._outliers.ran(seat.index, good=good):
            return True
        self._begin(self._try(seat, instance), seat)
        return False

    def hung(self, instance: Instance) -> None:
        """Replace an instance whose run took too long, and may never end."""
        seat = self._seat_of(instance)
        self._eject(seat, "a run hung")
        self._begin(self._replace(seat), seat)

    def absence(self) -> NotReady:
        """Return why nobody serves."""
        model, version = self._statistics.model, self._statistics.version
        rest_s = self._retry_at - self._clock()
        return NotReady(
            f"'{model}' version {version} has no instance in service: {self.trouble()}",
            retry_after_s=rest_s if rest_s > 0 else None,
        )

    # -- trials and successors -----------------------------------------------------------

    def _count_memory(self) -> None:
        """Tell what the sessions take. One that hangs may still be there, and does not count."""
        sessions = {id(seat.thread.session) for seat in self._seats if seat.thread}
        self._statistics.memory_bytes = self._session_bytes * len(sessions)

    def _seat_of(self, instance: Instance) -> _Seat:
        return next(seat for seat in self._seats if seat.thread is instance)

    def _begin(self, work: Coroutine[Any, Any, None], seat: _Seat) -> None:
        name = f"instance {self._name}#{seat.index}"
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(self, seat: _Seat, instance: Instance) -> None:
        """Let a suspect serve on if it does well with a good input."""
        problem = await self._problem(instance)
        if not problem:
            self._outliers.acquitted(seat.index)
            self.service.put_back(instance)
            return
        self.service.take_out(instance)
        self._eject(seat, problem)
        await self._replace(seat)

    def _eject(self, seat: _Seat, why: str) -> None:
        log.warning("%s#%d is taken out of service: %s", self._name, seat.index, why)
        if seat.thread is not None:
            seat.thread.leave()
        seat.thread, seat.why = None, why
        seat.ejections += 1
        self._count_memory()
        self._statistics.ejections += 1
        if not self._statistics.instances:
            self._changed()

    async def _replace(self, seat: _Seat) -> None:
        """Build a successor, after a pause, until one does well."""
        while True:
            pause_s = self._outliers.pause_s(seat.index)
            self._retry_at = self._clock() + pause_s
            await asyncio.sleep(pause_s)
            async with self._building:
                problem = await self._successor(seat)
            if not problem:
                return
            if problem != seat.why:
                log.warning("%s#%d cannot be rebuilt: %s", self._name, seat.index, problem)
            seat.why = problem

    async def _successor(self, seat: _Seat) -> str:
        """Put a new instance into service, or return why there is none."""
        try:
            thread = await self._build(seat.index)
        except LoadFailed as failure:
            return str(failure)
        except Exception as error:
            log.exception("rebuilding %s#%d", self._name, seat.index)
            return f"{type(error).__name__} while rebuilding; see the log"
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
