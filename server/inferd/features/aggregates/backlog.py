"""Events that wait to be written: which of them go next, and who is told what became of them.

Those of one entity go together, however many callers they have. A caller is told when all of its
events are through, or when the first of them has failed; who has left or been told is not worked
for any more.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from copy import copy
from enum import IntEnum

from inferd.deadline import Deadline
from inferd.errors import InferdError
from inferd.features.aggregates.events import CheckedEvent, Share

MOST = 100
"""In one turn: for a few milliseconds nobody else runs while it is put together."""


class Recorded(IntEnum):
    """What became of an event. Of an event in several views, the best that became of it."""

    #: It is older than the longest window.
    TOO_OLD = -1
    #: It had been recorded before.
    DUPLICATE = 0
    ADDED = 1


class Caller:
    """Whoever waits for events to be written."""

    def __init__(
        self, events: Sequence[CheckedEvent], deadline: Deadline, done: asyncio.Future[None]
    ) -> None:
        self.deadline = deadline
        self.done = done
        #: In the order of the events.
        self.results = [Recorded.TOO_OLD] * len(events)
        self._left = sum(len(each.shares) for each in events)

    def settle(self, place: int, result: Recorded) -> None:
        """Take in what became of a share of an event."""
        self.results[place] = max(self.results[place], result)
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Tell that it is open what becomes of the events."""
        if not self.done.done():
            # Each has a traceback of its own.
            self.done.set_exception(copy(error) if isinstance(error, InferdError) else error)


class Job:
    """A share of an event that is to be written."""

    __slots__ = ("attempts", "caller", "event", "place", "share")

    def __init__(self, caller: Caller, place: int, event: CheckedEvent, share: Share) -> None:
        self.caller = caller
        #: Of the event among the caller's.
        self.place = place
        self.event = event
        self.share = share
        #: How often somebody else was faster.
        self.attempts = 0

    def settle(self, result: Recorded) -> None:
        """Tell the caller what became of it."""
        self.caller.settle(self.place, result)


class Backlog:
    """What is still to be written, in order. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        #: What is to be tried again, and when.
        self._later: list[tuple[float, Job]] = []

    def __len__(self) -> int:
        return len(self._waiting) + len(self._later)

    @property
    def wake_at(self) -> float:
        """When there is something to do next, if nothing comes. There must be something later."""
        return min(at for at, _ in self._later)

    def add(self, jobs: Iterable[Job]) -> None:
        """Take in work that has just come."""
        self._waiting.extend(jobs)

    def again(self, jobs: Iterable[Job], at: float) -> None:
        """Take back work that is to be tried again at `at`."""
        self._later += [(at, job) for job in jobs]

    def take(self, now: float) -> dict[str, list[Job]]:
        """Take out what is written next, by key; nothing: there is nothing to do now."""
        if self._later:
            due = [job for at, job in self._later if at <= now]
            self._later = [each for each in self._later if each[0] > now]
            self._waiting.extendleft(reversed(due))
        turn: dict[str, list[Job]] = {}
        taken = 0
        while self._waiting and taken < MOST:
            job = self._waiting.popleft()
            if not job.caller.done.done():
                turn.setdefault(job.share.key, []).append(job)
                taken += 1
        return turn

    def fail(self, error: Exception) -> None:
        """Tell all who wait that nothing comes of it."""
        for job in [*self._waiting, *(job for _, job in self._later)]:
            job.caller.fail(error)
        self._waiting.clear()
        self._later.clear()
