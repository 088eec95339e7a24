"""Records that could not be written, as on a full disk: tried again behind everybody's back.

They are held as long as their assessments are, and so many at most. What is given up is told in the
log; whoever asks for such a transaction again has it tried once more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from inferd.deadline import Clock
from inferd.services.fraud.assessments import Assessed

AGAIN_S, SELDOM_S = 0.5, 10.0
"""After so long it is tried again, each further time after twice as long, but never longer."""
AT_ONCE = 100
"""Records, for they are written as one group."""

log = logging.getLogger(__name__)

Record = Callable[[str, Assessed], Awaitable[bool]]
"""Writes a record, and returns whether it is safe then."""


class Owed:
    """Holds decisions that are not on record, and has them recorded. Lives on the event loop."""

    def __init__(self, record: Record, *, most: int, keep_s: float, clock: Clock) -> None:
        self._record = record
        self._most = most
        self._keep_s = keep_s
        self._clock = clock
        #: By the ids of transactions, the oldest first: and until when each is known.
        self._owed: dict[str, tuple[Assessed, float]] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._owed)

    def add(self, id: str, it: Assessed) -> None:
        """Have a decision recorded, as soon as that is possible."""
        if id not in self._owed and len(self._owed) == self._most:
            self._give_up([next(iter(self._owed))])
        self._owed.setdefault(id, (it, self._clock() + self._keep_s))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="records that are owed")

    def settle(self, id: str) -> None:
        """Forget a decision: it is on record."""
        self._owed.pop(id, None)

    async def close(self) -> None:
        """Try no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._give_up([*self._owed])

    async def _run(self) -> None:
        wait_s = AGAIN_S
        while self._owed:
            await asyncio.sleep(wait_s)
            wait_s = AGAIN_S if await self._tried() else min(2 * wait_s, SELDOM_S)
        self._task = None

    async def _tried(self) -> bool:
        """Have all recorded; return whether that went well."""
        now = self._clock()
        self._give_up([id for id, (_, until) in self._owed.items() if until <= now])
        while self._owed:
            part = [*self._owed.items()][:AT_ONCE]
            safe = await asyncio.gather(*(self._record(id, it) for id, (it, _) in part))
            for (id, _), is_safe in zip(part, safe, strict=True):
                if is_safe:
                    self.settle(id)
            if not all(safe):
                return False
        return True

    def _give_up(self, ids: Sequence[str]) -> None:
        if ids:
            text = "records that may not be there, and are not tried again: %d; the first: of %r"
            log.error(text, len(ids), ids[0])
        for id in ids:
            del self._owed[id]
