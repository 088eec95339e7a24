"""Redis Streams: a consumer group to read from, and a stream that takes every key once.

Redis hands an entry of a group to one of its consumers and remembers that until the entry is
acknowledged. So several processes share a stream by having the same group, and what one of them
had when it died is claimed by another once it has lain idle for a while. A consumer that lives and
takes long says so now and then, for the same clock tells both. What is claimed for the second time
is claimed one by one: if it is what they die of, it takes nothing with it.

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
from inferd.cache.streams import ALONE_FROM, Delivery, Record
from inferd.deadline import Clock
from inferd.errors import DependencyFailed

BODY = b"body"
"""The field of an entry that is read, and written."""
KEY = b"key"
"""The field of a published entry that has its record's key."""
NEW = ">"
"""In place of a position: what nobody in the group has had."""
FIRST = "-"
"""In place of a position: before all others."""
MOST_HELD = 1000
"""Entries in one command that says that they are in good hands."""

FORGET = """
for _, said in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local it = {}
  for i = 1, #said, 2 do it[said[i]] = said[i + 1] end
  if it.pending == 0 and (it.name == ARGV[2] or it.idle > tonumber(ARGV[3])) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], it.name)
  end
end
"""
"""Key: the stream. Arguments: the group, who leaves it, and for how long (ms) others have had
nothing to do: those who died are among them, and Redis makes one that lives again when there is
something for it. All at once, for a consumer's entries would be lost with it.
"""

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
        self._claim_from = FIRST
        self._forget = client.register_script(FORGET)
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

    async def keep(self) -> None:
        """Say that what is held is in good hands, and nobody need take it over."""
        held = [*self._held]
        for at in range(0, len(held), MOST_HELD):
            # Without bodies it does not count as a delivery.
            await self._claim(held[at : at + MOST_HELD], 0, justid=True)

    async def lag(self) -> int | None:
        """Return how many entries nobody in the group has had yet."""
        groups = await self._ask(self._client.xinfo_groups(self._stream))
        ours = (each for each in groups if _text(each["name"]) == self._group)
        return next((each.get("lag") for each in ours), None)

    async def close(self) -> None:
        """Leave the group, unless there is something that the others have yet to take over."""
        with suppress(DependencyFailed):
            await self._forget_the_gone(leaving=self._consumer)

    async def _next(self, most: int) -> Sequence[Delivery]:
        if not self._group_exists:
            await self._make_group()
        if self._ours_from is not None:
            return await self._lost(most, self._ours_from)
        if self._clock() >= self._claim_at and (claimed := await self._claimed(most)):
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
        if self._claim_from == FIRST:
            await self._forget_the_gone()
        counts = await self._pending(most, self._claim_from, idle=self._idle_ms)
        left = [at for at in counts if at not in self._held]
        part = left[: together([counts[at] for at in left])]
        if len(part) < len(left):
            self._claim_from = f"({part[-1]}"
        elif len(counts) == most:
            self._claim_from = f"({[*counts][-1]}"
        else:  # that was all
            self._claim_from, self._claim_at = FIRST, self._clock() + self._claim_every_s
        claimed = await self._claim(part, self._idle_ms) if part else []
        bodies = {_text(id): _body(fields) for id, fields in claimed if id is not None}
        self._held.update(dict.fromkeys(bodies))
        return [Delivery(at, body, counts[at] + 1) for at, body in bodies.items()]

    async def _claim(self, positions: Sequence[str], idle_ms: int, **said: bool) -> Any:
        ids: list[Any] = [*positions]
        return await self._ask(
            self._client.xclaim(self._stream, self._group, self._consumer, idle_ms, ids, **said)
        )

    async def _taken(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[Delivery]:
        """Return entries that had been delivered before, but for those that are held here."""
        unseen = {position: body for position, body in entries if position not in self._held}
        if not unseen:
            return []
        first, last = min(unseen, key=_order), max(unseen, key=_order)
        most = len(entries) + len(self._held)
        counts = await self._pending(most, first, last, consumername=self._consumer)
        self._held.update(dict.fromkeys(unseen))
        return [Delivery(at, body, counts.get(at, 1)) for at, body in unseen.items()]

    async def _pending(self, most: int, first: str, last: str = "+", **said: Any) -> dict[str, int]:
        """Return how often entries that were not acknowledged were delivered."""
        pending = await self._ask(
            self._client.xpending_range(self._stream, self._group, first, last, most, **said)
        )
        return {_text(each["message_id"]): each["times_delivered"] for each in pending}

    async def _forget_the_gone(self, *, leaving: str = "") -> None:
        given = (self._group, leaving, self._idle_ms)
        await self._ask(self._forget([self._stream], given))

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


def together(delivered: Sequence[int]) -> int:
    """Return how many of the first entries may be claimed at once, by how often each was had."""
    careful = (place for place, count in enumerate(delivered) if count + 1 >= ALONE_FROM)
    return max(1, next(careful, len(delivered)))


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
