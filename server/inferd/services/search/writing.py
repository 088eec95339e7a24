"""Changes on their way into the index: what waits goes together, and soon.

Every commit costs some tens of milliseconds, however little is in it, so what comes within
`commit_ms` of the first is committed at once. While one commit is under way the next batch gathers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from inferd.deadline import Clock
from inferd.errors import Exhausted, InferdError, Unavailable

C = TypeVar("C")
R = TypeVar("R")


class _Caller(NamedTuple, Generic[R]):
    """Who waits for a part of a batch."""

    part: slice
    done: "asyncio.Future[tuple[R, slice]]"


class Gathering(Generic[C]):
    """What waits to be written, and when it should be. Pure."""

    def __init__(self, *, wait_s: float, enough: int, at_most: int) -> None:
        self._wait_s = wait_s
        self._enough = enough
        self._at_most = at_most
        self._since = 0.0
        self.waiting: list[C] = []

    def add(self, changes: Sequence[C], now: float) -> int:
        """Let them wait, too, and return the place of the first. Raises `Exhausted`: too many."""
        if len(self.waiting) + len(changes) > self._at_most:
            raise Exhausted(f"{len(self.waiting)} changes wait to be written; {self._at_most} may")
        if not self.waiting:
            self._since = now
        self.waiting.extend(changes)
        return len(self.waiting) - len(changes)

    def due_in(self, now: float) -> float:
        """Return the seconds until what waits should be written."""
        if len(self.waiting) >= self._enough:
            return 0.0
        return max(0.0, self._since + self._wait_s - now)

    def take(self) -> list[C]:
        """Return what waited."""
        taken, self.waiting = self.waiting, []
        return taken


class Writing(Generic[C, R]):
    """Writes what it is given, batch by batch. Lives on the event loop."""

    def __init__(
        self,
        gathering: Gathering[C],
        write: Callable[[list[C]], Awaitable[R]],
        clock: Clock,
    ) -> None:
        self._gathering = gathering
        self._write = write
        self._clock = clock
        self._more = asyncio.Event()
        self._callers: list[_Caller[R]] = []
        #: Batches that were written, and those that failed.
        self.written = self.failed = 0

    @property
    def waiting(self) -> int:
        """How many changes wait."""
        return len(self._gathering.waiting)

    async def add(self, changes: Sequence[C]) -> tuple[R, slice]:
        """Return what became of a batch, and where in it these changes are, when it is written.

        They are written even if the caller leaves. Raises what `write` raised, or `Exhausted`.
        """
        first = self._gathering.add(changes, self._clock())
        done: asyncio.Future[tuple[R, slice]] = asyncio.get_running_loop().create_future()
        self._callers.append(_Caller(slice(first, first + len(changes)), done))
        self._more.set()
        return await done

    async def run(self) -> None:
        """Write, until cancelled."""
        while True:
            await self._more.wait()
            while (left := self._gathering.due_in(self._clock())) > 0:
                self._more.clear()
                try:
                    await asyncio.wait_for(self._more.wait(), left)
                except TimeoutError:
                    break
            self._more.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write what waits now."""
        callers, self._callers = self._callers, []
        changes = self._gathering.take()
        if not changes:
            return
        try:
            result = await self._write(changes)
        except InferdError as error:
            self.failed += 1
            _fail(callers, error)
        except BaseException:
            _fail(callers, Unavailable("the index is being closed"))
            raise
        else:
            self.written += 1
            for part, done in callers:
                if not done.done():
                    done.set_result((result, part))


def _fail(callers: Sequence[_Caller[R]], error: InferdError) -> None:
    for _, done in callers:
        if not done.done():
            done.set_exception(error)
