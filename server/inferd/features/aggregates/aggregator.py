"""Records events and reads what they come to, within a deadline: what services ask.

The state of one entity in one view is a blob in the store, and any number of servers may record
events of the same entities at once (`turns`). What is read always comes from the store, which all
of them share; it is decoded only if it is not what is at hand (`states`).
"""

import asyncio
import random as random_numbers
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from inferd.cache.blobs import Blobs
from inferd.call import Call
from inferd.deadline import Clock, Deadline
from inferd.errors import Saturated, TimedOut
from inferd.features.aggregates.backlog import Backlog, Caller, Job, Recorded
from inferd.features.aggregates.events import CheckedEvent, EventWrite, checked_event
from inferd.features.aggregates.states import States
from inferd.features.aggregates.turns import Turns
from inferd.features.aggregates.views import AggregatedView
from inferd.features.definitions import US, Definitions
from inferd.features.rows import Row
from inferd.features.values import Found, Lookup, Status, judged
from inferd.features.writing import Limits
from inferd.resilience.dependency import Dependency


class Aggregator:
    """Records events, and reads aggregated views. Lives on the event loop."""

    def __init__(
        self,
        definitions: Definitions,
        blobs: Blobs,
        *,
        reads: Dependency,
        writes: Dependency,
        wall_clock: Clock,
        limits: Limits,
        max_states: int = 10_000,
        max_bytes: int = 64_000_000,
        max_waiting: int = 10_000,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        """Keep at most so many states at hand, and let at most so many events wait.

        An event waits once for each view that it goes into. `limits.max_bytes` are for the texts
        and bytes of an event.
        """
        self.definitions = definitions
        self._blobs = blobs
        self._clock = writes.clock
        self._wall_clock = wall_clock
        self._limits = limits
        self._max_waiting = max_waiting
        self._views = {
            each: AggregatedView(each, ahead_us=limits.ahead_us)
            for each in definitions.views.values()
            if each.kind == "aggregated"
        }
        #: By the events that go into them.
        self._views_of = {
            name: [each for each in self._views.values() if each.takes(name)]
            for name in definitions.events
        }
        #: What is known of the store, and what was found in it that is no state.
        self.states = States(max_states=max_states, max_bytes=max_bytes, clock=self._clock)
        self._backlog = Backlog()
        self.turns = Turns(
            self._backlog,
            self.states,
            blobs,
            guard=writes,
            wall_clock=wall_clock,
            random=random,
        )
        #: Events by name and what became of them.
        self.recorded: Counter[tuple[str, str]] = Counter()
        self._guarded_get = reads.guards(self._get, repeatable=True)

    @property
    def waiting(self) -> int:
        """How many events are not written yet, and not being written."""
        return len(self._backlog)

    def checked(self, write: EventWrite, *, field: str = "") -> CheckedEvent:
        """Return an event ready for `record`. Raises `InvalidRequest` naming all that is wrong."""
        now_us, views = self.now_us(), self._views_of[write.event.name]
        return checked_event(write, views, now_us=now_us, limits=self._limits, field=field)

    async def record(
        self, call: Call, deadline: Deadline, events: Sequence[CheckedEvent]
    ) -> Sequence[Recorded]:
        """Record events; return, in their order, what became of them, once they are safe.

        Raises `InferdError`; then it is open which of them are recorded, and all may be recorded
        again.
        """
        caller = Caller(events, deadline, asyncio.get_running_loop().create_future())
        jobs = [
            Job(caller, place, event, share)
            for place, event in enumerate(events)
            for share in event.shares
        ]
        if not jobs:
            return []
        if len(self._backlog) + len(jobs) > self._max_waiting:
            raise Saturated(f"{self._max_waiting} events may wait to be written, and as many do")
        self._backlog.add(jobs)
        self.turns.begin()
        left_s = None if deadline.unlimited else deadline.remaining(self._clock())
        try:
            async with asyncio.timeout(left_s):
                await caller.done
        except TimeoutError as error:
            raise TimedOut("the events were not written in time") from error
        for event, result in zip(events, caller.results, strict=True):
            self.recorded[event.name, result.name] += 1
        return caller.results

    async def fetch(self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]) -> list[Found]:
        """Return what is known, or raise what kept the store from answering.

        An entity of which nothing is known is MISSING. Of one that is known and has no event in a
        window, the count is 0, and the mean is MISSING. The event time is that of the last event.
        """
        if not lookups:
            return []
        keys = [self._views[each.view].key(each.entity_id) for each in lookups]
        blobs = await self._guarded_get(call, deadline, keys)
        now_us = self.now_us()
        return [
            Found(lookup, Status.MISSING)
            if blob is None
            else self._found(lookup, key, blob, now_us)
            for lookup, key, blob in zip(lookups, keys, blobs, strict=True)
        ]

    async def close(self) -> None:
        """Give up what is under way, and tell whoever still waits."""
        await self.turns.close()

    def now_us(self) -> int:
        """Return the time of day, in microseconds since 1970."""
        return round(self._wall_clock() * US)

    def _found(self, lookup: Lookup, key: str, blob: bytes, now_us: int) -> Found:
        view, at_us = self._views[lookup.view], now_us
        if lookup.as_of_us is None:
            state = self.states.known(view, key, blob)
        else:
            # What is at hand has let go of what is over by now, and may not have been then.
            state = self.states.decoded(view, blob)
            at_us = min(now_us, lookup.as_of_us)
        if state is None:
            return Found(lookup, Status.MISSING)
        row = Row(state.newest_us, view.cells(state, at_us), self._blobs.name)
        return judged(lookup, row, now_us)

    def _get(
        self, call: Call, deadline: Deadline, keys: Sequence[str]
    ) -> Coroutine[Any, Any, Sequence[bytes | None]]:
        return self._blobs.get(keys)
