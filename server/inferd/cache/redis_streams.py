"""Redis Streams: a consumer group to read from, and a stream that takes every key once.

Redis hands an entry of a group to one of its consumers and remembers that until the entry is
acknowledged. So several processes share a stream by having the same group, and what one of them
had when it died is claimed by another once it has lain idle for a while. A consumer that lives and
takes long says so now and then, for the same clock tells both.

Publishing is a script: it looks for the key, appends and remembers the key, for many records at
once and for nobody to see half of it. So a process may die between publishing and acknowledging:
whoever gets the event next publishes nothing.
"""

import asyncio
import math
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from inferd.cache.connection import translated
from inferd.cache.streams import Delivery, Record
from inferd.deadline import Clock
from inferd.errors import DependencyFailed

BODY = b"body"
"""The field of an entry that is read, and written."""
KEY = b"key"
"""The field of a published entry that has its record's key."""
NEW = ">"
"""In place of a position: what nobody in the group has had."""
MOST_HELD = 1000
"""Entries in one command that says that they are in good hands."""

PUBLISH = """
local fresh = {}
for i = 2, #KEYS do
  local key, body = ARGV[2 * i - 1], ARGV[2 * i]
  if redis.call('EXISTS', KEYS[i]) == 1 then
    fresh[i - 1] = 0
  else
    local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'key', key, 'body', body)
    redis.call('SET', KEYS[i], id, 'PX', ARGV[1])
    fresh[i - 1] = 1
  end
end
return fresh
"""
"""Keys: the stream, then where each record's key is remembered. Arguments: for how long (ms), the
most entries of the stream, then each record's key and body. It appends before it remembers: when
there is no memory for that, nothing has happened."""


