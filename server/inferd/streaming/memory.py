"""A stream in memory: for those who have events in their own process, and for tests."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from inferd.cache.streams import Delivery, Record
from inferd.streaming.seen import Seen

WAIT_S = 0.2
"""How long a reader is kept waiting."""


class MemorySource:
    """Events that somebody puts here."""

    def __init__(self, bodies: Iterable[bytes] = (), *, ends: bool = False) -> None:
        """Begin with these; `ends`: there will be no others."""
        self._waiting = deque(bodies)
        self._ended = ends
        self._next = 0
        self._something = asyncio.Event()
        #: What was read and not acknowledged, by position.
        self.unacknowledged: dict[str, bytes] = {}

    def put(self, *bodies: bytes) -> None:
        """Have these read after the others."""
        self._waiting.extend(bodies)
        self._something.set()

    def end(self) -> None:
        """Say that there will be no more."""
        self._ended = True
        self._something.set()

    async def read(self, most: int) -> Sequence[Delivery] | None:
        """Return what was put here; none after a while, None at the end."""
        if not (self._waiting or self._ended):
            self._something.clear()
            try:
                async with asyncio.timeout(WAIT_S):
                    await self._something.wait()
            except TimeoutError:
                return []
        if not self._waiting:
            return None
        return [self._handed_out() for _ in range(min(most, len(self._waiting)))]

    def _handed_out(self) -> Delivery:
        body, position = self._waiting.popleft(), str(self._next)
        self._next += 1
        self.unacknowledged[position] = body
        return Delivery(position, body, 1)

    async def ack(self, positions: Sequence[str]) -> None:
        """Forget these."""
        for position in positions:
            self.unacknowledged.pop(position, None)

    async def keep(self) -> None:
        """Do nothing: nobody else reads it."""

    async def lag(self) -> int:
        """Return how many wait to be read."""
        return len(self._waiting)

    async def close(self) -> None:
        """Do nothing."""


class MemorySink:
    """Keeps what is published."""

    def __init__(self, *, remember_keys: int = 1_000_000) -> None:
        self.records: list[Record] = []
        self._seen = Seen(remember_keys)

    async def publish(self, records: Sequence[Record]) -> Sequence[bool]:
        """Keep records whose key is new."""
        fresh = [self._seen.add(each.key) for each in records]
        self.records += [each for each, is_new in zip(records, fresh, strict=True) if is_new]
        return fresh

    async def close(self) -> None:
        """Do nothing."""
