"""What the store is told behind everybody's back: what was decided, as soon as that is on record.

A store that takes nothing is told again, for as long as the server runs, and of so many decisions
at most. Of two decisions of one transaction it keeps the one that it heard of first.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from inferd.call import Call
from inferd.deadline import Clock, Deadline
from inferd.errors import InferdError
from inferd.services.fraud.assessments import Assessed, Assessments

GATHER_S = 0.01
"""For so long decisions are gathered, to tell the store of all at once."""
AGAIN_S, SELDOM_S = 0.1, 2.0
"""After so long it is told again, each further time after twice as long, but never longer."""
AT_ONCE = 100
"""Decisions."""
WITHIN_S = 5.0
"""How long a store may take; its guard allows less."""


class Counts(Protocol):
    """What is counted."""

    #: Decisions that the store was not told of.
    unmarked: int


class Mine(NamedTuple):
    """A decision as this server knows it."""

    it: Assessed
    #: Whether the store has it, and so no other one.
    agreed: bool


Agreed = Callable[[str, Assessed, Assessed], Mine]
"""Is told of a decision that was offered, and of the one that the store has; returns the latter."""


class Telling:
    """Tells the store. Lives on the event loop."""

    def __init__(
        self,
        assessments: Assessments,
        agreed: Agreed,
        counts: Counts,
        *,
        most: int,
        clock: Clock,
    ) -> None:
        self._assessments = assessments
        self._agreed = agreed
        self._counts = counts
        self._most = most
        self._clock = clock
        #: By id, the oldest first.
        self._untold: dict[str, Mine] = {}
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def add(self, id: str, mine: Mine) -> None:
        """Have the store told of a decision that is on record."""
        if id not in self._untold and len(self._untold) == self._most:
            self._give_up(next(iter(self._untold)))
        self._untold[id] = mine
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="telling the store")

    async def close(self) -> None:
        """Tell it once more, and give up what it does not take then."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        for id in [*self._untold]:
            self._give_up(id)

    async def _run(self) -> None:
        wait_s = GATHER_S
        while self._untold:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._closing.wait()
            if await self._told([*self._untold.items()][:AT_ONCE]):
                wait_s = GATHER_S
            elif self._closing.is_set():
                break
            else:
                wait_s = min(max(2 * wait_s, AGAIN_S), SELDOM_S)
        self._task = None

    async def _told(self, part: Sequence[tuple[str, Mine]]) -> bool:
        """Tell the store of some decisions; return whether it took all."""
        now = self._clock()
        call, deadline = Call("/inferd.fraud/tell", arrived=now), Deadline(now + WITHIN_S)
        heard = await asyncio.gather(*(self._heard(call, deadline, *each) for each in part))
        pairs = zip(part, heard, strict=True)
        known = {id: mine.it for (id, _), mine in pairs if mine is not None}
        marks = [(id, it) for id, it in known.items() if it.place is not None]
        try:
            if marks:
                await self._assessments.mark(call, deadline, marks)
        except InferdError:
            return False
        for id, mine in part:
            if id in known and self._untold.get(id) is mine:
                del self._untold[id]
        return len(known) == len(part)

    async def _heard(self, call: Call, deadline: Deadline, id: str, mine: Mine) -> Mine | None:
        """Return the decision that the store has now; None: it cannot be asked."""
        if mine.agreed:
            return mine
        try:
            first = await self._assessments.keep(call, deadline, id, mine.it)
        except InferdError:
            return None
        return self._agreed(id, mine.it, first)

    def _give_up(self, id: str) -> None:
        del self._untold[id]
        self._counts.unmarked += 1
