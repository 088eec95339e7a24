"""Many reads, one command: what is asked in one turn of the event loop is asked for together.

A command costs a store as much as a hundred of its keys, and so does its answer here. Nobody waits
for company: the command leaves when all that is ready to run has run. Callers are strangers: one
who leaves takes nothing from the others, and when all have left, the command is given up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from copy import copy
from typing import Generic, TypeVar

from inferd.errors import InferdError
from inferd.resilience.dependency import Observes

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Coalesced(Generic[K, V]):
    """Reads through one function, as seldom as it can. Lives on the event loop."""

    def __init__(
        self,
        fetch: Callable[[Sequence[K]], Awaitable[Sequence[V | None]]],
        *,
        most: int,
        sizes: Observes,
    ) -> None:
        """Ask `fetch` for at most so many keys at once; tell `sizes` for how many.

        It returns what it has of keys, in their order; None for what is not there.
        """
        self._fetch = fetch
        self._most = most
        self._sizes = sizes
        self._next: _Turn[K, V] | None = None
        #: Kept, or they might be collected while they run.
        self._under_way: set[asyncio.Task[None]] = set()

    async def get(self, keys: Sequence[K]) -> Sequence[V | None]:
        """Return what there is of keys, in their order; None for what is not there."""
        loop = asyncio.get_running_loop()
        turn = self._next
        if turn is None:
            turn = self._next = _Turn()
            loop.call_soon(self._leave)
        future: asyncio.Future[Sequence[V | None]] = loop.create_future()
        turn.waiting.append((keys, future))
        try:
            return await future
        except asyncio.CancelledError:
            turn.one_left()
            raise

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _leave(self) -> None:
        turn, self._next = self._next, None
        if turn is None or turn.deserted:
            return
        task = asyncio.get_running_loop().create_task(self._ask(turn), name="coalesced read")
        turn.task = task
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _ask(self, turn: "_Turn[K, V]") -> None:
        keys = [*dict.fromkeys(key for asked, _ in turn.waiting for key in asked)]
        parts = [keys[at : at + self._most] for at in range(0, len(keys), self._most)]
        for part in parts:
            self._sizes.observe(len(part))
        try:
            if len(parts) == 1:
                found = dict(zip(keys, await self._fetch(keys), strict=True))
            else:
                answers = await asyncio.gather(*map(self._fetch, parts))
                found = dict(zip(keys, (it for each in answers for it in each), strict=True))
        except asyncio.CancelledError:
            turn.give_up()
            raise
        except Exception as error:
            turn.fail(error)
        else:
            turn.answer(found)


class _Turn(Generic[K, V]):
    """Who waits for the same command."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Sequence[K], asyncio.Future[Sequence[V | None]]]] = []
        self.task: asyncio.Task[None] | None = None
        self._left = 0

    @property
    def deserted(self) -> bool:
        """Whether nobody waits any more."""
        return self._left == len(self.waiting)

    def one_left(self) -> None:
        self._left += 1
        if self.task is not None and self.deserted:
            self.task.cancel()

    def answer(self, found: Mapping[K, V | None]) -> None:
        for keys, future in self.waiting:
            if not future.done():
                future.set_result([found[key] for key in keys])

    def fail(self, error: Exception) -> None:
        for _, future in self.waiting:
            if not future.done():
                # Each has a traceback of its own.
                future.set_exception(copy(error) if isinstance(error, InferdError) else error)

    def give_up(self) -> None:
        for _, future in self.waiting:
            future.cancel()
