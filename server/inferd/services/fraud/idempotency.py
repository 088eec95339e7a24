"""One decision for one transaction, however often, at however many servers, it is asked for.

Whoever asks while a decision is under way waits for it. Then what is decided is offered to the
store, which keeps the first; who comes second gives the first one's answer. No answer is given
before its decision is on record, and it is recorded by whoever made it: others wait for that, and
see to it themselves only when it takes so long that its server must have died.

A store that fails takes nothing but this promise from an answer, which then says so.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from inferd.cache.flights import Flight, Flights
from inferd.cache.local import Local
from inferd.call import Call
from inferd.config.fraud import Idempotency as Settings
from inferd.deadline import Clock, Deadline
from inferd.errors import InferdError, InvalidRequest, TimedOut
from inferd.resilience.degradation import ABSENT, Degradation
from inferd.services.fraud.assessments import Assessed, Assessments
from inferd.services.fraud.audit import Place, Trail
from inferd.services.fraud.owed import Owed
from inferd.services.fraud.patience import Patience

STAGE = "idempotency"
US = 1_000_000
LOOK_S = 0.002
"""After so long it is looked whether another server has recorded its decision; each further time
after twice as long."""
RESERVE_S = 0.005
"""What an answer needs of its deadline after waiting for another server."""
GATHER_S = 0.01
"""For so long decisions are gathered that are on record, to tell the store of all at once."""
MARK_S = 5.0
"""How long it may take to tell the store that decisions are on record. Nobody waits for that."""
MARK_AGAIN_S = 0.1
"""After so long it is told again what it did not take; each further time after twice as long."""


class Decided(NamedTuple):
    """A decision that was just made."""

    #: The answer, encoded.
    assessment: bytes
    #: Its audit record, encoded.
    record: bytes


class Answer(NamedTuple):
    """What to tell about a transaction."""

    assessment: bytes
    #: Where it is on record; None: nowhere that is known.
    place: Place | None
    #: Whether it had been decided before, or for somebody else.
    repeated: bool
    #: What this answer does without, beside what the assessment says itself.
    degradations: tuple[Degradation, ...]


class _Settled(NamedTuple):
    it: Assessed
    degradations: tuple[Degradation, ...]


Decide = Callable[[Call, Deadline], Coroutine[Any, Any, Decided]]
"""Makes a decision."""


class Statistics:
    """What is counted of transactions."""

    def __init__(self) -> None:
        #: Decisions that were made, and answers that had been decided before.
        self.decided = self.repeated = 0
        #: Decisions of which another server's was first.
        self.lost = 0
        #: Different transactions under one id.
        self.conflicts = 0
        #: Decisions that were recorded in the place of another server.
        self.adopted = 0
        #: Failures to read, to write, and to say that a decision is on record.
        self.unread = self.unwritten = self.unmarked = 0


class Once:
    """Sees to it that a transaction is decided once. Lives on the event loop."""

    def __init__(
        self,
        assessments: Assessments,
        trail: Trail,
        settings: Settings,
        *,
        clock: Clock,
        wall_clock: Clock,
    ) -> None:
        self._assessments = assessments
        self._trail = trail
        most = settings.near_entries
        self._patience = Patience(settings.patience_ms / 1000, max_entries=most)
        self._owed = Owed(self._paid, most=most, keep_s=settings.ttl_s, clock=clock)
        self._ttl_s = settings.ttl_s
        self._near: Local[Assessed] = Local(max_entries=most, policy="lru")
        self._flights: Flights[_Settled] = Flights("the decision", clock)
        #: What is on record, and the store is to be told so.
        self._on_record: list[tuple[str, Assessed]] = []
        self._marks: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self._clock = clock
        self._wall_clock = wall_clock
        self.statistics = Statistics()
        self._closing = False

    async def answer(
        self, call: Call, deadline: Deadline, id: str, fingerprint: str, decide: Decide
    ) -> Answer:
        """Return the answer about a transaction; `decide` is called unless there is one.

        Raises `InvalidRequest` where the id is another transaction's, what `decide` raises, and
        where decisions must be on record and this one cannot be, why.
        """
        made = list[Decided]()
        near = self._near.get(id, self._clock())
        if near is not None and near.place is not None:
            settled = _Settled(near, ())
        else:
            fly = partial(self._fly, call, id, fingerprint, self._noting(decide, made))
            settled = (await self._flights.get([id], deadline, fly))[id]
        it, degradations = settled
        if it.fingerprint != fingerprint:
            self.statistics.conflicts += 1
            text = "there was another transaction of this id; the time is a part of it, too"
            raise InvalidRequest(text, field="transaction.id")
        repeated = not any(each.assessment is it.assessment for each in made)
        self.statistics.repeated += repeated
        return Answer(it.assessment, it.place, repeated, degradations)

    async def known(self, call: Call, deadline: Deadline, id: str) -> Assessed | None:
        """Return what was decided, if anything was. Raises what a guard raises."""
        near = self._near.get(id, self._clock())
        return near or await self._assessments.get(call, deadline, id)

    async def close(self) -> None:
        """Give up what is under way, and finish what nobody waits for, if that goes at once."""
        self._closing = True
        self._hurry.set()
        await self._flights.close()
        await self._owed.close()
        if self._marks:
            await asyncio.wait(self._marks)

    def _noting(self, decide: Decide, made: list[Decided]) -> Decide:
        async def noting(call: Call, deadline: Deadline) -> Decided:
            decided = await decide(call, deadline)
            made.append(decided)
            self.statistics.decided += 1
            return decided

        return noting

    async def _fly(
        self, call: Call, id: str, fingerprint: str, decide: Decide, flight: Flight[_Settled]
    ) -> None:
        deadline, lacks = flight.deadline, list[Degradation]()
        it = self._near.get(id, self._clock()) or await self._look(call, deadline, id, lacks)
        if it is None:
            decided = await decide(call, deadline)
            ours = Assessed(
                fingerprint, decided.assessment, self._now_us(), self._trail.server, decided.record
            )
            it = await self._offer(call, deadline, id, ours, lacks)
        it = await self._recorded(call, deadline, id, it, lacks)
        self._flights.found(flight, {id: _Settled(it, tuple(lacks))})

    async def _look(
        self, call: Call, deadline: Deadline, id: str, lacks: list[Degradation]
    ) -> Assessed | None:
        try:
            return await self._assessments.get(call, deadline, id)
        except InferdError as error:
            self.statistics.unread += 1
            lacks.append(Degradation(STAGE, ABSENT, error.reason))
            return None

    async def _offer(
        self, call: Call, deadline: Deadline, id: str, ours: Assessed, lacks: list[Degradation]
    ) -> Assessed:
        """Return the first decision, which may be ours."""
        # Before the store has it: who asks again after a failure must not get another answer.
        self._keep_near(id, ours)
        try:
            first = await self._assessments.keep(call, deadline, id, ours)
        except InferdError as error:
            self.statistics.unwritten += 1
            if not lacks:
                lacks.append(Degradation(STAGE, ABSENT, error.reason))
            return ours
        if first is not ours:
            self.statistics.lost += 1
            self._keep_near(id, first)
        return first

    async def _recorded(
        self, call: Call, deadline: Deadline, id: str, it: Assessed, lacks: list[Degradation]
    ) -> Assessed:
        """Return a decision when it is on record, or when that is hopeless."""
        if it.place is None and it.server != self._trail.server:
            it = await self._theirs(call, deadline, id, it)
        if it.place is None:
            if it.server != self._trail.server:
                if not self._is_overdue(id, it):
                    text = f"{it.server} has not yet recorded what it decided"
                    lacks.append(self._trail.missed(TimedOut(text)))
                    return it
                self.statistics.adopted += 1
            place: Place | Degradation | None = None
            try:
                place = await self._trail.keep(call, deadline, id, it.record, it.at_us)
            finally:  # also where nobody is answered
                if not isinstance(place, Place):
                    self._owed.add(id, it)
            if isinstance(place, Degradation):
                lacks.append(place)
                return it
            return self._on_record_at(place, id, it)
        self._keep_near(id, it)
        return it

    def _on_record_at(self, place: Place, id: str, it: Assessed) -> Assessed:
        it = Assessed(it.fingerprint, it.assessment, it.at_us, it.server, place=place)
        self._owed.settle(id)
        self._keep_near(id, it)
        self._mark(id, it)
        return it

    async def _paid(self, id: str, it: Assessed) -> bool:
        """Have a decision recorded that could not be; return whether it is now."""
        now = self._clock()
        call, deadline = Call("/inferd.fraud/again", arrived=now), Deadline.after(MARK_S, now=now)
        found = await self._look(call, deadline, id, [])
        if found is not None and found.place is not None:  # another server saw to it
            self._keep_near(id, found)
            return True
        place = await self._trail.again(id, it.record, it.at_us)
        if place is not None:
            self._on_record_at(place, id, it)
        return place is not None

    async def _theirs(self, call: Call, deadline: Deadline, id: str, it: Assessed) -> Assessed:
        """Wait until another server has recorded what it decided, as long as there is time."""
        wait_s = LOOK_S
        while not self._is_overdue(id, it):
            if self._clock() + wait_s + RESERVE_S > deadline.at:
                return it
            await asyncio.sleep(wait_s)
            wait_s *= 2
            found = await self._look(call, deadline, id, [])
            if found is not None and found.place is not None:
                return found
        return it

    def _is_overdue(self, id: str, it: Assessed) -> bool:
        now, wall_us = self._clock(), self._now_us()
        return self._patience.is_over(id, it.at_us, now=now, wall_us=wall_us)

    def _mark(self, id: str, it: Assessed) -> None:
        """Have the store told that a decision is on record; nobody waits for that."""
        self._on_record.append((id, it))
        if len(self._on_record) == 1:
            task = asyncio.create_task(self._marked(), name="on record")
            self._marks.add(task)
            task.add_done_callback(self._marks.discard)

    async def _marked(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                await self._hurry.wait()
        marks, self._on_record = self._on_record, []
        now = self._clock()
        call, deadline = Call("/inferd.fraud/mark", arrived=now), Deadline.after(MARK_S, now=now)
        wait_s = MARK_AGAIN_S
        while not await self._marked_now(call, deadline, marks):
            if self._closing or self._clock() + wait_s > deadline.at:
                self.statistics.unmarked += len(marks)
                return
            await asyncio.sleep(wait_s)
            wait_s *= 2

    async def _marked_now(
        self, call: Call, deadline: Deadline, marks: Sequence[tuple[str, Assessed]]
    ) -> bool:
        try:
            await self._assessments.mark(call, deadline, marks)
        except InferdError:
            return False
        return True

    def _keep_near(self, id: str, it: Assessed) -> None:
        self._near.put(id, it, now=self._clock(), ttl_s=self._ttl_s)

    def _now_us(self) -> int:
        return round(self._wall_clock() * US)
