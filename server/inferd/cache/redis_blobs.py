"""Blobs in Redis: one string per key, reads of one turn in one MGET, writes by a small script.

The script compares stamps, which are at the beginning of blobs, and so the newer one stays whoever
writes it. What is there and is no blob is overwritten. A key is forgotten by Redis itself.
"""

import math
from collections.abc import Coroutine, Sequence
from hashlib import sha1
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from inferd.cache.blobs import HEAD, LATEST_STAMP, STAMPED, Entry, Written
from inferd.cache.coalesced import Coalesced
from inferd.cache.connection import translated
from inferd.cache.line import Line
from inferd.resilience.dependency import Observes

MOST_KEYS = 1000
"""In one MGET. Redis does nothing else meanwhile."""
MOST_ENTRIES = 100
"""In one script, for the same reason."""

_HEAD = "".join(f"\\{byte}" for byte in HEAD)

SCRIPT = f"""
local results = {{}}
for i, key in ipairs(KEYS) do
  local blob, keep_ms = ARGV[2 * i - 1], ARGV[2 * i]
  local there = redis.pcall('GETRANGE', key, 0, {STAMPED - 1})
  local result = 1
  if type(there) == 'string' and #there == {STAMPED} and there:sub(1, {len(HEAD)}) == '{_HEAD}' then
    local was = struct.unpack('>I8', there, {len(HEAD) + 1})
    local is = struct.unpack('>I8', blob, {len(HEAD) + 1})
    if was == is then result = 0 elseif was > is and was < {LATEST_STAMP} then result = -1 end
  end
  if result == 1 then
    if keep_ms == '' then redis.call('SET', key, blob)
    else redis.call('SET', key, blob, 'PX', keep_ms) end
  end
  results[i] = result
end
return results
"""
"""Arguments are, for each key, a blob and for how long it is kept: milliseconds, or nothing."""
_KNOWN_AS = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class RedisBlobs:
    """Keeps blobs in Redis, over a connection of its own."""

    name = "redis"

    def __init__(self, client: Redis, *, prefix: str, sizes: Observes) -> None:
        """Have keys begin with `prefix` there; tell `sizes` for how many keys a command asks.

        It connects as `client` does.
        """
        self._line = Line(client)
        self._prefix = prefix
        self._coalesced = Coalesced(self._mget, most=MOST_KEYS, sizes=sizes)

    def get(self, keys: Sequence[str]) -> Coroutine[Any, Any, Sequence[bytes | None]]:
        """Return the blobs of keys; None for what is not there."""
        return self._coalesced.get(keys)

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        """Keep blobs unless newer ones are there."""
        results: list[Written] = []
        for at in range(0, len(entries), MOST_ENTRIES):
            part = entries[at : at + MOST_ENTRIES]
            arguments = [each for entry in part for each in (entry.blob, _ms(entry.keep_s))]
            with translated():
                told = await self._run([self._prefix + entry.key for entry in part], arguments)
            results += map(Written, told)
        return results

    async def close(self) -> None:
        """Give up what is under way."""
        await self._coalesced.close()
        await self._line.close()

    async def _run(self, keys: Sequence[str], arguments: Sequence[bytes | str]) -> Any:
        try:
            return await self._line.ask("EVALSHA", _KNOWN_AS, len(keys), *keys, *arguments)
        except NoScriptError:  # so it has not been run; now Redis gets to know it
            return await self._line.ask("EVAL", SCRIPT, len(keys), *keys, *arguments)

    async def _mget(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        with translated():
            found = await self._line.ask("MGET", *[self._prefix + key for key in keys])
        return cast(Sequence[bytes | None], found)


def _ms(keep_s: float | None) -> str:
    return "" if keep_s is None else str(max(1, math.ceil(keep_s * 1000)))
