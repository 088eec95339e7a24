"""How this server talks to PostgreSQL: a few connections, and one word for what goes wrong.

They are made when they are needed, so that a server starts whether PostgreSQL is there or not, and
kept. Who waits for one and gives up is gone at once. What has been sent runs to its end without
whoever asked, and so does connecting: a new connection takes milliseconds of both machines, too
much to throw one away whenever somebody is in a hurry (which is why this is not asyncpg's own
pool: it calls off what is under way, and has the caller wait until that has come through).
Nothing is tried twice.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import asyncpg

from inferd import config
from inferd.errors import DependencyFailed

LONGEST_S = 10.0
"""After this a statement is taken for lost, and its connection with it."""
CLOSING_S = 1.0
"""How long to wait for goodbyes."""


class Connections:
    """Runs statements, at most so many at once. Lives on the event loop."""

    def __init__(self, settings: config.Postgres, *, prepare: str) -> None:
        """Connect nothing yet. Each connection says `prepare` first."""
        self._settings = settings
        self._prepare = prepare
        self._free = asyncio.Semaphore(settings.connections)
        self._idle: list[asyncpg.Connection] = []
        self._under_way: set[asyncio.Task[list[asyncpg.Record]]] = set()
        self._closed = False

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Return the rows of a statement. Raises `DependencyFailed`.

        Whoever does not wait for the end leaves it open whether it is done.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._run(statement, arguments), name="PostgreSQL")
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait([task])  # it is not cancelled with whoever waits
        if task.cancelled():  # by `close`
            raise DependencyFailed("PostgreSQL is no longer asked")
        return task.result()

    async def close(self) -> None:
        """Give up what is under way, and close all connections, whether it still answers or not."""
        self._closed = True
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        goodbyes = (each.close(timeout=CLOSING_S) for each in self._idle)
        await asyncio.gather(*goodbyes, return_exceptions=True)

    async def _run(self, statement: str, arguments: Sequence[object]) -> list[asyncpg.Record]:
        if self._closed:
            raise asyncio.CancelledError
        with translated():
            connection = self._kept() or await self._connected()
            try:
                async with asyncio.timeout(LONGEST_S):
                    rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
            except asyncpg.PostgresError:
                self._keep(connection)  # it is the statement that failed
                raise
            except BaseException:
                connection.terminate()
                raise
            self._keep(connection)
            return rows

    async def _connected(self) -> asyncpg.Connection:
        async with asyncio.timeout(self._settings.connect_timeout_ms / 1000):
            connection = await asyncpg.connect(self._settings.url)
            try:
                await connection.execute(self._prepare)
            except BaseException:
                connection.terminate()
                raise
        return connection

    def _kept(self) -> asyncpg.Connection | None:
        while self._idle:
            if not (connection := self._idle.pop()).is_closed():
                return connection
        return None

    def _keep(self, connection: asyncpg.Connection) -> None:
        if not connection.is_closed():
            self._idle.append(connection)

    def _ended(self, task: asyncio.Task[list[asyncpg.Record]]) -> None:
        self._under_way.discard(task)
        self._free.release()
        if not task.cancelled():
            task.exception()  # nobody may be there to hear it


@contextmanager
def translated() -> Iterator[None]:
    """Have what goes wrong with PostgreSQL in the block raised as `DependencyFailed`."""
    try:
        yield
    except (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OSError,
        RuntimeError,
    ) as error:
        # uvloop's word for a connection that has just been closed is `RuntimeError`.
        raise DependencyFailed(f"PostgreSQL failed ({type(error).__name__})") from error
