"""One decision for one transaction, however often, at however many servers, it is asked for.

Whoever asks while a decision is under way waits for it. Then what is decided is offered to the
store, which keeps the first; who comes second gives the first one's answer. No answer is given
before its decision is on record, and it is recorded by whoever made it: others wait for that, and
see to it themselves only when it takes so long that its server must have died.

A store that fails takes nothing but this promise from an answer, which then says so. What is on
record here is known again all the same, also after a restart, and the store is told of it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

from msgspec import structs

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
from inferd.services.fraud.telling import Mine, Telling

STAGE = "idempotency"
US = 1_000_000
LOOK_S = 0.002
"""After so long it is looked whether another server has recorded its decision; each further time
after twice as long."""
RESERVE_S = 0.005
"""What an answer needs of its deadline after waiting for another server."""
AGAIN_S = 5.0
"""How long it may take to look whether another server has recorded what is owed here."""


log = logging.getLogger(__name__)


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


class Recalled(NamedTuple):
    """A decision that is on record."""

    #: Of the transaction.
    fingerprint: str
    #: The answer, encoded as it was.
    assessment: bytes


Decide = Callable[[Call, Deadline], Coroutine[Any, Any, Decided]]
"""Makes a decision."""
Recall = Callable[[bytes], Recalled | None]
"""Reads a decision from its record; None: it does not say all that was answered. Raises
`InferdError` where it cannot be read."""


class _How(NamedTuple):
    decide: Decide
    recall: Recall


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
        #: Decisions that the store did not know, and that were found on record.
        self.recalled = 0
        #: Failures to read and to write while somebody waits, and what was not told at all.
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
        self._near: Local[Mine] = Local(max_entries=most, policy="lru")
        self._flights: Flights[_Settled] = Flights("the decision", clock)
        self._clock = clock
        self._wall_clock = wall_clock
        self.statistics = Statistics()
        self._telling = Telling(assessments, self._agreed, self.statistics, most=most, clock=clock)

    async def answer(
        self,
        call: Call,
        deadline: Deadline,
        id: str,
        fingerprint: str,
        *,
        decide: Decide,
        recall: Recall,
    ) -> Answer:
        """Return the answer about a transaction; `decide` is called unless there is one.

        Raises `InvalidRequest` where the id is another transaction's, what `decide` raises, and
        where decisions must be on record and this one cannot be, why.
        """
        made = list[Decided]()
        near = self._near.get(id, self._clock())
        if near is not None and near.agreed and near.it.place is not None:
            settled = _Settled(near.it, ())
        else:
            how = _How(self._noting(decide, made), recall)
            fly = partial(self._fly, call, id, fingerprint, how)
            settled = (await self._flights.get([id], deadline, fly))[id]
        it, degradations = settled
        if it.fingerprint != fingerprint:
            self.statistics.conflicts += 1
            text = "there was another transaction of this id; the time is a part of it, too"
            raise InvalidRequest(text, field="transaction.id")
        repeated = not any(each.assessment == it.assessment for each in made)
        self.statistics.repeated += repeated
        return Answer(it.assessment, it.place, repeated, degradations)

    async def known(self, call: Call, deadline: Deadline, id: str) -> Assessed | None:
        """Return what was decided, if anything was. Raises what a guard raises."""
        near = self._near.get(id, self._clock())
        return await self._assessments.get(call, deadline, id) if near is None else near.it

    async def close(self) -> None:
        """Give up what is under way, and finish what nobody waits for, if that goes at once."""
        await self._flights.close()
        await self._owed.close()
        await self._telling.close()

    def _noting(self, decide: Decide, made: list[Decided]) -> Decide:
        async def noting(call: Call, deadline: Deadline) -> Decided:
            decided = await decide(call, deadline)
            made.append(decided)
            self.statistics.decided += 1
            return decided

        return noting

    async def _fly(
        self, call: Call, id: str, fingerprint: str, how: _How, flight: Flight[_Settled]
    ) -> None:
        deadline, lacks = flight.deadline, list[Degradation]()
        mine = self._near.get(id, self._clock())
        if mine is None and (found := await self._look(call, deadline, id)) is not None:
            mine = Mine(found, agreed=True)
        if mine is None:
            it = await self._recalled(call, deadline, id, how.recall, lacks)
            if it is not None and it.fingerprint != fingerprint:
                # What is kept is partly from what was asked: so this is not.
                self._flights.found(flight, {id: _Settled(it, tuple(lacks))})
                return
            mine = Mine(
                it or await self._made(call, deadline, fingerprint, how.decide), agreed=False
            )
            # Before the store has it: who asks again after a failure must not get another answer.
            self._keep_near(id, mine)
        if not mine.agreed:
            mine = await self._offered(call, deadline, id, mine, lacks)
        it = await self._recorded(call, deadline, id, mine, lacks)
        self._flights.found(flight, {id: _Settled(it, tuple(lacks))})

    async def _look(self, call: Call, deadline: Deadline, id: str) -> Assessed | None:
        try:
            return await self._assessments.get(call, deadline, id)
        except InferdError:  # what is not found is offered: then the store has its say
            self.statistics.unread += 1
            return None

    async def _recalled(
        self, call: Call, deadline: Deadline, id: str, recall: Recall, lacks: list[Degradation]
    ) -> Assessed | None:
        """Return what this server has on record, as long as it is to be known."""
        try:
            record = await self._trail.known(call, deadline, id)
            if record is None or record.at_us + self._ttl_s * US <= self._now_us():
                return None
            recalled = recall(bytes(record.body))
        except InferdError as error:
            self.statistics.unread += 1
            lacks.append(Degradation(STAGE, ABSENT, error.reason))
            return None
        if recalled is None:
            return None
        self.statistics.recalled += 1
        server = self._trail.server
        return Assessed(*recalled, record.at_us, server, place=Place(server, record.seq))

    async def _made(
        self, call: Call, deadline: Deadline, fingerprint: str, decide: Decide
    ) -> Assessed:
        decided = await decide(call, deadline)
        server = self._trail.server
        return Assessed(fingerprint, decided.assessment, self._now_us(), server, decided.record)

    async def _offered(
        self, call: Call, deadline: Deadline, id: str, mine: Mine, lacks: list[Degradation]
    ) -> Mine:
        """Return the first decision, which may be ours."""
        try:
            first = await self._assessments.keep(call, deadline, id, mine.it)
        except InferdError as error:
            self.statistics.unwritten += 1
            if not lacks:
                lacks.append(Degradation(STAGE, ABSENT, error.reason))
        else:
            mine = self._agreed(id, mine.it, first)
        if mine.it.place is not None:
            self._telling.add(id, mine)
        return mine

    def _agreed(self, id: str, ours: Assessed, first: Assessed) -> Mine:
        is_ours = first.assessment == ours.assessment
        self.statistics.lost += not is_ours
        if not is_ours and ours.place is not None:
            text = "%r was decided here while the store was away, and before by %s: that stays"
            log.warning(text, id, first.server)
        # The store may not know yet that ours is on record.
        mine = Mine(ours if is_ours and ours.place is not None else first, agreed=True)
        self._keep_near(id, mine)
        return mine

    async def _recorded(
        self, call: Call, deadline: Deadline, id: str, mine: Mine, lacks: list[Degradation]
    ) -> Assessed:
        """Return a decision when it is on record, or when that is hopeless."""
        it = mine.it
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
            return self._on_record_at(place, id, mine)
        self._keep_near(id, mine._replace(it=it))
        return it

    def _on_record_at(self, place: Place, id: str, mine: Mine) -> Assessed:
        it = structs.replace(mine.it, record=b"", place=place)
        mine = mine._replace(it=it)
        self._owed.settle(id)
        self._keep_near(id, mine)
        self._telling.add(id, mine)
        return it

    async def _paid(self, id: str, it: Assessed) -> bool:
        """Have a decision recorded that could not be; return whether it is now."""
        now = self._clock()
        call, deadline = Call("/inferd.fraud/again", arrived=now), Deadline.after(AGAIN_S, now=now)
        found = await self._look(call, deadline, id)
        if found and found.place and found.assessment == it.assessment:  # another saw to it
            self._keep_near(id, Mine(found, agreed=True))
            return True
        place = await self._trail.again(id, it.record, it.at_us)
        if place is None:
            return False
        mine = self._near.get(id, self._clock()) or Mine(it, agreed=False)
        if mine.it.assessment == it.assessment:  # or another came first, and this is but on record
            self._on_record_at(place, id, mine)
        return True

    async def _theirs(self, call: Call, deadline: Deadline, id: str, it: Assessed) -> Assessed:
        """Wait until another server has recorded what it decided, as long as there is time."""
        wait_s = LOOK_S
        while not self._is_overdue(id, it):
            if self._clock() + wait_s + RESERVE_S > deadline.at:
                return it
            await asyncio.sleep(wait_s)
            wait_s *= 2
            found = await self._look(call, deadline, id)
            if found is not None and found.place is not None:
                return found
        return it

    def _is_overdue(self, id: str, it: Assessed) -> bool:
        now, wall_us = self._clock(), self._now_us()
        return self._patience.is_over(id, it.at_us, now=now, wall_us=wall_us)

    def _keep_near(self, id: str, mine: Mine) -> None:
        self._near.put(id, mine, now=self._clock(), ttl_s=self._ttl_s)

    def _now_us(self) -> int:
        return round(self._wall_clock() * US)
