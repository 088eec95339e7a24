"""Many who want the same, one who gets it: loads that are under way, and who waits for them.

A flight is for several keys. Who waits for some of them goes on as soon as those are there. Callers
are strangers: one who leaves takes nothing from the others, and when all have left, the flight is
cancelled, unless it is one that nobody had to wait for in the first place. What fails because of
somebody else, who had less time or wanted other things, too, is tried once more.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any, Generic, TypeVar

from inferd.deadline import Clock, Deadline
from inferd.errors import DeadlineExceeded, InferdError, TimedOut, Unavailable
from inferd.resilience.alarms import EARLY_S

log = logging.getLogger(__name__)

T = TypeVar("T")

SOON_S = 2 * EARLY_S
"""Guards give up so long before a deadline, at most."""


class Flight(Generic[T]):
    """A load of some keys. Told apart by identity."""

    def __init__(self, keys: Sequence[str], deadline: Deadline, *, awaited: bool) -> None:
        """Not `awaited`, it goes on although nobody waits."""
        self.keys = keys
        self.deadline = deadline
        self.awaited = awaited
        self.task: asyncio.Task[None] | None = None
        #: Whether everybody left who waited.
        self.deserted = False
        self._waiting: list[Seat[T]] = []

    def join(self, keys: Iterable[str]) -> "Seat[T]":
        """Return what waits for some of the keys that have not been found yet."""
        seat = Seat(self, keys)
        self._waiting.append(seat)
        return seat

    def found(self, answers: Mapping[str, T]) -> None:
        """Tell who waits what there is."""
        for seat in self._waiting:
            seat.told(answers)
        self._waiting = [seat for seat in self._waiting if not seat.satisfied]

    def failed(self, error: Exception) -> None:
        """Tell all who still wait. Each gets an error with a traceback of its own."""
        for seat in self._waiting:
            if not seat.future.done():
                seat.future.set_exception(copy(error) if isinstance(error, InferdError) else error)
        self._waiting.clear()

    def left(self, seat: "Seat[T]") -> None:
        """Let one go who waits no more."""
        if seat not in self._waiting:
            return
        self._waiting.remove(seat)
        if self.awaited and not self._waiting and self.task is not None:
            self.deserted = True
            self.task.cancel()


class Seat(Generic[T]):
    """Who waits for some keys of a flight. Told apart by identity."""

    def __init__(self, flight: Flight[T], keys: Iterable[str]) -> None:
        self.flight = flight
        self.future: asyncio.Future[Mapping[str, T]] = asyncio.get_running_loop().create_future()
        self._missing = {*keys}
        self._answers: dict[str, T] = {}

    @property
    def satisfied(self) -> bool:
        """Whether it has all that it waits for."""
        return not self._missing

    def told(self, news: Mapping[str, T]) -> None:
        """Take what concerns it."""
        concerns = self._missing & news.keys()
        self._answers.update((key, news[key]) for key in concerns)
        self._missing -= concerns
        if self.satisfied and not self.future.done():
            self.future.set_result(self._answers)

    def leave(self) -> None:
        """Wait no more; without effect for who has its answers."""
        self.flight.left(self)
        if self.future.done() and not self.future.cancelled():
            self.future.exception()  # or asyncio complains where another's came first
        del self.future  # which keeps its error, whose traceback leads here: a cycle


Fly = Callable[[Flight[T]], Coroutine[Any, Any, None]]
"""Gets what a flight is for, and tells `Flights.found` of it, all at once or bit by bit. What it
raises is told to those who still wait."""


class Flights(Generic[T]):
    """All loads of one cache that are under way. Lives on the event loop."""

    def __init__(self, name: str, clock: Clock) -> None:
        """`name` is what takes too long where something does."""
        self._name = name
        self._clock = clock
        #: By key: what whoever asks now may wait for.
        self._flights: dict[str, Flight[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: Keys for which somebody waited for what others had asked for.
        self.joined = 0
        #: Flights that failed, and those that everybody left.
        self.failures = self.cancellations = 0

    async def get(self, keys: Sequence[str], deadline: Deadline, fly: Fly[T]) -> Mapping[str, T]:
        """Return what is found for keys, by flights under way and one for what they lack.

        Raises what a flight raises, and `TimedOut`.
        """
        answers: dict[str, T] = {}
        again = False
        while missing := [key for key in keys if key not in answers]:
            seats = self._seats(missing, deadline, fly)
            try:
                for seat, is_own in seats:
                    try:
                        answers.update(await self._awaited(seat, deadline))
                    except Exception as error:
                        strange = not again and not {*seat.flight.keys} <= {*keys}
                        early = self._was_too_early(seat.flight, deadline, error)
                        if is_own or not (strange or early):
                            raise
            finally:
                for seat, _ in seats:
                    seat.leave()
            again = True
        return answers

    def begin(
        self, keys: Sequence[str], deadline: Deadline, fly: Fly[T], *, awaited: bool = False
    ) -> Flight[T] | None:
        """Begin a flight for those keys that none is under way for."""
        new = [key for key in keys if self._under_way(key) is None]
        if not new:
            return None
        flight: Flight[T] = Flight(new, deadline, awaited=awaited)
        self._flights.update(dict.fromkeys(new, flight))
        task = asyncio.get_running_loop().create_task(self._run(flight, fly), name=self._name)
        flight.task = task
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, flight))
        return flight

    def found(self, flight: Flight[T], answers: Mapping[str, T]) -> None:
        """Tell those who wait what a flight has found."""
        self._land(flight, answers)
        flight.found(answers)

    def is_latest(self, flight: Flight[T], key: str) -> bool:
        """Return whether nobody has told since that what a flight finds may be out of date."""
        return self._flights.get(key) is flight

    def forget(self, key: str) -> None:
        """Let nobody join who asks from now on: what is under way may be out of date."""
        self._flights.pop(key, None)

    def clear(self) -> None:
        """Forget all keys."""
        self._flights.clear()

    async def close(self) -> None:
        """Give up what is under way. Whoever waits for it gets `Unavailable`."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _under_way(self, key: str) -> Flight[T] | None:
        flight = self._flights.get(key)
        return None if flight is None or flight.deserted else flight

    def _seats(
        self, keys: Sequence[str], deadline: Deadline, fly: Fly[T]
    ) -> list[tuple[Seat[T], bool]]:
        """Return where to wait for keys, and whether that is a flight of one's own."""
        own = self.begin(keys, deadline, fly, awaited=True)
        shares: dict[Flight[T], list[str]] = {}
        for key in keys:
            shares.setdefault(self._flights[key], []).append(key)
        self.joined += len(keys) - (0 if own is None else len(own.keys))
        return [(flight.join(share), flight is own) for flight, share in shares.items()]

    async def _awaited(self, seat: Seat[T], deadline: Deadline) -> Mapping[str, T]:
        if seat.flight.deadline.at <= deadline.at:
            return await seat.future
        try:
            async with asyncio.timeout(deadline.at - self._clock()):
                return await seat.future
        except TimeoutError:
            raise TimedOut(f"{self._name} took longer than was left of the deadline") from None

    def _was_too_early(self, flight: Flight[T], deadline: Deadline, error: Exception) -> bool:
        """Return whether a flight failed because its deadline, and not ours, was over."""
        return (
            isinstance(error, DeadlineExceeded)
            and flight.deadline.at < deadline.at
            and flight.deadline.at <= self._clock() + SOON_S
        )

    async def _run(self, flight: Flight[T], fly: Fly[T]) -> None:
        try:
            await fly(flight)
        except Exception as error:
            self.failures += 1
            # First, or somebody who is told of it would join it again.
            self._land(flight, flight.keys)
            if not (flight.awaited or isinstance(error, InferdError)):
                log.exception("%s: what nobody waits for failed", self._name)
            flight.failed(error)

    def _ended(self, flight: Flight[T], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._land(flight, flight.keys)
        if task.cancelled():  # perhaps before it began to run
            self.cancellations += 1
            flight.failed(Unavailable(f"{self._name} is being closed"))

    def _land(self, flight: Flight[T], keys: Iterable[str]) -> None:
        for key in keys:
            if self._flights.get(key) is flight:
                del self._flights[key]