class RedisSource:
    """Reads a stream as a consumer of a group. The connection is its owner's."""

    def __init__(
        self,
        client: Redis,
        *,
        stream: str,
        group: str,
        consumer: str,
        block_s: float,
        timeout_s: float,
        claim_idle_s: float,
        clock: Clock,
    ) -> None:
        """Wait `block_s` for an event; take over what another consumer left for `claim_idle_s`.

        Redis has failed when it takes longer than `timeout_s` for an answer.
        """
        self._client = client
        self._stream, self._group, self._consumer = stream, group, consumer
        self._block_ms = max(1, round(block_s * 1000))
        self._timeout_s = timeout_s
        self._idle_ms = max(1, round(claim_idle_s * 1000))
        self._claim_every_s = claim_idle_s / 3
        self._clock = clock
        self._claim_at = -math.inf
        self._claim_from = "0-0"
        self._group_exists = False
        #: Where to go on with what is ours already: an answer may have been lost on its way.
        self._ours_from: str | None = None
        #: What was read and not acknowledged.
        self._held: dict[str, None] = {}

    async def read(self, most: int) -> Sequence[Delivery]:
        """Return what was lost on its way, what others left, or what is new, in this order."""
        try:
            return await self._next(most)
        except DependencyFailed:
            # It may have been Redis as a whole, with the group; and what it answered may be ours.
            self._group_exists, self._ours_from = False, "0-0"
            raise

    async def ack(self, positions: Sequence[str]) -> None:
        """Say that these need not come again."""
        await self._ask(self._client.xack(self._stream, self._group, *positions))
        for position in positions:
            self._held.pop(position, None)

    async def lag(self) -> int | None:
        """Return how many entries nobody in the group has had yet."""
        groups = await self._ask(self._client.xinfo_groups(self._stream))
        ours = (each for each in groups if _text(each["name"]) == self._group)
        return next((each.get("lag") for each in ours), None)

    async def close(self) -> None:
        """Leave the group, unless there is something that the others have yet to take over."""
        with suppress(DependencyFailed):
            if not await self._pending(1):
                await self._ask(
                    self._client.xgroup_delconsumer(self._stream, self._group, self._consumer)
                )

    async def _next(self, most: int) -> Sequence[Delivery]:
        if not self._group_exists:
            await self._make_group()
        if self._ours_from is not None:
            return await self._lost(most, self._ours_from)
        if self._clock() >= self._claim_at:
            await self._keep()
            if claimed := await self._claimed(most):
                return claimed
        entries = await self._entries(most, NEW)
        self._held.update(dict.fromkeys(position for position, _ in entries))
        return [Delivery(position, body, 1) for position, body in entries]

    async def _make_group(self) -> None:
        made = self._client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        with translated():
            try:
                await self._answer(made)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    text = f"Redis refused the group {self._group}: {error}"
                    raise DependencyFailed(text) from error
        self._group_exists = True

    async def _lost(self, most: int, after: str) -> Sequence[Delivery]:
        """Return those of ours that were never seen here: Redis's answer was lost."""
        entries = await self._entries(most, after)
        self._ours_from = entries[-1][0] if entries else None
        return await self._taken(entries)

    async def _claimed(self, most: int) -> Sequence[Delivery]:
        """Return what others have left, a part at a time."""
        answer = await self._ask(
            self._client.xautoclaim(
                self._stream,
                self._group,
                self._consumer,
                self._idle_ms,
                start_id=self._claim_from,
                count=most,
            )
        )
        self._claim_from = _text(answer[0])
        if self._claim_from == "0-0":  # that was all
            self._claim_at = self._clock() + self._claim_every_s
        return await self._taken([(_text(id), _body(fields)) for id, fields in answer[1]])

    async def _taken(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[Delivery]:
        """Return entries that had been delivered before, but for those that are held here."""
        unseen = {position: body for position, body in entries if position not in self._held}
        if not unseen:
            return []
        first, last = min(unseen, key=_order), max(unseen, key=_order)
        counts = await self._pending(len(entries) + len(self._held), first, last)
        self._held.update(dict.fromkeys(unseen))
        return [Delivery(at, body, counts.get(at, 1)) for at, body in unseen.items()]

    async def _pending(self, most: int, first: str = "-", last: str = "+") -> dict[str, int]:
        """Return how often entries that this consumer has were delivered."""
        pending = await self._ask(
            self._client.xpending_range(
                self._stream, self._group, first, last, most, consumername=self._consumer
            )
        )
        return {_text(each["message_id"]): each["times_delivered"] for each in pending}

    async def _keep(self) -> None:
        """Say that what is held is in good hands, and nobody need take it over."""
        held: list[Any] = [*self._held]
        for at in range(0, len(held), MOST_HELD):
            await self._ask(
                self._client.xclaim(
                    self._stream,
                    self._group,
                    self._consumer,
                    0,
                    held[at : at + MOST_HELD],
                    justid=True,  # which does not count as a delivery
                )
            )

    async def _entries(self, most: int, after: str) -> Sequence[tuple[str, bytes]]:
        answer = await self._ask(
            self._client.xreadgroup(
                self._group,
                self._consumer,
                {self._stream: after},
                count=most,
                block=self._block_ms if after == NEW else None,
            ),
            waits_s=self._block_ms / 1000,
        )
        return [(_text(id), _body(fields)) for _, entries in answer for id, fields in entries]

    async def _ask(self, answer: Awaitable[Any], *, waits_s: float = 0.0) -> Any:
        with translated():
            return await self._answer(answer, waits_s=waits_s)

    async def _answer(self, answer: Awaitable[Any], *, waits_s: float = 0.0) -> Any:
        return await _within(self._timeout_s + waits_s, answer)


class RedisSink:
    """Appends to a stream what it has not seen. The connection is its owner's."""

    def __init__(
        self, client: Redis, *, stream: str, remember_s: float, max_entries: int, timeout_s: float
    ) -> None:
        """Keep roughly the last `max_entries`, and know keys again for `remember_s`."""
        self._script = client.register_script(PUBLISH)
        self._stream = stream
        self._settings = (str(max(1, round(remember_s * 1000))), str(max_entries))
        self._timeout_s = timeout_s

    async def publish(self, records: Sequence[Record]) -> Sequence[bool]:
        """Append records whose key is new; the others had been published before."""
        keys = [self._stream, *(f"{self._stream}:{record.key}" for record in records)]
        arguments = [*self._settings, *(each for record in records for each in record)]
        with translated():
            fresh = await _within(self._timeout_s, self._script(keys, arguments))
        return [each == 1 for each in fresh]

    async def close(self) -> None:
        """Do nothing: the connection is its owner's."""


async def _within(seconds: float, answer: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError as error:
        raise DependencyFailed("Redis did not answer in time") from error


def _text(said: bytes | str) -> str:
    return said.decode() if isinstance(said, bytes) else said


def _body(fields: dict[Any, Any] | None) -> bytes:
    """Return what was written; nothing, if it has been deleted since or has no such field."""
    found: bytes = (fields or {}).get(BODY, b"")
    return found


def _order(position: str) -> tuple[int, ...]:
    """Positions are two numbers: milliseconds, and a count within one."""
    return tuple(map(int, position.split("-")))
