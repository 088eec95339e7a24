"""What others write in Redis, told to this process: Redis's own client tracking, by prefix.

One connection turns tracking on, has the news redirected to itself, and subscribes to them (RESP2
has no other way to be told anything). So there is no second connection that could fail unnoticed:
while this one answers, the news come. It is asked for a sign of life whenever it has been silent
for a while, and when there is none it is replaced.

Whatever was written while nobody listened is not known. So all is to be forgotten when the
connection is lost, and again when there is a new one.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection

from inferd.cache.connection import beside, let_go, translated
from inferd.errors import DependencyFailed

log = logging.getLogger(__name__)

CHANNEL = b"__redis__:invalidate"
PING_S = 1.0
"""After so long without news the connection is asked whether it is there; it has as long again."""
BACKOFF_S = 0.1
BACKOFF_MOST_S = 1.0

OnKeys = Callable[[Sequence[str]], None]


class Tracking:
    """Listens for writes. Lives on the event loop."""

    def __init__(
        self,
        client: Redis,
        prefixes: Mapping[str, OnKeys],
        *,
        on_flush: Callable[[], None],
        ping_s: float = PING_S,
    ) -> None:
        """Tell, for each prefix, of the keys with it that were written, without it.

        `on_flush` is told when everything may have changed. No prefix may be another's beginning.
        """
        self._client = client
        self._prefixes = {prefix.encode(): on_keys for prefix, on_keys in prefixes.items()}
        self._on_flush = on_flush
        self._ping_s = ping_s
        self._task: asyncio.Task[None] | None = None
        self._live = self._complained = False
        #: How often the connection was lost, and how many keys were told of.
        self.losses = self.keys = 0

    @property
    def live(self) -> bool:
        """Whether news come: otherwise nothing may be kept for long."""
        return self._live

    def start(self) -> None:
        """Listen until it is closed, whether Redis is there or not."""
        self._task = asyncio.get_running_loop().create_task(self._listen(), name="tracking")

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _listen(self) -> None:
        backoff_s = BACKOFF_S
        while True:
            connection = beside(self._client)
            try:
                with translated():
                    await self._begin(connection)
                    backoff_s = BACKOFF_S
                    await self._hear(connection)
            except DependencyFailed as error:
                self._lost(error)
            finally:
                self._live = False
                await let_go(connection)
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, BACKOFF_MOST_S)

    async def _begin(self, connection: AbstractConnection) -> None:
        async with asyncio.timeout(2 * self._ping_s):
            number = await _told(connection, "CLIENT", "ID")
            prefixes = [part for prefix in self._prefixes for part in ("PREFIX", prefix)]
            how = ("CLIENT", "TRACKING", "ON", "REDIRECT", number, "BCAST", *prefixes)
            await _told(connection, *how)
            await _told(connection, "SUBSCRIBE", CHANNEL)
        self._live, self._complained = True, False
        self._on_flush()
        log.info("tracking what is written in Redis")

    async def _hear(self, connection: AbstractConnection) -> None:
        """Pass news on until the connection is lost."""
        asked = False
        while True:
            message = await connection.read_response(timeout=self._ping_s)
            if message is not None:
                asked = False
                self._pass_on(message)
            elif asked:
                raise DependencyFailed("Redis does not answer any more")
            else:
                asked = True
                await connection.send_command("PING", check_health=False)

    def _pass_on(self, message: Any) -> None:
        match message:
            case [b"message", _, None]:
                self._on_flush()
            case [b"message", _, [*keys]]:
                self.keys += len(keys)
                for prefix, on_keys in self._prefixes.items():
                    ours = [_text(key[len(prefix) :]) for key in keys if key.startswith(prefix)]
                    if ours:
                        on_keys(ours)

    def _lost(self, error: DependencyFailed) -> None:
        if self._live:
            self._live = False
            self.losses += 1
            self._on_flush()
        if not self._complained:  # once, however often it is tried again
            self._complained = True
            why = error.__cause__ or error
            log.warning("what others write in Redis is not known for now: %s", why)


def _text(key: bytes) -> str:
    return key.decode(errors="replace")  # one that is no text is not ours


async def _told(connection: AbstractConnection, *command: Any) -> Any:
    await connection.send_command(*command, check_health=False)
    return await connection.read_response()
