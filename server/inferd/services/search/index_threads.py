"""The threads of an index: one writes, one rebuilds, a few search."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from inferd.deadline import Clock, Deadline
from inferd.errors import TimedOut

R = TypeVar("R")


class Threads:
    """Runs work of an index beside the event loop."""

    def __init__(self, searches: int, clock: Clock) -> None:
        self._clock = clock
        self._writing = ThreadPoolExecutor(1, "index-writer")
        self._rebuilding = ThreadPoolExecutor(1, "index-rebuild")
        self._searching = ThreadPoolExecutor(searches, "index-search")

    async def write(self, work: Callable[[], R]) -> R:
        """Do one thing after the other."""
        return await _within(self._writing, work)

    async def rebuild(self, work: Callable[[], R]) -> R:
        """Do one thing after the other, however long they take."""
        return await _within(self._rebuilding, work)

    async def search(self, deadline: Deadline, work: Callable[[], R]) -> R:
        """Do what is forgotten if it has not begun by its deadline. Raises `TimedOut`."""
        left = None if deadline.unlimited else deadline.remaining(self._clock())
        try:
            async with asyncio.timeout(left):
                return await _within(self._searching, work)
        except TimeoutError:
            raise TimedOut("the index did not answer in time") from None

    async def close(self) -> None:
        """Wait for what is under way."""
        for each in (self._writing, self._rebuilding, self._searching):
            await asyncio.to_thread(each.shutdown)


async def _within(threads: ThreadPoolExecutor, work: Callable[[], R]) -> R:
    return await asyncio.get_running_loop().run_in_executor(threads, work)
