"""Python that computes, on a few threads of its own, while the event loop serves others.

Work that waits for a thread makes answers late, so only so much may wait: what comes on top is
refused at once. What nobody waits for any more is not begun; what has been begun is finished, for
nobody. The threads are daemons: a function that never returns does not keep a dying process alive.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from inferd.errors import Exhausted
from inferd.telemetry.threads import name_this_thread

log = logging.getLogger(__name__)

T = TypeVar("T")

END_S = 1.0
"""How long `close` waits for functions to return."""


class Executor:
    """Runs functions on threads. Lives on the event loop."""

    def __init__(self, threads: int, *, most_waiting: int) -> None:
        """Start a thread when it is first needed; let at most so many calls wait for one."""
        self._most = threads
        self._most_waiting = most_waiting
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        #: In the order in which they came.
        self._waiting: dict[asyncio.Future[Any], _Job] = {}
        #: On threads, whether anybody still waits for it or not.
        self.running = 0
        self.finished = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return len(self._waiting)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises.

        Raises `Exhausted` at once where too many wait already.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = _Job(work, loop, future)
        if self.running < self._most:
            self._begin(job)
        elif len(self._waiting) < self._most_waiting:
            self._waiting[future] = job
        else:
            self.refused += 1
            raise Exhausted(f"{self.running} functions run, and {len(self._waiting)} wait for them")
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    async def close(self) -> None:
        """Begin nothing more, and wait a moment for what has been begun."""
        for future in [*self._waiting]:
            future.cancel()
        self._waiting.clear()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join, END_S)
            if thread.is_alive():
                log.warning("%s still runs a function; left behind", thread.name)

    def _begin(self, job: "_Job") -> None:
        self.running += 1
        if len(self._threads) < self.running:
            thread = threading.Thread(
                target=self._work, name=f"compute-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        self._jobs.put(job)

    def _ended(self, settle: Callable[[], None]) -> None:
        self.running -= 1
        self.finished += 1
        settle()
        if self._waiting:
            self._begin(self._waiting.pop(next(iter(self._waiting))))

    def _work(self) -> None:
        name_this_thread("compute")
        while (job := self._jobs.get()) is not None:
            try:
                settle = partial(_succeed, job.future, job.work())
            except BaseException as error:
                settle = partial(_fail, job.future, error)
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
                job.loop.call_soon_threadsafe(self._ended, settle)
            del job, settle  # or they would be kept until the next one


class _Job(NamedTuple):
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


def _succeed(future: "asyncio.Future[Any]", result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        # A future cannot have a `StopIteration`, and the loop would end of a `SystemExit`.
        odd = isinstance(error, StopIteration) or not isinstance(error, Exception)
        future.set_exception(RuntimeError(f"a function raised {error!r}") if odd else error)
