"""One connection to Redis for many commands at once: sent as they come, answered in their order.

A pool lends a connection to one command at a time; to borrow it, and to give it back, costs as much
as the command. Here those of one turn of the event loop leave in one write, and nobody waits for
another's answer before asking. Who gives up takes nothing from the others: what has not left is not
sent, and an answer that nobody waits for is dropped.

A connection whose other end is gone may be silent for ever. So if the oldest command has waited for
long when the next one comes, that one goes by a new connection, and those under way have failed.
"""

import asyncio
import math
from collections import deque
from copy import copy
from typing import Any, cast

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError, ResponseError

from inferd.cache.connection import beside, let_go

STALLED_S = 1.0
"""After so long without an answer a connection is not used any more."""
READ_IN = 5
"""Turns of the event loop. A process that stood still has not yet read what came meanwhile, and
must not take a connection for silent; within so many turns it has."""

_Waiting = asyncio.Future[Any]


class Line:
    """Asks Redis by one connection, and by another when that is lost. Lives on the event loop."""

    def __init__(self, client: Redis, *, stalled_s: float = STALLED_S) -> None:
        """Connect as `client` does, when first asked. Who has it closes it."""
        self._client = client
        self._stalled_s = stalled_s
        self._carrier: _Carrier | None = None

    async def ask(self, *command: str | bytes | int | float) -> Any:
        """Return what Redis answers. Raises `RedisError`, `OSError` and `RuntimeError`."""
        if self._is_silent():
            for _ in range(READ_IN):
                await asyncio.sleep(0)
            if self._carrier is not None and self._is_silent():
                self._carrier.task.cancel()
                self._carrier = None
        carrier = self._carrier
        if carrier is None or carrier.over:
            carrier = self._carrier = _Carrier(beside(self._client))
        packed = pack_command(cast(Any, command))  # which says that it takes one word only
        return await carrier.send(packed)

    def _is_silent(self) -> bool:
        it, now = self._carrier, asyncio.get_running_loop().time()
        return it is not None and it.silent_s(now) > self._stalled_s

    async def close(self) -> None:
        """Let go of the connection. Who still waits is told that it is lost."""
        if self._carrier is not None:
            self._carrier.task.cancel()
            await asyncio.wait([self._carrier.task])


class _Carrier:
    """One connection, from its beginning to its end."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._unsent: list[tuple[bytes, _Waiting]] = []
        self._came = asyncio.Event()
        #: Who waits for an answer, and since when.
        self._sent: deque[tuple[_Waiting, float]] = deque()
        #: Whether nothing can be sent any more.
        self.over = False
        self._error: BaseException = Lost("the connection was given up")
        self.task = asyncio.create_task(self._run(), name="redis line")
        self.task.add_done_callback(self._end)  # also if it is cancelled before it begins

    def send(self, command: bytes) -> _Waiting:
        """Have a command sent; return what waits for its answer."""
        waiting: _Waiting = asyncio.get_running_loop().create_future()
        self._unsent.append((command, waiting))
        self._came.set()
        return waiting

    def silent_s(self, now: float) -> float:
        """Return for how long the oldest command has waited for its answer; 0: there is none."""
        return now - self._sent[0][1] if self._sent else 0.0

    async def _run(self) -> None:
        ways: list[asyncio.Task[None]] = []
        try:
            await self._connection.connect()  # type: ignore[no-untyped-call]
            ways = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]
            ended, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            self._error = ended.pop().exception() or self._error
        except (RedisError, OSError, RuntimeError) as error:
            self._error = error
        finally:
            for way in ways:
                way.cancel()
            self._end()
            await asyncio.gather(*ways, return_exceptions=True)
            await let_go(self._connection)

    def _end(self, _: object = None) -> None:
        """Tell whoever still waits that nothing comes any more."""
        self.over = True
        for waiting in [*(each for each, _ in self._sent), *(each for _, each in self._unsent)]:
            if not waiting.done():
                waiting.set_exception(copy(self._error))  # each has a traceback of its own

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await self._came.wait()
            self._came.clear()
            leaving = [each for each in self._unsent if not each[1].done()]
            self._unsent.clear()
            now = clock()
            self._sent.extend((waiting, now) for _, waiting in leaving)
            packed = [command for command, _ in leaving]
            await self._connection.send_packed_command(packed, check_health=False)

    async def _read(self) -> None:
        while True:
            answer: Any
            try:
                answer = await self._connection.read_response(timeout=math.inf)
            except ResponseError as error:
                answer = error
            waiting, _ = self._sent.popleft()
            if waiting.done():
                continue  # whoever asked has left
            if isinstance(answer, ResponseError):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
