"""Threads for loading: as many as may load at the same time, each for one load.

They are daemons, which an executor's are not: a load that hangs must not keep a dying
process alive. Whoever stops waiting leaves the thread to finish for nobody.
"""

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

from inferd.telemetry.threads import name_this_thread

log = logging.getLogger(__name__)

T = TypeVar("T")


def give_way(niceness: int) -> None:
    """Have the calling thread yield to others: a model's to those that answer its callers.

    A run takes milliseconds, a refusal microseconds. Where there are more threads than cores,
    those that have little to do must not wait for those that always have something.
    """
    if niceness and sys.platform == "linux":  # elsewhere it is the process's
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def stay_on(cores: Collection[int]) -> None:
    """Keep the calling thread to these cores, where the system can; empty: to any."""
    if not cores:
        return
    if sys.platform != "linux":  # elsewhere it is the process's, or nobody's
        log.info("threads cannot be kept to cores on this system")
        return
    try:
        os.sched_setaffinity(threading.get_native_id(), cores)
    except OSError as error:
        log.warning("cannot keep a thread to the cores %s: %s", [*cores], error.strerror)


class LoadThreads:
    """Runs blocking work, awaited from the event loop."""

    def __init__(self, most: int, *, niceness: int = 0) -> None:
        self._niceness = niceness
        self._free = asyncio.Semaphore(most)
        #: The last few, some of which may have ended.
        self._threads: list[threading.Thread] = []

    async def run(self, name: str, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises."""
        async with self._free:
            future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            thread = threading.Thread(
                target=self._work, args=(work, future), name=name, daemon=True
            )
            self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
            thread.start()
            try:
                return await future
            finally:
                del future  # see _work

    async def ended(self, limit_s: float) -> None:
        """Wait for the threads that nobody waits for any more, but not for ever."""
        for thread in self._threads:
            await asyncio.to_thread(thread.join, limit_s)
            if thread.is_alive():
                log.warning("%s is still running; left behind", thread.name)

    def _work(self, work: Callable[[], T], future: "asyncio.Future[T]") -> None:
        # The threads that ONNX Runtime makes for a session inherit both.
        name_this_thread("onnxruntime")
        give_way(self._niceness)
        loop = future.get_loop()
        try:
            settle = partial(_succeed, future, work())
        except BaseException as error:
            settle = partial(_fail, future, error)
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
            loop.call_soon_threadsafe(settle)
        # An error holds on to the frames that it came through. If those held on to it, all
        # that a failed load had, and sessions are large, would wait for the collector.
        del settle, future


def _succeed(future: "asyncio.Future[T]", result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[T]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
